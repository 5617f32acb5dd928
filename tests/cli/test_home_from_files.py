"""A working home from files alone, at the machine's own time: every word of the command line, on both databases."""

import contextlib
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bijlighar.base.period import local_date
from bijlighar.runtime.clock import set_demo_time, wall
from bijlighar.simulator.operations import TownControl
from bijlighar.storage.engine import Database
from bijlighar.tariffs.operations import shipped_books
from tests.cli import papers
from tests.cli.papers import NETWORK, OFFICES, PEOPLE, STOCK, Smart
from tests.cli.shell import Patience, Shell, first_line
from tests.postgres import PostgresServer
from tests.simulator.towns import free_ports

APRIL = ("--from", "2025-04-01", "--to", "2025-04-30")
MAGNET = 201


@dataclass(frozen=True, kw_only=True)
class Place:
    """A home in the making: its shell, its folder, its files, its two simulated meters, and what was said."""

    shell: Shell
    folder: Path
    home: Path
    database_url: str
    smart: tuple[Smart, ...]
    town: TownControl
    said: dict[str, str] = field(default_factory=dict)

    def tell(self, word: str, *arguments: object) -> None:
        self.said[word] = self.shell.ok(*arguments)


@contextlib.contextmanager
def two_meters(
    shell: Shell, folder: Path, *, port: int, push: str
) -> Iterator[tuple[tuple[Smart, ...], TownControl]]:
    keys, control = folder / "keys.json", f"127.0.0.1:{port + 2}"
    order = ("--port", port, "--meters", 2, "--keys-out", keys, "--control", control, "--push", push)
    with shell.running("meter", "simulate", *order) as process:
        assert first_line(process) == f"2 meters listen on 127.0.0.1:{port}"
        entries = json.loads(keys.read_text(encoding="utf-8"))
        yield tuple(Smart(serial=each["serial"], url=each["url"]) for each in entries), TownControl(control)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The home, filled from files."""
    folder = tmp_path_factory.mktemp("files")
    home = folder / "home"
    with contextlib.ExitStack() as stack:
        environment = {"BIJLIGHAR_HOME": str(home)}
        url = f"sqlite:///{home}/bijlighar.sqlite"
        if request.param == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            url = stack.enter_context(server.database())
            environment["BIJLIGHAR_DATABASE"] = url
        push_port = free_ports(4)  # and the two meters with their control behind it
        home.mkdir()
        settings = f'headend.push_port = {push_port}\nworker.poll_s = 0.1\ncompany.name_en = "Test Vidyut"\n'
        (home / "settings.toml").write_text(settings, encoding="utf-8")
        shell = stack.enter_context(Shell(environment))
        smart, town = stack.enter_context(
            two_meters(shell, folder, port=push_port + 1, push=f"127.0.0.1:{push_port}")
        )
        made = Place(shell=shell, folder=folder, home=home, database_url=url, smart=smart, town=town)
        fill(made)
        yield made


def fill(place: Place) -> None:
    files = papers.write(
        place.folder,
        offices=OFFICES,
        registry=papers.registry(place.smart),
        network=NETWORK,
        intervals=papers.intervals(place.smart),
        registers=papers.registers(place.smart),
        stock=STOCK,
    )
    place.tell("offices", "office", "import", files["offices"])
    for name, (office, roles) in PEOPLE.items():
        options = [option for role in roles.split(",") for option in ("--role", role)]
        place.tell(name, "person", "add", name, "--office", office, *options)
    place.tell("registry", "registry", "import", files["registry"], "--as", "eng")
    place.tell("network", "registry", "network", files["network"])
    place.tell("keys", "registry", "keys", place.folder / "keys.json")
    place.tell("intervals", "readings", "import", files["intervals"], "--as", "asha")
    place.tell("registers", "readings", "import", files["registers"])
    place.tell("validated", "validate", *APRIL, "--format", "json")
    place.tell("April", "bill", "run", "--month", "2025-04", "--format", "json")
    place.tell("May", "bill", "run", "--month", "2025-05", "--format", "json")


def bills(place: Place, account: str) -> list[str]:
    """Return the numbers of an account's bills, as `policy explain` tells them."""
    found = place.shell.json("policy", "explain", account)
    return [due["document"] for due in found["record"]["dues"]]


