"""`meter change-keys` and `meter firmware` as two persons run them, through `bijlighar gate`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bijlighar.cli.keys import keys as keys_command
from bijlighar.cli.main import bijlighar
from bijlighar.headend import gate_store, keys_store
from bijlighar.headend.model import GateCode, MeterKeys
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as offices_queries
from bijlighar.offices.model import Act, Role
from bijlighar.registry import operations as registry
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import KEY_ENCRYPTION_KEY, Line
from bijlighar.simulator import operations as simulator
from tests.headend.gate_process import gate_of_home
from tests.headend.test_gate_upkeep import NEW
from tests.simulator.towns import HOUR, MIDNIGHT, TownProcess, a_town, relay_meter


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, str]]:
    """A home with a running gate, and a meter of a running town."""
    folder = tmp_path_factory.mktemp("upkeep-cli")
    plan = a_town(meters=20)
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
            for name, role in (("meena", Role.ENGINEER), ("ravi", Role.ADMIN), ("clerk", Role.CLERK)):
                offices.add_person(
                    connection, sign_in=name, name=name, office=plan.office, roles=[role], now=MIDNIGHT
                )
        with gate_of_home(home):
            yield home, relay_meter(plan).serial


def call(home: Home, *words: str) -> Result:
    return CliRunner().invoke(bijlighar, ["meter", *words, "--home", str(home.path)])


class TestChangeKeys:
    def test_gives_new_keys_and_records_who_ordered_it(self, place: tuple[Home, str]):
        home, serial = place

        result = call(home, "change-keys", serial, "--as", "meena", "--second", "ravi")

        assert (result.exit_code, result.exception) == (0, None), result.output
        assert result.output == f"meter {serial} has new keys for client 48\n"
        with home.database.read() as connection:
            entries = offices_queries.audit(connection, limit=100)
        assert ("meena", Act.MAINTAIN_METER.value) in [(entry.person, str(entry.act)) for entry in entries]

    @pytest.mark.parametrize("second", ["meena", "clerk"])
    def test_needs_another_person_who_may(self, place: tuple[Home, str], second: str):
        home, serial = place

        result = call(home, "change-keys", serial, "--as", "meena", "--second", second)

        assert result.exit_code == 1
        assert "new keys" not in result.output


class TestChangeOthers:
    @pytest.mark.parametrize(
        ("client", "secrets", "what"),
        [
            ("32", (), "new keys for client 32"),
            ("32", ("--secrets",), "a new password for client 32"),
            ("48", ("--secrets",), "a new password for client 48"),
        ],
    )
    def test_gives_keys_and_passwords_of_both_clients(
        self, place: tuple[Home, str], client: str, secrets: tuple[str, ...], what: str
    ):
        home, serial = place
        people = ("--as", "meena", "--second", "ravi")
        before = stored(home, serial)

        result = call(home, "change-keys", serial, "--client", client, *secrets, *people)

        assert (result.exit_code, result.output) == (0, f"meter {serial} has {what}\n")
        after = stored(home, serial)
        assert (after != before) is (client == "32")
        again = call(home, "change-keys", serial, "--client", client, *secrets, *people)
        assert again.exit_code == 0, again.output
        for secret in (after.ek, after.ak, after.lls or b""):
            assert secret.hex() not in again.output
        with home.database.read() as connection:
            entries = offices_queries.audit(connection, limit=100)
        assert ("meena", Act.MAINTAIN_METER.value) in [(entry.person, str(entry.act)) for entry in entries]

    def test_needs_another_person(self, place: tuple[Home, str]):
        home, serial = place
        before = stored(home, serial)

        words = ("change-keys", serial, "--client", "32", "--as", "meena", "--second", "meena")

        assert call(home, *words).exit_code == 1
        assert stored(home, serial) == before


def stored(home: Home, serial: str) -> MeterKeys:
    with home.database.read() as connection:
        (row,) = keys_store.sealed_keys(connection, serials=[serial])
    return row.unseal(key_encryption_key=home.key(KEY_ENCRYPTION_KEY))


class TestFirmware:
    def test_brings_it_in_once(self, place: tuple[Home, str], tmp_path: Path):
        home, serial = place
        image = tmp_path / "image.bin"
        image.write_bytes(NEW.octets)
        words = ("firmware", str(image), serial, "--version", "2.0.0", "--as", "meena", "--second", "ravi")

        first, again = call(home, *words), call(home, *words)

        assert (first.exit_code, first.output) == (0, f"meter {serial} runs 2.0.0\n")
        assert again.exit_code == 1
        assert "headend.gate-used" in again.output
        store = Line(home).gate.open_store()
        with store.read() as connection:
            codes = [entry.code for entry in gate_store.entries(connection, after=0, limit=100)]
        store.close()
        assert codes[-2:] == [GateCode.ADMITTED, GateCode.USED]
