"""Readings by hand and by file, from the command line."""

from collections.abc import Iterator
from pathlib import Path

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


class TestReadingsExport:
    def test_writes_a_whole_file_that_comes_back(self, shell: Shell, tmp_path: Path):
        for kind in ("csv", "greenbutton"):
            file = tmp_path / f"out.{kind}"
            said = shell.ok(
                "readings", "export", file, "--format", kind, "--from", "2025-04-10", "--to", "2025-04-11",
                "--meter", METER, "--as", "eng",
            )  # fmt: skip
            assert said == f"96 intervals written to {file}\n"
            assert [each.name for each in tmp_path.glob(".*")] == []
            back = shell.ok("readings", "import", file, "--format", kind, "--as", "eng")
            assert "0 intervals new, 0 changed, on 0 meter-days" in back

    def test_tells_how_far_it_is(self, shell: Shell, tmp_path: Path):
        done = shell.run("readings", "export", tmp_path / "a.csv", "--to", "2025-04-01")

        assert (done.status, done.out) == (0, f"192 intervals written to {tmp_path / 'a.csv'}\n")
        assert done.err == "bijlighar: 4 of 4 meters …\n"

    def test_overwrites_only_when_told(self, shell: Shell, tmp_path: Path):
        file = tmp_path / "a.csv"
        file.write_text("mine")
        day = ("--from", "2025-04-01", "--to", "2025-04-01", "--meter", METER)

        assert (
            "is there already; give another name, or --overwrite"
            in shell.run("readings", "export", file, *day).err
        )
        assert file.read_text() == "mine"
        shell.ok("readings", "export", file, *day, "--overwrite")
        assert file.read_text().count("\n") == 49

    def test_leaves_nothing_where_it_cannot_write(self, shell: Shell, tmp_path: Path):
        nowhere = tmp_path / "nowhere" / "a.csv"

        assert "cannot be written: No such file or directory" in shell.run("readings", "export", nowhere).err
        assert list(tmp_path.iterdir()) == []

    def test_is_not_for_everybody_and_is_in_the_audit(self, shell: Shell, tmp_path: Path):
        file = tmp_path / "b.csv"
        day = ("--from", "2025-04-01", "--to", "2025-04-01")

        assert "offices.not-permitted" in shell.run("readings", "export", file, *day, "--as", "fitter").err
        assert not file.exists()
        shell.ok("readings", "export", file, *day, "--as", "eng")
        assert "export_readings" in shell.ok("office", "audit")

    def test_writes_parquet(self, shell: Shell, tmp_path: Path):
        parquet = pytest.importorskip("pyarrow.parquet")
        file = tmp_path / "a.parquet"

        shell.ok("readings", "export", file, "--format", "parquet", "--to", "2025-04-01")

        assert parquet.read_metadata(file).num_rows == 192


class TestImportOfGreenButton:
    def test_takes_the_meter_from_the_option(self, shell: Shell, tmp_path: Path):
        file = tmp_path / "feed.xml"
        file.write_text(
            '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:e="http://naesb.org/espi"><entry><content>'
            "<e:ReadingType><e:flowDirection>1</e:flowDirection><e:uom>72</e:uom></e:ReadingType></content></entry>"
            "<entry><content><e:IntervalBlock><e:IntervalReading><e:timePeriod><e:duration>1800</e:duration>"
            "<e:start>1743445800</e:start></e:timePeriod><e:value>100</e:value></e:IntervalReading>"
            "</e:IntervalBlock></content></entry></feed>"
        )
        order = ("readings", "import", file, "--format", "greenbutton")

        assert "feed.xml, line 1: no meter has one of the serial numbers of the feed" in shell.refusal(*order)
        assert "0 intervals new" in shell.ok(*order, "--meter", METER)
        assert shell.run("readings", "import", file, "--meter", METER).status == 2


SEAL = ("readings", "seal")
MAY = ("--month", "2025-05")


