"""Cases from the command line, from opening to closing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bijlighar.base.period import local_date
from bijlighar.runtime import clock
from tests.cli import papers
from tests.cli.papers import NOBODY, OFFICES, PEOPLE
from tests.cli.shell import Shell

METER = NOBODY[0].serial


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell with a home of some meters and people."""
    folder = tmp_path_factory.mktemp("cases")
    files = papers.write(folder, offices=OFFICES, registry=papers.registry(), intervals=papers.intervals())
    with Shell({"BIJLIGHAR_HOME": str(folder / "home")}) as made:
        made.ok("office", "import", files["offices"])
        for name, (office, roles) in {**PEOPLE, "vig": ("WEST", "theft_officer")}.items():
            each = [word for role in roles.split(",") for word in ("--role", role)]
            made.ok("person", "add", name, "--office", office, *each)
        made.ok("registry", "import", files["registry"])
        yield made


def today() -> str:
    return local_date(clock.wall()).isoformat()


class TestCase:
    def test_needs_two_persons_for_theft(self, shell: Shell):
        said = shell.ok("case", "open", METER, "--note", "neighbours told", "--as", "asha")
        number = said.split()[1]
        assert "balance.case-stands" in shell.refusal("case", "open", METER, "--note", "x", "--as", "asha")
        shell.ok("case", "assign", number, "--to", "fitter", "--as", "eng")
        find = ("case", "find", number, "theft", "--on", today(), "--note", "sheet 1", "--as", "fitter")
        assert "theft has a kind" in shell.refusal(*find)

        assert "theft reported, to be confirmed" in shell.ok(*find, "--kind", "bypass")

        decide = ("case", "confirm", number, "--note", "seen", "--as")
        assert "needs the role theft_officer" in shell.refusal(*decide, "eng")
        assert "nothing is cut" in shell.ok(*decide, "vig")
        units = ("case", "assess", number, "--wh", 500_000, "--from", today(), "--to", today())
        shell.ok(*units, "--method", "load 1 kW", "--as", "eng")
        shell.ok("case", "close", number, "--note", "order 12", "--as", "eng")
        (closed,) = shell.json("case", "list", "--all", "--as", "eng")
        assert (closed["state"], closed["finding"], closed["theft_kind"], closed["confirmed_by"]) == (
            "closed",
            "theft",
            "bypass",
            "vig",
        )
        assert closed["assessment"]["energy_wh"] == 500_000
        document = shell.json("case", "show", number, "--as", "eng")
        assert [step["event"] for step in document["steps"]] == [
            "appear", "assign", "report_theft", "confirm_theft", "assess", "close",
        ]  # fmt: skip
        assert "load 1 kW" in shell.ok("case", "show", number, "--as", "eng")
        assert shell.json("case", "list", "--as", "eng") == []

    def test_takes_a_transformer_and_refuses_what_nobody_knows(self, shell: Shell):
        number = shell.ok("case", "open", "--transformer", "T1", "--note", "hooks", "--as", "eng").split()[1]
        shell.ok("case", "withdraw", number, "--note", "taken off", "--as", "eng")

        assert "balance.refused-case" in shell.refusal(
            "case", "open", "--alarm", 7, "--note", "x", "--as", "eng"
        )
        assert "balance.unknown-case" in shell.refusal("case", "show", 99, "--as", "eng")
        for wrong in ((), (METER, "--alarm", 1), (METER, "--from", "2025-04-01")):
            assert shell.run("case", "open", *wrong, "--note", "x", "--as", "eng").status == 2

    def test_ranks_nobody_where_nothing_is_read(self, shell: Shell, tmp_path: Path):
        assert shell.json("case", "suspects", "--from", "2025-04-01", "--to", "2025-04-02") == []
        assert "balance.not-suspected" in shell.refusal(
            "case", "open", METER, "--from", "2025-04-01", "--to", "2025-04-20", "--note", "x", "--as", "eng"
        )
