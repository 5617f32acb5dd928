"""Other people's clients read and operate `bijlighar meter simulate`, over the wrapper and over HDLC."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from bijlighar.base.period import epoch_seconds, local_date, local_midnight
from bijlighar.dlms import clock
from bijlighar.runtime.clock import wall
from bijlighar.simulator.operations import TownControl
from tests.cli.shell import Shell, first_line
from tests.interop import peer
from tests.interop.peer import PEERS, TITLE, Outcome
from tests.simulator.towns import free_ports

CLOCK, NAME, IMPORT, BLOCKS = "0.0.1.0.0.255", "0.0.42.0.0.255", "1.0.1.8.0.255", "1.0.99.1.0.255"
RELAY, COUNTERS = "0.0.96.3.10.255", {32: "0.0.43.1.2.255", 48: "0.0.43.1.3.255"}
LOOK = (["get", 70, RELAY, 2], ["get", 70, RELAY, 3])
OFF, ON = ["act", 70, RELAY, 1], ["act", 70, RELAY, 2]
PERIOD_S = 1800
WH_IMPORT = 2
FRAMINGS = ("wrapper", "hdlc")


@dataclass(frozen=True, kw_only=True)
class Meter:
    """A simulated meter: where it answers, its keys, and what it truly did."""

    framing: str
    port: int
    keys: dict[str, str]
    control: TownControl

    def session(self, client: int, *steps: list[object], **other_keys: str) -> dict[str, object]:
        """The session of a peer."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "framing": self.framing,
            "server": 1,
            "client": client,
            "title": TITLE,
            "keys": {**self.keys, **other_keys} if client in COUNTERS else None,
            "counter": COUNTERS.get(client),
            "steps": list(steps),
        }

    @property
    def is_closed(self) -> bool:
        """Whether its relay is truly closed."""
        return self.control.relays().closed[self.keys["serial"]]


def simulated(framing: str, folder: Path) -> Iterator[Meter]:
    port = free_ports(2)
    keys, control = folder / "keys.json", f"127.0.0.1:{port + 1}"
    order = ("--port", port, "--meters", 1, "--keys-out", keys, "--control", control)
    with (
        Shell() as shell,
        shell.running("meter", "simulate", *order, *(("--hdlc",) if framing == "hdlc" else ())) as process,
    ):
        assert first_line(process) == f"1 meters listen on 127.0.0.1:{port}"
        entry = json.loads(keys.read_text(encoding="utf-8"))[0]
        yield Meter(framing=framing, port=port, keys=entry, control=TownControl(control))


@pytest.fixture(scope="module", params=FRAMINGS)
def meter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meter]:
    """A meter of its own for each framing."""
    if not any(peer.has(module) for module in peer.MODULES.values()):
        pytest.skip("no other DLMS library is installed beside us; ./dev test does it where it can")
    yield from simulated(request.param, tmp_path_factory.mktemp(request.param))


def yesterday() -> date:
    return local_date(wall()) - timedelta(days=1)


def truth(meter: Meter, day: date) -> dict[int, int]:
    """What the meter registered [Wh], by the epoch second at which the interval ends."""
    told = meter.control.truth(day, day)
    assert told.serials == (meter.keys["serial"],)
    return {
        int(start) + PERIOD_S: int(wh) for start, wh in zip(told.starts, told.registered_wh[0], strict=True)
    }


def stamp(row: list[Any]) -> int:
    moment = clock.decode(bytes.fromhex(row[0]))
    assert moment is not None
    return epoch_seconds(moment)


def only(outcomes: tuple[Outcome, ...]) -> tuple[Any, ...]:
    (outcome,) = outcomes
    assert outcome.refused is None, outcome
    return outcome.answers


@pytest.mark.parametrize("name", PEERS)
class TestPeer:
    def test_reads_as_every_client(self, meter: Meter, name: str):
        """Public without security, LLS ciphered, HLS with GMAC ciphered: clock, name, register, a day by range."""
        day = yesterday()
        first = epoch_seconds(local_midnight(day))
        rows = ["rows", BLOCKS, first + PERIOD_S, first + 86_400]
        gets = (["get", 8, CLOCK, 2], ["get", 1, NAME, 2])
        public, reader, setting = peer.talk(
            name,
            [
                meter.session(16, *gets, ["get", 1, COUNTERS[32], 2]),
                meter.session(32, *gets, ["get", 3, IMPORT, 2], rows),
                meter.session(48, *gets, ["get", 3, IMPORT, 2], rows),
            ],
        )

        assert (public.refused, reader.refused, setting.refused) == (None, None, None)
        assert isinstance(public.answers[2], int)
        for outcome in (public, reader, setting):
            told = clock.decode(bytes.fromhex(outcome.answers[0]))
            assert told is not None
            assert abs(told - wall()) < timedelta(minutes=10)
            assert bytes.fromhex(outcome.answers[1]).decode().endswith(meter.keys["serial"])
        expected = truth(meter, day)
        for outcome in (reader, setting):
            register, table = outcome.answers[2:]
            assert register > sum(expected.values())
            assert {stamp(row): row[WH_IMPORT] for row in table} == expected
            assert len(table) == 48

    def test_takes_the_very_rows_of_a_range(self, meter: Meter, name: str):
        first = epoch_seconds(local_midnight(yesterday())) + 10 * PERIOD_S
        (rows,) = only(peer.talk(name, [meter.session(32, ["rows", BLOCKS, first, first + 3 * PERIOD_S])]))
        assert [stamp(row) for row in rows] == [first + place * PERIOD_S for place in range(4)]

    def test_operates_the_relay(self, meter: Meter, name: str):
        assert meter.is_closed
        off, on = (
            only(peer.talk(name, [meter.session(48, *LOOK, act, *LOOK)])) and meter.is_closed
            for act in (OFF, ON)
        )
        assert (off, on) == (False, True)
        answers = only(peer.talk(name, [meter.session(48, *LOOK, OFF, *LOOK, ON, *LOOK)]))
        assert answers == (True, 1, None, False, 0, None, True, 1)

    def test_is_refused_with_wrong_keys_and_without_right(self, meter: Meter, name: str):
        sessions = [
            meter.session(48, *LOOK, OFF, ek="00" * 16),
            meter.session(48, *LOOK, OFF, ak="00" * 16),
            meter.session(32, *LOOK, lls="WRONG123"),
            meter.session(16, OFF),
            meter.session(32, OFF),
            meter.session(48, *LOOK),
        ]
        *refused, good = peer.talk(name, sessions)
        assert all(outcome.refused is not None and outcome.answers == () for outcome in refused), refused
        assert (good.refused, good.answers) == (None, (True, 1))
        assert meter.is_closed
