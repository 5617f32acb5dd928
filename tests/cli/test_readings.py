"""Readings by hand and by file, from the command line."""

from collections.abc import Iterator

import pytest

from tests.cli import papers
from tests.cli.papers import NOBODY, OFFICES, PEOPLE
from tests.cli.shell import Shell

METER = NOBODY[0].serial
EDIT = ("readings", "edit")
FIRST = "2025-04-02T00:00:00+05:30"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def environments(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What names the database of a home, for each of the two."""
    if request.param == "sqlite":
        yield {}
        return
    with request.getfixturevalue("postgres_server").database() as url:
        yield {"BIJLIGHAR_DATABASE": url}


@pytest.fixture(scope="module")
def shell(environments: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell with a home that holds two months of readings, judged."""
    folder = tmp_path_factory.mktemp("readings")
    files = papers.write(folder, offices=OFFICES, registry=papers.registry(), intervals=papers.intervals())
    with Shell({"BIJLIGHAR_HOME": str(folder / "home"), **environments}) as made:
        made.ok("office", "import", files["offices"])
        for name, (office, roles) in PEOPLE.items():
            each = [word for role in roles.split(",") for word in ("--role", role)]
            made.ok("person", "add", name, "--office", office, *each)
        made.ok("registry", "import", files["registry"])
        made.ok("readings", "import", files["intervals"])
        made.ok("validate", "--from", "2025-04-01", "--to", "2025-04-30")
        yield made


def propose(shell: Shell, *more: object, start: str = FIRST, person: str = "asha") -> str:
    said = shell.ok(
        *EDIT, "propose", METER, "--from", start, "--reason", "site_reading", "--note", "sheet 12",
        "--as", person, *more,
    )  # fmt: skip
    return said.split()[1]


class TestReadingsEdit:
    def test_takes_two_persons(self, shell: Shell):
        number = propose(shell, "--intervals", 2, "--wh", "7,8")

        (waiting,) = shell.json(*EDIT, "list", "--as", "bala", "--meter", METER)
        assert (waiting["wh"], waiting["before_wh"], waiting["state"]) == ([7, 8], [100, 100], "proposed")
        assert "needs the role approver or engineer" in shell.refusal(
            *EDIT, "confirm", number, "--as", "asha"
        )
        said = shell.ok(*EDIT, "confirm", number, "--as", "bala")

        assert said == f"edit {number} confirmed and written; the days are judged again\n"
        (ended,) = shell.json(*EDIT, "list", "--as", "eng", "--all", "--meter", METER)
        assert (ended["state"], ended["decided_by"], ended["revision"]) == ("confirmed", "bala", 2)
        found = shell.json("validate", "--from", "2025-04-02", "--to", "2025-04-02")
        assert found["totals"]["edited"] == {"findings": 1, "intervals": 2}

    def test_refuses_the_proposer_an_older_form_and_a_second_word(self, shell: Shell):
        number = propose(shell, "--wh", "1", start="2025-04-05T00:00:00+05:30", person="both")

        assert "offices.same-person" in shell.refusal(*EDIT, "confirm", number, "--as", "both")
        assert "validation.edit-decided" in shell.refusal(
            *EDIT, "confirm", number, "--revision", 9, "--as", "bala"
        )
        assert shell.ok(*EDIT, "refuse", number, "--note", "no paper", "--as", "bala") == (
            f"edit {number} refused\n"
        )
        assert "is refused by bala" in shell.refusal(*EDIT, "withdraw", number, "--as", "both")

    def test_takes_out_and_restores(self, shell: Shell):
        start = "2025-04-08T00:00:00+05:30"
        for what in ("--take-out", "--restore"):
            shell.ok(*EDIT, "confirm", propose(shell, what, start=start), "--as", "eng")
            found = shell.json("validate", "--from", "2025-04-08", "--to", "2025-04-08")
            assert ("edited" in found["totals"]) == (what == "--take-out")
        assert "sheet 12" in shell.ok(*EDIT, "list", "--all", "--as", "eng")

    @pytest.mark.parametrize(
        ("more", "status"),
        [
            (("--wh", "1", "--take-out"), 2),
            ((), 2),
            (("--wh", "seven"), 2),
            (("--wh", "9" * 5000), 2),
            (("--wh", "1", "--intervals", "999999"), 2),
            (("--wh", "-5"), 1),
            (("--wh", "9" * 30), 1),
        ],
    )
    def test_refuses_what_cannot_be(self, shell: Shell, more: tuple[str, ...], status: int):
        done = shell.run(
            *EDIT, "propose", METER, "--from", FIRST, "--reason", "clock", "--note", "x", "--as", "eng", *more
        )

        assert done.status == status
        assert "Traceback" not in done.err

    def test_knows_no_edit_that_is_not_there(self, shell: Shell):
        for number in (99, 2**63 - 1):
            assert "validation.unknown-edit" in shell.refusal(*EDIT, "confirm", number, "--as", "eng")