class TestFiles:
    def test_are_taken_in(self, place: Place):
        assert place.said["offices"] == "4 offices new or changed\n"
        assert place.said["both"] == "both works at INDORE as approver, clerk\n"
        assert place.said["registry"].startswith("5 rows: 4 accounts new, 0 changed; 5 meters new")
        assert place.said["network"] == "1 transformers new or changed\n"
        assert place.said["keys"] == "the keys of 2 meters are stored, encrypted\n"
        assert place.said["intervals"].startswith("11708 lines of 4 meters: 11708 intervals new, 0 changed")
        assert place.said["registers"].endswith("6 registers new or changed\n")

    def test_change_nothing_the_second_time(self, place: Place):
        assert (
            place.shell.ok("office", "import", place.folder / "offices.csv") == "0 offices new or changed\n"
        )
        again = place.shell.ok("registry", "import", place.folder / "registry.csv")
        assert again.startswith("5 rows: 0 accounts new, 0 changed; 0 meters new, 0 changed; 0 hung")
        readings = place.shell.ok("readings", "import", place.folder / "registers.csv")
        assert readings.endswith("0 registers new or changed\n")

    def test_lie_in_the_database_that_is_set(self, place: Place):
        is_sqlite = place.database_url.startswith("sqlite")
        assert (place.home / "bijlighar.sqlite").exists() is is_sqlite
        kind = "SQLite in the home" if is_sqlite else "PostgreSQL"
        assert f"database: {kind}" in place.shell.json("doctor")["notes"]

    def test_are_recorded_with_who_brought_them(self, place: Place):
        audit = place.shell.json("office", "audit")

        acts = {(entry["person"], entry["act"]) for entry in audit["entries"]}
        assert {("eng", "import_registry"), ("asha", "import_readings"), ("system", "import_keys")} <= acts
        assert audit["whole"] is True

    def test_do_not_leave_a_key_in_the_open(self, place: Place):
        (key, *_) = json.loads((place.folder / "keys.json").read_text(encoding="utf-8"))
        stored = b"".join(file.read_bytes() for file in place.home.rglob("*") if file.is_file())
        assert bytes.fromhex(key["ek"]) not in stored
        assert key["ek"].encode() not in stored


class TestReadings:
    def test_are_validated_and_what_is_missing_is_estimated(self, place: Place):
        report = json.loads(place.said["validated"])

        totals = {"missing": {"findings": 1, "intervals": 4}, "flat_run": {"findings": 5, "intervals": 5756}}
        assert report["totals"] == totals, "the file's values never change, and that is told"
        (finding,) = (found for found in report["findings"] if found["rule"] == "missing")
        assert finding["meter"] == place.smart[1].serial
        assert datetime.fromisoformat(finding["start"]) == datetime.fromisoformat("2025-04-11T10:00:00+05:30")
        assert set(finding) >= {"rule", "meter", "channel", "start", "end", "intervals", "severity", "reason"}

    def test_give_the_loss_of_the_transformer(self, place: Place):
        (loss,) = place.shell.json("balance", *APRIL)["transformers"]

        assert (loss["transformer"], loss["input_wh"], loss["days"]) == ("T1", 460 * 1440, 30)
        assert loss["consumers_wh"] == (100 + 200 + 50 + 100) * 1440
        assert loss["loss_wh"] == 10 * 1440
        assert loss["loss_pct"] == pytest.approx(100 * 10 / 460, abs=0.001)
        assert "T1" in place.shell.ok("balance", *APRIL)
        assert place.shell.json("balance", "--level", "feeder", *APRIL)["feeders"] is not None


class TestTariff:
    def test_needs_no_home(self, place: Place):
        book = shipped_books()[0]
        checked = place.shell.ok("tariff", "check", book)
        facts = ("--category", "LV-1.2", "--area", "urban", "--wh", 150_000, "--load-w", 1000, "--days", 30)
        priced = place.shell.json("tariff", "price", book, *facts)

        assert "LV-1.2 (Domestic)" in checked
        assert sum(line["amount_paise"] for line in priced["lines"]) == priced["total_paise"]


