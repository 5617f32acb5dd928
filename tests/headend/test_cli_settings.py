"""`meter settings` as people run it, through `bijlighar gate`; and what the head-end reads of a meter set anew."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bijlighar.arrears import operations as arrears
from bijlighar.base.period import day_number
from bijlighar.cli.keys import keys as keys_command
from bijlighar.cli.main import bijlighar
from bijlighar.headend import gate_store
from bijlighar.headend import operations as headend
from bijlighar.headend.errors import RefusedSetting
from bijlighar.headend.model import GateCode
from bijlighar.headend.operations import supply_facts
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as offices_queries
from bijlighar.offices.model import Role
from bijlighar.readings import queries as readings
from bijlighar.registry import operations as registry
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.simulator import operations as simulator
from bijlighar.simulator.model import Town
from tests.headend.documents import CALENDAR, LIMIT, WHOLE
from tests.headend.gate_process import gate_of_home
from tests.simulator.towns import DAY, HOUR, MIDNIGHT, TownProcess, a_town


class Place:
    """A home with a running gate, and the relay meters of a running town."""

    def __init__(self, home: Home, town: TownProcess, plan: Town, folder: Path) -> None:
        quiet = {silence.serial for silence in plan.silences}
        self.home, self.town, self.folder = home, town, folder
        self.devices = [
            device
            for device in plan.devices
            if device.smart and device.kind.has_relay and not device.in_store and device.serial not in quiet
        ]
        self.serials = [device.serial for device in self.devices]
        self.plan = plan

    def call(self, *words: str) -> Result:
        return CliRunner().invoke(bijlighar, ["meter", "settings", *words, "--home", str(self.home.path)])

    def document(self, text: str) -> str:
        file = self.folder / f"{len(list(self.folder.glob('*.toml')))}.toml"
        file.write_text(text)
        return str(file)

    def send(self, document: str, *serials: str, second: str = "ravi") -> Result:
        return self.call("send", document, *serials, "--as", "meena", "--second", second)

    def codes(self) -> list[GateCode]:
        store = Line(self.home).gate.open_store()
        with store.read() as connection:
            found = [entry.code for entry in gate_store.entries(connection, after=0, limit=1_000)]
        store.close()
        return found

    def account(self, serial: str) -> str:
        consumer = next(device.consumer for device in self.devices if device.serial == serial)
        assert consumer is not None
        return self.plan.consumers[consumer].account


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("settings-cli")
    plan = a_town(meters=60)
    home = Home(folder / "home")
    with TownProcess(folder / "town", town=plan) as town:
        town.control.set_time(MIDNIGHT + HOUR)
        file = folder / "keys.json"
        file.write_text(simulator.keys_json(town=plan, host="127.0.0.1", port=town.port))
        assert CliRunner().invoke(keys_command, [str(file), "--home", str(home.path)]).exit_code == 0
        with home.database.write() as connection:
            registry.import_network(connection, text=simulator.network_csv(town=plan))
            text = simulator.registry_csv(town=plan, host="127.0.0.1", port=town.port)
            registry.import_registry(connection, text=text, now=MIDNIGHT)
            offices.import_offices(connection, text=simulator.offices_csv(town=plan))
            people = (
                *(("meena", Role.ENGINEER), ("ravi", Role.ADMIN)),
                *(("clerk", Role.CLERK), ("officer", Role.APPROVER)),
            )
            for name, role in people:
                offices.add_person(
                    connection,
                    sign_in=name,
                    name=name,
                    office=plan.control_centre,
                    roles=[role],
                    now=MIDNIGHT,
                )
        with gate_of_home(home):
            yield Place(home, town, plan, folder)


class TestCheck:
    def test_names_the_digest_and_warns_of_a_load_limit(self, place: Place):
        plain = CliRunner().invoke(bijlighar, ["meter", "settings", "check", place.document(WHOLE)])
        limit = CliRunner().invoke(bijlighar, ["meter", "settings", "check", place.document(LIMIT)])

        assert (plain.exit_code, limit.exit_code) == (0, 0)
        assert "SHA-256" in plain.output
        assert "approver" in limit.output
        assert "approver" not in plain.output


class TestSend:
    def test_sets_what_differs_and_then_nothing(self, place: Place):
        document, serial = place.document(WHOLE), place.serials[0]
        before = place.call("compare", document, serial, "--format", "json")

        first, again = place.send(document, serial), place.send(document, serial)

        after = place.call("compare", document, serial, "--format", "json")
        read = place.call("read", serial)
        assert (first.exit_code, first.exception) == (0, None), first.output
        assert "calendar, billing" in first.output
        assert (again.exit_code, again.output) == (
            0,
            "1 of 1 meters are done (1 were before); 0 wait for the step before theirs, 0 failed\n",
        )
        assert "different" in {row["state"] for row in json.loads(before.output)["meters"]}
        assert {row["state"] for row in json.loads(after.output)["meters"]} == {"equal"}
        settings = json.loads(read.output)["settings"]
        assert settings["billing"] == {"day": 15, "time": "00:00"}
        assert settings["calendar"]["days"]["1"]["06:00"] == 2
        with place.home.database.read() as connection:
            details = [entry.detail for entry in offices_queries.audit(connection, limit=100)]
        assert any("ToD of April" in str(detail) for detail in details)

    def test_goes_by_steps_over_a_list_of_meters(self, place: Place):
        document = place.document('name = "steps"\n' + CALENDAR)
        listed = place.folder / "meters.txt"
        listed.write_text("\n".join(place.serials[:12]) + "\n")

        for serial in place.serials[
            :10
        ]:  # so that nobody of the first ten is read back when the eleventh asks
            place.town.control.fault(serial=serial, name="delay", on=True)

        result = place.send(document, "--meters", str(listed), "--at-once", "12")

        for serial in place.serials[:10]:
            place.town.control.fault(serial=serial, name="delay", on=False)
        assert (result.exit_code, result.exception) == (0, None), result.output
        assert "a step is read back: 10 done, 2 to come" in result.output
        assert "12 of 12 meters are done" in result.output
        assert GateCode.STEP in place.codes()

    def test_says_who_was_not_done_and_goes_on(self, place: Place):
        document, serial = place.document('name = "silent"\n' + CALENDAR), place.serials[13]
        place.town.control.silence(serial=serial, silent=True)
        first = place.send(document, serial, place.serials[14])
        place.town.control.silence(serial=serial, silent=False)
        again = place.send(document, serial, place.serials[14])

        assert first.exit_code == 1
        assert "1 of 2 meters are done" in first.output
        assert (again.exit_code, again.exception) == (0, None), again.output
        assert "2 of 2 meters are done (1 were before)" in again.output

    @pytest.mark.parametrize("second", ["meena", "clerk"])
    def test_needs_another_person_who_may(self, place: Place, second: str):
        result = place.send(
            place.document(f'name = "{second}"\n' + CALENDAR), place.serials[2], second=second
        )

        assert result.exit_code == 1
        assert "calendar set" not in result.output


def sanctioned(place: Place) -> dict[str, int]:
    """The sanctioned loads [W] of the meters whose accounts nothing protects."""
    found = {}
    with place.home.database.read() as connection:
        for serial in place.serials:
            with suppress(RefusedSetting):
                facts = supply_facts(connection, serial=serial, now=place.home.clock.now())
                found[serial] = facts.sanctioned_w
    return found


class TestLoadLimit:
    def limit(self, place: Place, watts: int) -> str:
        return place.document(LIMIT.replace("5000", str(watts)))

    def test_takes_an_approver_and_the_sanctioned_load(self, place: Place):
        serial, sanctioned_w = next(iter(sanctioned(place).items()))
        enough = self.limit(place, max(sanctioned_w, 1_000))

        engineer = place.send(enough, serial, second="ravi")
        approver = place.send(enough, serial, second="officer")

        assert engineer.exit_code == 1
        assert "load_limit set" not in engineer.output
        assert (approver.exit_code, approver.exception) == (0, None), approver.output
        assert f"meter {serial}: load_limit set" in approver.output

    def test_is_refused_below_the_sanctioned_load(self, place: Place):
        sanctioned_w, serial = max((watts, serial) for serial, watts in sanctioned(place).items())

        result = place.send(self.limit(place, sanctioned_w - 1), serial, second="officer")

        assert sanctioned_w > 1_000
        assert result.exit_code == 1
        assert GateCode.LOAD_LIMIT.value in result.output

    def test_is_refused_where_the_account_is_protected(self, place: Place):
        serial = list(sanctioned(place))[-1]
        with place.home.database.write() as connection:
            registry.protect_account(
                connection,
                account=place.account(serial),
                kind="life_support",
                certificate="hospital",
                until=None,
                by="officer",
                now=place.home.clock.now(),
            )

        result = place.send(self.limit(place, 999_999), serial, second="officer")

        assert result.exit_code == 1
        assert "protected (life_support)" in result.output

    def test_is_refused_while_disconnections_are_halted(self, place: Place):
        serial, database = next(iter(sanctioned(place))), place.home.database
        arrears.halt(database, person="officer", reason="storm", now=MIDNIGHT + HOUR)
        try:
            result = place.send(self.limit(place, 999_998), serial, second="officer")
        finally:
            arrears.resume(database, person="officer", reason="over", now=MIDNIGHT + 2 * HOUR)

        assert result.exit_code == 1
        assert "halted" in result.output


class TestCollection:
    def test_reads_quarters_from_a_meter_that_was_set_to_them(self, place: Place):
        serial = place.serials[0]  # set to 15 minutes by the tests above
        place.town.control.set_time(MIDNIGHT + 2 * DAY + HOUR)
        now = MIDNIGHT + 2 * DAY + HOUR
        head_end = headend.open_head_end(place.home.database, settings=Line(place.home).head_end_settings)
        asyncio.run(headend.collect_due(place.home.database, now=now, head_end=head_end))

        with place.home.database.read() as connection:
            number = day_number(date(2025, 4, 2))
            blocks = readings.raw_days(connection, meters=[serial], first=number, last=number)
        truth = place.town.control.truth(date(2025, 4, 2), date(2025, 4, 2))
        registered = truth.registered_wh[truth.serials.index(serial)].sum()

        assert [block.minutes for block in blocks] == [15]
        assert int(blocks[0].values["wh_import"].sum()) == int(registered)
