"""`bijlighar meter` and `registry keys` as a person runs them, against a meter on a real socket."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bijlighar.base.period import epoch_seconds, local_midnight
from bijlighar.cli.keys import keys as keys_command
from bijlighar.cli.meter import meter as meter_command
from bijlighar.headend import keys_store
from bijlighar.headend.errors import SealedKeys
from bijlighar.headend.keys import write_keys_file
from bijlighar.headend.model import ControlAction
from bijlighar.headend.operations import GateRefusal, HeadEndError, RelayNotMoved, signed_order_json
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import KEY_ENCRYPTION_KEY, Line
from tests.headend.gate_process import gate_of_home
from tests.headend.meter import Meter, serving
from tests.headend.orders import meter_keys, order
from tests.headend.town import hang

FIRST = date(2025, 6, 30)


@pytest.fixture
def keys_file(tmp_path: Path) -> str:
    """A keys file of one meter."""
    file = tmp_path / "keys.json"
    file.write_text(write_keys_file([replace(meter_keys(), url=None)]))
    return str(file)


@pytest.fixture
def filled() -> Meter:
    """A meter with a day of block load."""
    meter = Meter(keys=meter_keys())
    meter.fill(local_midnight(FIRST), local_midnight(FIRST) + timedelta(days=2))
    meter.events = {
        4: [(epoch_seconds(local_midnight(FIRST)), 201)],
        0: [(epoch_seconds(local_midnight(FIRST)) + 60, 7)],
    }
    return meter


def call(*arguments: str) -> Result:
    return CliRunner().invoke(meter_command, list(arguments), catch_exceptions=True)


def json_of(*arguments: str) -> dict[str, object]:
    result = call(*arguments, "--format", "json")
    assert result.exception is None, result.exception
    found: dict[str, object] = json.loads(result.stdout)
    return found


class TestRead:
    def test_names_an_interval_by_its_start(self, filled: Meter, keys_file: str):
        with serving(filled) as url:
            answer = json_of(
                "read", url, "--profile", "block-load", "--client", "32", "--keys", keys_file,
                "--from", "2025-06-30T00:00:00+05:30", "--to", "2025-07-01T00:00:00+05:30",
            )  # fmt: skip

        rows = answer["rows"]
        assert isinstance(rows, list)
        assert (answer["profile"], answer["serial"], len(rows)) == ("block-load", "BJ100001", 48)
        assert rows[0]["time"] == "2025-06-30T00:00:00+05:30"
        assert rows[-1]["time"] == "2025-06-30T23:30:00+05:30"
        assert rows[0]["1.0.1.29.0.255"] == 100
        assert rows[0]["1.0.12.27.0.255"] == 230.12
        columns = answer["columns"]
        assert isinstance(columns, list)
        assert {"obis": "1.0.1.29.0.255", "attribute": 2, "name": "wh_import", "unit": "Wh"} in columns

    def test_reads_everything_without_a_range(self, filled: Meter, keys_file: str):
        with serving(filled) as url:
            answer = json_of("read", url, "--profile", "block-load", "--keys", keys_file)

        assert isinstance(answer["rows"], list)
        assert len(answer["rows"]) == 96

    def test_takes_the_start_of_the_range_and_leaves_its_end(self, filled: Meter, keys_file: str):
        with serving(filled) as url:
            answer = json_of(
                "read", url, "--profile", "block-load", "--keys", keys_file,
                "--from", "2025-06-30T10:30:00+05:30", "--to", "2025-06-30T11:30:00+05:30",
            )  # fmt: skip

        assert isinstance(answer["rows"], list)
        assert [row["time"][11:16] for row in answer["rows"]] == ["10:30", "11:00"]

    def test_speaks_as_the_setting_client_too(self, filled: Meter, keys_file: str):
        with serving(filled) as url:
            answer = json_of("read", url, "--profile", "daily", "--client", "48", "--keys", keys_file)

        assert isinstance(answer["rows"], list)
        assert answer["rows"][0]["time"] == "2025-07-01T00:00:00+05:30"

    def test_shows_an_unset_time_as_null_under_the_attribute(self, filled: Meter, keys_file: str):
        filled.billing = {epoch_seconds(local_midnight(date(2025, 7, 1))): 5000}
        with serving(filled) as url:
            answer = json_of("read", url, "--profile", "billing", "--keys", keys_file)

        assert isinstance(answer["rows"], list)
        (row,) = answer["rows"]
        assert row["1.0.1.6.0.255/5"] is None
        assert row["1.0.1.8.0.255"] == 5000

    def test_gathers_the_events_of_all_logs_by_time(self, filled: Meter, keys_file: str):
        with serving(filled) as url:
            answer = json_of("read", url, "--profile", "events", "--keys", keys_file)

        assert isinstance(answer["rows"], list)
        assert [row["event"] for row in answer["rows"]] == ["Magnet influence", "Over-voltage in any phase"]

    @pytest.mark.parametrize("profile", ["instantaneous", "nameplate", "block-load", "daily", "events"])
    def test_prints_a_table(self, filled: Meter, keys_file: str, profile: str):
        with serving(filled) as url:
            result = call("read", url, "--profile", profile, "--keys", keys_file)

        assert result.exception is None, result.exception
        assert "BJ100001" in result.stdout

    def test_prints_csv(self, filled: Meter, keys_file: str):
        with serving(filled) as url:
            result = call("read", url, "--profile", "block-load", "--keys", keys_file, "--format", "csv")

        rows = list(csv.DictReader(io.StringIO(result.stdout)))
        assert len(rows) == 96
        assert rows[0]["1.0.1.29.0.255"] == "100"

    def test_reads_the_counter_anew_each_time_and_never_uses_one_twice(self, filled: Meter, keys_file: str):
        with serving(filled) as url:
            seen = []
            for _ in range(3):
                json_of("read", url, "--profile", "daily", "--keys", keys_file)
                seen.append(filled.seen[32])

        assert seen == sorted(set(seen))

    def test_fails_with_a_wrong_key(self, filled: Meter, tmp_path: Path):
        file = tmp_path / "wrong.json"
        file.write_text(write_keys_file([replace(meter_keys(), ek=b"W" * 16)]))
        with serving(filled) as url:
            result = call("read", url, "--profile", "daily", "--keys", str(file))

        assert result.exit_code == 1
        assert "refuses" in str(result.exception)

    @pytest.mark.parametrize(
        "arguments",
        [
            ("read", "tcp://127.0.0.1:9", "--profile", "daily"),
            ("read", "tcp://127.0.0.1:9", "--profile", "nonsense", "--client", "16"),
            ("read", "tcp://127.0.0.1:9", "--profile", "daily", "--client", "17"),
            ("read", "tcp://127.0.0.1:9", "--profile", "daily", "--client", "16", "--from", "yesterday"),
            ("read", "tcp://127.0.0.1:9", "--profile", "daily", "--client", "16", "--title", "00"),
            ("get", "tcp://127.0.0.1:9", "1.0.1", "--class", "1", "--attribute", "2", "--client", "16"),
            (
                "read", "tcp://127.0.0.1:9", "--profile", "daily", "--client", "16",
                "--from", "2025-07-02T00:00:00+05:30", "--to", "2025-07-01T00:00:00+05:30",
            ),
        ],
    )  # fmt: skip
    def test_tells_wrong_usage(self, arguments: tuple[str, ...]):
        assert call(*arguments).exit_code == 2

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("tcp://127.0.0.1:9", "headend.unreachable"),
            ("http://127.0.0.1:9", "headend.broken-url"),
            ("hdlc://dev/ttyUSB0", "headend.broken-url"),
            ("tcp://127.0.0.1:9?server=x", "headend.broken-url"),
            ("tcp://127.0.0.1:9?serve=1", "headend.broken-url"),
            ("tcp://127.0.0.1:99999999", "headend.broken-url"),
        ],
    )
    def test_names_what_is_wrong_with_the_way(self, url: str, code: str):
        result = call("read", url, "--profile", "daily", "--client", "16", "--timeout", "2")

        assert result.exit_code == 1
        assert getattr(result.exception, "code", None) == code


class TestGet:
    def test_reads_a_counter_as_the_public_client(self, filled: Meter):
        filled.seen = {32: 77}
        with serving(filled) as url:
            answer = json_of(
                "get", url, "0.0.43.1.2.255", "--class", "1", "--attribute", "2", "--client", "16"
            )

        assert answer == {"obis": "0.0.43.1.2.255", "class": 1, "attribute": 2, "value": 77}

    def test_shows_a_time(self, filled: Meter, keys_file: str):
        filled.now = datetime(2025, 7, 1, 5, 0, tzinfo=UTC)
        with serving(filled) as url:
            answer = json_of(
                "get", url, "0.0.1.0.0.255", "--class", "8", "--attribute", "2", "--keys", keys_file
            )

        assert answer["value"] == "2025-07-01T10:30:00+05:30"

    def test_says_that_the_meter_does_not_have_it(self, filled: Meter, keys_file: str):
        with serving(filled) as url:
            result = call(
                "get", url, "9.9.9.9.9.255", "--class", "1", "--attribute", "2", "--keys", keys_file
            )

        assert result.exit_code == 1
        assert getattr(result.exception, "code", None) == "headend.access-refused"


class TestRelay:
    def home(self, tmp_path: Path) -> tuple[str, Home]:
        folder = tmp_path / "home"
        return str(folder), Home(folder)

    def test_shows_the_relay_without_a_home(self, filled: Meter, keys_file: str, tmp_path: Path):
        folder, _ = self.home(tmp_path)
        with serving(filled) as url:
            answer = json_of("relay", url, "status", "--client", "48", "--keys", keys_file, "--home", folder)

        assert answer == {"output_state": True, "control_state": 1, "control_mode": 4, "verified": True}
        assert not Path(folder).exists()

    def test_operates_a_meter_that_is_in_no_registry(self, filled: Meter, keys_file: str, tmp_path: Path):
        folder, _ = self.home(tmp_path)
        with serving(filled) as url:
            opened = json_of("relay", url, "disconnect", "--keys", keys_file, "--home", folder)
            closed = json_of("relay", url, "reconnect", "--keys", keys_file, "--home", folder)

        assert (opened["output_state"], opened["verified"]) == (False, True)
        assert (closed["output_state"], closed["verified"]) == (True, True)
        assert filled.actions == ["disconnect", "reconnect"]

    def test_fails_where_the_relay_does_not_move(self, filled: Meter, keys_file: str, tmp_path: Path):
        filled.stuck = True
        folder, _ = self.home(tmp_path)
        with serving(filled) as url:
            result = call(
                "relay", url, "disconnect", "--keys", keys_file, "--home", folder, "--format", "json"
            )

        assert json.loads(result.stdout)["verified"] is False
        assert isinstance(result.exception, RelayNotMoved)
        assert result.exit_code == 1

    def test_does_not_touch_a_registered_meter_without_an_authorisation(
        self, filled: Meter, keys_file: str, tmp_path: Path
    ):
        folder, home = self.home(tmp_path)
        with serving(filled) as url:
            hang(home.database, serial="BJ100001", url="tcp://10.0.0.1:4059")
            by_serial = call("relay", url, "disconnect", "--keys", keys_file, "--home", folder)

        assert isinstance(by_serial.exception, GateRefusal)
        assert filled.actions == []

    def test_obeys_an_authorisation_once(self, filled: Meter, keys_file: str, tmp_path: Path):
        folder, home = self.home(tmp_path)
        line = Line(home)
        now = home.clock.now()
        plain = order(issued_at=now, expires_at=now + timedelta(hours=1))
        file = tmp_path / "order.json"
        file.write_text(signed_order_json(line.sign(plain)))
        with serving(filled) as url, gate_of_home(home):
            hang(home.database, serial="BJ100001", url=url)
            arguments = ("--keys", keys_file, "--home", folder, "--authorisation", str(file))
            first = json_of("relay", url, "disconnect", *arguments)
            filled.closed, filled.control_state = True, 1
            second = call("relay", url, "disconnect", *arguments)

        assert first["verified"] is True
        assert isinstance(second.exception, GateRefusal)
        assert "used before" in str(second.exception)
        assert filled.actions == ["disconnect"]

    def test_obeys_no_authorisation_while_the_gate_is_away(
        self, filled: Meter, keys_file: str, tmp_path: Path
    ):
        folder, home = self.home(tmp_path)
        now = home.clock.now()
        file = tmp_path / "order.json"
        plain = order(issued_at=now, expires_at=now + timedelta(hours=1))
        file.write_text(signed_order_json(Line(home).sign(plain)))
        with serving(filled) as url:
            hang(home.database, serial="BJ100001", url=url)
            arguments = ("--keys", keys_file, "--home", folder, "--authorisation", str(file))
            result = call("relay", url, "disconnect", *arguments)

        assert isinstance(result.exception, HeadEndError)
        assert result.exception.code == "headend.gate-away"
        assert filled.actions == []

    def test_obeys_no_authorisation_for_another_meter_or_action(
        self, filled: Meter, keys_file: str, tmp_path: Path
    ):
        folder, home = self.home(tmp_path)
        line = Line(home)
        now = home.clock.now()
        plain = order(serial="BJ999999", issued_at=now, expires_at=now + timedelta(hours=1))
        other = replace(plain, serial="BJ100001", action=ControlAction.RECONNECT)
        with serving(filled) as url, gate_of_home(home):
            hang(home.database, serial="BJ100001", url=url)
            for place, shown in enumerate((plain, other)):
                file = tmp_path / f"order{place}.json"
                file.write_text(signed_order_json(line.sign(shown)))
                arguments = ("--keys", keys_file, "--home", folder, "--authorisation", str(file))
                result = call("relay", url, "disconnect", *arguments)
                assert isinstance(result.exception, GateRefusal)

        assert filled.actions == []


class TestKeys:
    def test_stores_the_keys_of_a_file_encrypted(self, tmp_path: Path):
        file = tmp_path / "keys.json"
        file.write_text(write_keys_file([meter_keys("BJ1"), meter_keys("BJ2")]))
        home = Home(tmp_path / "home")

        result = CliRunner().invoke(keys_command, [str(file), "--home", str(home.path)])

        assert (result.exit_code, "2 meters" in result.stdout) == (0, True)
        with home.database.read() as connection:
            rows = keys_store.sealed_keys(connection, serials=["BJ1", "BJ2"])
        opened = [row.unseal(key_encryption_key=home.key(KEY_ENCRYPTION_KEY)) for row in rows]
        assert sorted(keys.serial for keys in opened) == ["BJ1", "BJ2"]
        assert meter_keys("BJ1").ek not in (home.path / "bijlighar.sqlite").read_bytes()

    def test_gives_what_commands_a_meter_to_the_gate_alone(self, tmp_path: Path):
        file = tmp_path / "keys.json"
        own = {"setting_ek": b"S" * 16, "setting_ak": b"T" * 16, "master": b"M" * 16}
        file.write_text(write_keys_file([meter_keys("BJ1", **own)]))
        home = Home(tmp_path / "home")

        CliRunner().invoke(keys_command, [str(file), "--home", str(home.path)])

        with home.database.read() as connection:
            (reads,) = keys_store.sealed_keys(connection, serials=["BJ1"])
        gate = Line(home).gate
        with gate.open_store().read() as connection:
            (commands,) = keys_store.sealed_keys(connection, serials=["BJ1"])
        reading = reads.unseal(key_encryption_key=home.key(KEY_ENCRYPTION_KEY))
        commanding = commands.unseal(key_encryption_key=gate.key_encryption_key())
        assert (reading.hls, reading.setting_ek, reading.setting_ak, reading.master) == (None,) * 4
        assert (commanding.ek, commanding.ak, commanding.lls) == (b"S" * 16, b"T" * 16, None)
        with pytest.raises(SealedKeys):
            commands.unseal(key_encryption_key=home.key(KEY_ENCRYPTION_KEY))

    def test_stores_nothing_of_a_broken_file(self, tmp_path: Path):
        file = tmp_path / "keys.json"
        file.write_text('[{"serial": "BJ1"}]')

        result = CliRunner().invoke(keys_command, [str(file), "--home", str(tmp_path / "home")])

        assert result.exit_code == 1
        assert "BJ1" in str(result.exception)