class TestBills:
    def test_are_made_for_every_account(self, place: Place):
        for month in ("April", "May"):
            report = json.loads(place.said[month])
            assert (report["eligible"], report["billed"], report["parked"]) == (4, 4, 0), report

    def test_cost_what_the_tariff_book_says(self, place: Place):
        number = bills(place, "A1")[0]
        bill = place.shell.json("bill", "show", number)
        facts = ("--category", "LV-1.2", "--area", "urban", "--load-w", 1000, "--days", 30)
        priced = place.shell.json("tariff", "price", shipped_books()[0], *facts, "--wh", bill["energy_wh"])

        assert bill["energy_wh"] == 100 * 48 * 30
        amounts = [
            {line["code"]: line["amount_paise"] for line in found["lines"]} for found in (bill, priced)
        ]
        for code in ("ENERGY", "FIXED"):
            assert amounts[0][code] == amounts[1][code] > 0
        assert (
            sum(line["amount_paise"] for line in bill["lines"])
            == bill["total_paise"]
            == bill["payable_paise"]
        )

    def test_are_the_same_after_another_run(self, place: Place):
        assert place.shell.ok("bill", "run", "--month", "2025-04", "--format", "json") == place.said["April"]

    @pytest.mark.parametrize("language", ["hi", "en"])
    def test_become_a_pdf(self, place: Place, language: str):
        out = place.folder / f"bill-{language}.pdf"
        number = bills(place, "A3")[0]

        place.shell.ok("bill", "pdf", number, "--out", out, "--lang", language)

        assert out.read_bytes().startswith(b"%PDF-")
        assert list((place.home / "documents").rglob("*.pdf"))


class TestFourEyes:
    def test_hold_on_the_command_line(self, place: Place):
        shell = place.shell
        shell.ok("arrears", "assess")
        drawn = shell.ok("arrears", "list", "draw", "--office", "MHOW", "--as", "both")
        number = drawn.split()[1].rstrip(":")

        own = shell.refusal("arrears", "list", "approve", number, "--as", "both")
        clerk = shell.refusal("arrears", "list", "approve", number, "--as", "asha")
        nobody_due = shell.refusal("arrears", "list", "approve", number, "--as", "bala")
        wrong_drawer = shell.refusal("arrears", "list", "draw", "--office", "MHOW", "--as", "bala")
        other_office = shell.refusal("arrears", "list", "draw", "--office", "DEWAS", "--as", "asha")

        assert own == "both proposed this and cannot approve it; another person must [offices.same-person]"
        assert clerk.endswith("[offices.not-permitted]")
        assert nobody_due.endswith("there is nothing to approve [arrears.not-to-be-approved]")
        assert wrong_drawer.endswith("[offices.not-permitted]")
        assert other_office.endswith("[offices.not-permitted]")
        (shown,) = [each for each in shell.json("arrears", "list", "show") if str(each["number"]) == number]
        assert (shown["state"], shown["listed"], shown["approved_by"]) == ("drawn", 0, None)


class TestPolicy:
    def test_explains_an_account_in_both_languages(self, place: Place):
        explained = place.shell.json("policy", "explain", "A1")
        assert (explained["account"], explained["name"], explained["go"]) == ("A1", "Asha Patel", False)
        assert explained["owed_paise"] > 0
        assert "owed in all" in place.shell.ok("policy", "explain", "A1")
        assert "कुल देय राशि" in place.shell.ok("policy", "explain", "A1", "--lang", "hi")

    def test_of_the_company_is_checked_and_then_used(self, place: Place, tmp_path: Path):
        shipped = Path("src/bijlighar/arrears/policies/mp.toml")
        text = (Path(__file__).parents[2] / shipped).read_text(encoding="utf-8")
        own = place.home / "own.toml"
        own.write_text(text.replace('id = "MP-WZ-2025"', 'id = "OWN-1"'), encoding="utf-8")
        settings = place.home / "settings.toml"
        before = settings.read_text(encoding="utf-8")
        settings.write_text(before + 'policy = "own.toml"\n', encoding="utf-8")

        assert place.shell.ok("policy", "check", own).startswith(
            "OWN-1: 15 clear days; listed when more than 60"
        )
        assert place.shell.json("policy", "explain", "A1")["record"]["policy"]["id"] == "OWN-1"

        settings.write_text(before, encoding="utf-8")
        assert place.shell.json("policy", "explain", "A1")["record"]["policy"]["id"] == "MP-WZ-2025"


