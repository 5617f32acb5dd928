"""Meters that are not quite of IS 15959, and lines that need more than we have."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bijlighar.headend.keys import write_keys_file
from tests.headend.meter import Meter, serving
from tests.headend.orders import meter_keys
from tests.headend.test_cli import call, json_of


@pytest.fixture
def keys_file(tmp_path: Path) -> str:
    """A keys file of one meter."""
    file = tmp_path / "keys.json"
    file.write_text(write_keys_file([replace(meter_keys(), url=None)]))
    return str(file)


class TestMeter:
    def test_with_one_counter_for_all_clients_is_asked_for_that(self, keys_file: str):
        meter = Meter(keys=meter_keys(), common_counter=True, seen={32: 12, 48: 700})
        with serving(meter) as url:
            words = ("get", url, "0.0.96.1.0.255", "--class", "1", "--attribute", "2", "--keys", keys_file)
            json_of(*words)
        assert meter.asked[:2] == ["0.0.43.1.2.255/2", "0.0.43.1.0.255/2"]
        assert meter.seen[32] > 700

    def test_that_tells_no_control_mode_still_tells_its_relay(self, keys_file: str):
        meter = Meter(keys=meter_keys(), no_control_mode=True)
        with serving(meter) as url:
            words = ("relay", url, "status", "--client", "48", "--keys", keys_file)
            answer = json_of(*words)
            told = call(*words).stdout
        assert answer == {"output_state": True, "control_state": 1, "control_mode": None, "verified": True}
        assert "control mode not told" in told

    @pytest.mark.parametrize(
        ("register", "scaled", "unit"),
        [((2301, -1, 35), 230.1, "V"), ((523, 1, 30), 5230, "Wh"), ((7, 0, 255), 7, "")],
    )
    def test_scales_a_register_by_its_own_scaler(
        self, keys_file: str, register: tuple[int, int, int], scaled: float, unit: str
    ):
        meter = Meter(keys=meter_keys(), registers={"1.0.32.7.0.255": register})
        with serving(meter) as url:
            words = ("get", url, "1.0.32.7.0.255", "--class", "3", "--attribute", "2", "--keys", keys_file)
            answer = json_of(*words)
            told = call(*words).stdout
        assert (answer["value"], answer["scaled"], answer["unit"]) == (register[0], scaled, unit)
        assert told == f"{scaled} {unit}".rstrip() + "\n"


class TestSerialLine:
    words = ("get", "hdlc:///dev/no-such-probe", "0.0.1.0.0.255", "--class", "8", "--attribute", "2")

    def test_without_its_library_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(sys.modules, "serialx", None)
        result = call(*self.words, "--client", "16")
        assert getattr(result.exception, "code", None) == "headend.unsupported-transport"
        assert "pip install 'bijlighar[serial]'" in str(result.exception)

    def test_that_is_not_there_is_unreachable(self):
        pytest.importorskip("serialx", reason="the extra `serial` is not installed")
        result = call(*self.words, "--client", "16")
        assert getattr(result.exception, "code", None) == "headend.unreachable"