class TestReadingsSeal:
    def test_shuts_a_month_until_two_persons_open_it(self, shell: Shell, tmp_path: Path):
        late = tmp_path / "late.csv"
        late.write_text(f"meter,start,minutes,wh_import\n{METER},2025-05-02T00:00:00+05:30,30,7\n")
        refused = shell.refusal(*SEAL, "set", *MAY, "--note", "x", "--as", "bala")
        assert "a person of that office or one above it" in refused
        assert "not validated" in shell.refusal(*SEAL, "set", *MAY, "--note", "books", "--as", "eng")
        shell.ok("validate", "--from", "2025-05-01", "--to", "2025-05-31")

        said = shell.ok(*SEAL, "set", *MAY, "--note", "books", "--as", "eng")

        number = said.split()[1].rstrip(":")
        assert "2025-05 of WEST is sealed" in said
        assert "held apart" in shell.run("readings", "import", late).err
        (sum_,) = shell.json(*SEAL, "late", number, "--as", "eng")
        assert (sum_["meter"], sum_["intervals"], sum_["difference_wh"]) == (METER, 1, -93)
        (made,) = shell.json(*SEAL, "list", "--as", "eng")
        assert (made["month"], made["state"], made["late_meter_days"]) == ("2025-05", "sealed", 1)
        assert "unchanged" in shell.ok(*SEAL, "check", number, "--as", "eng")
        propose = ("readings", "edit", "propose", METER, "--from", "2025-05-03T00:00:00+05:30", "--wh", "1")
        edit = (*propose, "--reason", "clock", "--note", "x", "--as", "eng")
        assert "readings.month-sealed" in shell.refusal(*edit)

        shell.ok("person", "add", "eng2", "--office", "WEST", "--role", "engineer")
        shell.ok(*SEAL, "open", number, "--note", "sheet 7", "--as", "eng")
        assert "offices.same-person" in shell.refusal(*SEAL, "confirm", number, "--note", "x", "--as", "eng")
        assert "is opened" in shell.ok(*SEAL, "confirm", number, "--note", "seen", "--as", "eng2")
        exported = tmp_path / "out.csv"
        shell.ok(
            "readings", "export", exported, "--from", "2025-05-02", "--to", "2025-05-02", "--meter", METER
        )
        assert f"{METER},2025-05-02T00:00:00+05:30,30,7" in exported.read_text()
        before = tmp_path / "before.csv"
        shell.ok(
            "readings", "export", before, "--from", "2025-05-02", "--to", "2025-05-02", "--meter", METER,
            "--as-of", made["sealed_at"],
        )  # fmt: skip
        assert f"{METER},2025-05-02T00:00:00+05:30,30,100" in before.read_text()

    def test_removes_nothing_by_itself(self, shell: Shell):
        assert "everything is kept" in shell.ok("readings", "retention", "show")
        assert "readings.unknown-seal" in shell.refusal(*SEAL, "check", 77, "--as", "eng")


class TestReadingsRetention:
    def test_archives_what_it_removes(self, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        pytest.importorskip("pyarrow")
        remove = ("readings", "retention", "remove", *MAY, "--archive", tmp_path, "--as")
        assert "everything is kept" in shell.refusal(*remove, "eng")
        with Shell({**shell.environment, "BIJLIGHAR_RETENTION_INTERVAL_MONTHS": "3"}) as keeping:
            assert keeping.json("readings", "retention", "show") == {"interval_months": 3, "months": []}
            assert "readings.cannot-remove" in keeping.refusal(*remove, "eng")
            keeping.ok("validate", "--from", "2025-05-01", "--to", "2025-05-31")
            keeping.ok(*SEAL, "set", *MAY, "--note", "books", "--as", "eng")
            (found,) = keeping.json("readings", "retention", "show")["months"]

            said = keeping.ok(*remove, "eng")

            assert found["month"] == "2025-05"
            assert sorted(path.name for path in tmp_path.iterdir()) == [
                "intervals-2025-05.parquet",
                "versions-2025-05.parquet",
            ]
            assert f"{found['meter_days'] + found['earlier_versions']} versions archived" in said
            (made,) = keeping.json(*SEAL, "list", "--as", "eng")
            assert made["state"] == "removed"
            assert "is there already" in keeping.refusal(*remove, "eng")