class TestHalt:
    def test_stands_until_one_who_may_lifts_it(self, place: Place):
        shell = place.shell
        shell.ok("halt", "--as", "asha", "--reason", "flood in Mhow")
        halted = shell.json("policy", "explain", "A1")["record"]["facts"]["halted"]
        clerk = shell.refusal("resume", "--as", "asha", "--reason", "over")
        shell.ok("resume", "--as", "op", "--reason", "over")
        lifted = shell.json("policy", "explain", "A1")["record"]["facts"]["halted"]
        again = shell.refusal("resume", "--as", "op", "--reason", "over")

        assert (halted, lifted) == (True, False)
        assert clerk.endswith("it needs the role approver or operator [offices.not-permitted]")
        assert again.endswith("[arrears.nothing-running]")


class TestRollout:
    def test_goes_from_plan_to_a_hung_meter(self, place: Place):
        shell, month = place.shell, f"{local_date(wall()):%Y-%m}"
        window = ("--from", month, "--to", month)
        shell.ok("rollout", "target", "--office", "MHOW", "--planned", 10, *window, "--as", "eng")
        shell.ok("rollout", "receive", place.folder / "stock.csv", "--as", "keeper")
        shell.ok("rollout", "order", "make", "--place", "U3", "--as", "eng")
        shell.ok("rollout", "order", "issue", 1, "--to", "fitter", "--as", "eng")
        shell.ok("rollout", "move", "issue", "NEW1", "--to", "fitter", "--as", "keeper")
        registers = ("--old-register", 1_500_000, "--new-register", 0, "--as", "fitter")
        no_last = shell.refusal(
            "rollout", "install", 1, "--meter", "NEW1", "--new-register", 0, "--as", "fitter"
        )
        in_store = shell.refusal("rollout", "install", 1, "--meter", "NEW2", *registers)
        hung = shell.ok("rollout", "install", 1, "--meter", "NEW1", *registers)

        assert no_last == "work order 1: give the last register of OLD3 [rollout.cannot-install]"
        assert "in store: issue it first" in in_store
        assert hung == "meter NEW1 hangs at U3; it is commissioned once it has been read\n"
        plan = shell.json("rollout", "plan")
        assert (plan["planned"], plan["installed"], plan["this_month"], plan["stock"]) == (10, 1, 1, 1)
        (order,) = shell.json("rollout", "orders")
        assert (order["state"], order["old_register_wh"], order["new_meter"]) == (
            "installed",
            1_500_000,
            "NEW1",
        )
        (new, old) = sorted(shell.json("registry", "show", "--account", "A3"), key=lambda each: each["meter"])
        assert (old["meter"], new["meter"], new["to"], old["to"]) == ("OLD3", "NEW1", None, new["from"])


class TestAlarm:
    def test_of_a_meters_push_is_acknowledged_by_name(self, place: Place):
        shell, serial = place.shell, place.smart[0].serial
        with shell.running("headend"), shell.running("worker"):
            place.town.tamper(serial=serial, code=MAGNET)
            alarm = self.wait_for_alarm(shell, serial)
            clerk = shell.refusal("alarm", "ack", alarm["number"], "--as", "asha")
            unknown = shell.refusal("alarm", "ack", alarm["number"], "--as", "nobody")
            said = shell.ok("alarm", "ack", alarm["number"], "--as", "op", "--note", "patrol sent")
            second = shell.refusal("alarm", "ack", alarm["number"], "--as", "eng")

        assert (alarm["meter"], alarm["account"], alarm["office"]) == (serial, "A1", "MHOW")
        assert set(alarm["words"]) == {"hi", "en"}
        assert clerk.endswith("[offices.not-permitted]")
        assert unknown.endswith("[offices.unknown-person]")
        assert said.endswith("by op\n")
        assert "was acknowledged by op already" in second
        listed = shell.json("alarm", "list", "--all")
        (found,) = [each for each in listed["alarms"] if each["number"] == alarm["number"]]
        assert (found["acknowledged_by"], found["note"]) == ("op", "patrol sent")
        assert listed["siren_required"] is False

    def wait_for_alarm(self, shell: Shell, serial: str) -> dict[str, Any]:
        patience = Patience("the alarm")
        while True:
            listed = shell.json("alarm", "list")
            for alarm in listed["alarms"]:
                if alarm["meter"] == serial and str(MAGNET) in str(alarm["code"]):
                    assert listed["siren_required"] is True
                    return dict(alarm)
            patience.wait()


class TestDoctor:
    def test_finds_the_home_well(self, place: Place):
        report = place.shell.json("doctor")

        assert (report["status"], report["halted"], report["failing"]) == ("ok", False, {})
        assert report["pending"]["validate"] == 0
        assert report["done"]["bill"]["count"] == len(place.shell.json("bill", "list"))
        assert any(note.startswith("keys: ") and "open with" in note for note in report["notes"])
        assert "All is well." in place.shell.ok("doctor")


class TestMonthsLater:
    """The last of the file: it moves the home's clock, for dues grow old by waiting alone."""

    def test_a_list_is_approved_by_another_person(self, place: Place):
        shell, start = place.shell, wall()
        settings = place.home / "settings.toml"
        settings.write_text(settings.read_text(encoding="utf-8") + "demo = true\n", encoding="utf-8")

        self.move(place, start + timedelta(days=55))
        shell.ok("arrears", "assess")
        nowhere = shell.refusal("arrears", "notices", "print", "--out", place.folder / "nowhere" / "list.csv")
        printed = list(csv.DictReader(io.StringIO(shell.ok("arrears", "notices", "print"))))
        served_on = local_date(start + timedelta(days=56))
        self.move(place, start + timedelta(days=56))
        for account in ("A1", "A2"):
            proof = ("--on", served_on, "--proof", f"RL-{account}", "--as", "asha")
            shell.ok("arrears", "notices", "served", account, *proof)
        self.move(place, start + timedelta(days=80))
        shell.ok("arrears", "assess")
        drawn = shell.ok("arrears", "list", "draw", "--office", "MHOW", "--as", "both")
        number = drawn.split()[1].rstrip(":")
        own = shell.refusal("arrears", "list", "approve", number, "--as", "both")
        approved = shell.ok("arrears", "list", "approve", number, "--as", "bala")
        again = shell.refusal("arrears", "list", "approve", number, "--as", "bala")

        assert nowhere.endswith("cannot be written: No such file or directory [base.invalid-value]")
        assert {row["account"] for row in printed} >= {"A1", "A2"}, "what was not written was not handed out"
        assert own.endswith("[offices.same-person]")
        assert approved.startswith(f"list {number}: 2 approved")
        assert again.startswith(f"list {number} was approved by bala already")
        lines = {line["account"]: line for line in shell.json("arrears", "list", "show", number)["lines"]}
        shown = shell.ok("arrears", "list", "show", number)
        first = shell.json("arrears", "list", "show", 1)
        assert first["list"]["number"] == 1
        assert {line["list_number"] for line in first["lines"]} <= {1}
        assert {line["list_number"] for line in lines.values()} == {int(number)}
        assert all(account in shown for account in ("A1", "A2", "A3", "A4"))
        assert "protected" in shown
        assert {lines[account]["state"] for account in ("A1", "A2")} == {"warned"}
        assert {lines[account]["approved_by"] for account in ("A1", "A2")} == {"bala"}
        assert "protected" in lines["A4"]["reason_codes"]
        assert "notice" in str(lines["A3"]["reason_codes"])
        assert shell.ok("arrears", "send").startswith("sent or handed over: 0")
        assert "A1" in shell.ok("arrears", "orders")

    def move(self, place: Place, now: datetime) -> None:
        database = Database(place.database_url)
        set_demo_time(database, now=now)
        database.close()
