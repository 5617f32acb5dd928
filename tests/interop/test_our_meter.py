"""Other people's clients read and operate `bijlighar meter simulate`, over the wrapper and over HDLC."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from bijlighar.base.period import epoch_seconds, local_date, local_midnight
from bijlighar.dlms import clock
from bijlighar.runtime.clock import wall
from bijlighar.simulator.operations import TownControl
from tests.cli.shell import first_line, running
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
#: dlms-cosem loses an HDLC frame, and waits for ever, if the last octet of its check sequence is a flag: one in 256.
PAIRS = [
    (framing, name) for framing in FRAMINGS for name in PEERS if (framing, name) != ("hdlc", "cosem_client")
]


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


@contextmanager
def simulated(framing: str, folder: Path) -> Iterator[Meter]:
    port = free_ports(2)
    keys, control = folder / "keys.json", f"127.0.0.1:{port + 1}"
    order = ("--port", port, "--meters", 1, "--keys-out", keys, "--control", control)
    with running("meter", "simulate", *order, *(("--hdlc",) if framing == "hdlc" else ())) as process:
        assert first_line(process) == f"1 meters listen on 127.0.0.1:{port}"
        entry = json.loads(keys.read_text(encoding="utf-8"))[0]
        yield Meter(framing=framing, port=port, keys=entry, control=TownControl(control))


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Meter]]:
    """Finds the meter of a framing; it is started when it is first asked for."""
    if not any(peer.has(module) for module in peer.MODULES.values()):
        pytest.skip("no other DLMS library is installed beside us; ./dev test does it where it can")
    started: dict[str, Meter] = {}
    with ExitStack() as stack:

        def find(framing: str) -> Meter:
            if framing not in started:
                started[framing] = stack.enter_context(simulated(framing, tmp_path_factory.mktemp(framing)))
            return started[framing]

        yield find


@pytest.fixture
def meter(framing: str, meters: Callable[[str], Meter]) -> Meter:
    """The meter of a framing."""
    return meters(framing)


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


@pytest.fixture
def closed(meter: Meter) -> Iterator[Meter]:
    """The meter, whose relay is closed before and after, whatever becomes of a test."""
    _reconnect(meter)
    yield meter
    _reconnect(meter)


def _reconnect(meter: Meter) -> None:
    if not meter.is_closed:
        peer.talk(next(name for name in PEERS if peer.has(peer.MODULES[name])), [meter.session(48, ON)])
    assert meter.is_closed


@pytest.mark.parametrize(("framing", "name"), PAIRS)
class TestPeer:
    def test_reads_as_every_client(self, meter: Meter, name: str):
        """Public without security, LLS ciphered, HLS with GMAC ciphered: clock, name, register, a day by range."""
        day = yesterday()
        first = epoch_seconds(local_midnight(day))
        rows = ["rows", BLOCKS, first + PERIOD_S, first + 86_400]
        four = ["rows", BLOCKS, first + 10 * PERIOD_S, first + 13 * PERIOD_S]
        gets = (["get", 8, CLOCK, 2], ["get", 1, NAME, 2])
        public, reader, setting = peer.talk(
            name,
            [
                meter.session(16, *gets, ["get", 1, COUNTERS[32], 2]),
                meter.session(32, *gets, ["get", 3, IMPORT, 2], rows, four),
                meter.session(48, *gets, ["get", 3, IMPORT, 2], rows, four),
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
            register, table, part = outcome.answers[2:]
            assert register > sum(expected.values())
            assert {stamp(row): row[WH_IMPORT] for row in table} == expected
            assert len(table) == 48
            assert [stamp(row) for row in part] == [first + place * PERIOD_S for place in range(10, 14)]

    def test_operates_the_relay(self, closed: Meter, name: str):
        answers = only(peer.talk(name, [closed.session(48, *LOOK, OFF, *LOOK)]))
        assert answers == (True, 1, None, False, 0)
        assert not closed.is_closed
        answers = only(peer.talk(name, [closed.session(48, *LOOK, ON, *LOOK)]))
        assert answers == (False, 0, None, True, 1)
        assert closed.is_closed

    def test_is_refused_with_wrong_keys_and_without_right(self, closed: Meter, name: str):
        sessions = [
            closed.session(48, *LOOK, OFF, ek="00" * 16),
            closed.session(48, *LOOK, OFF, ak="00" * 16),
            closed.session(32, *LOOK, lls="WRONG123"),
            closed.session(16, OFF),
            closed.session(32, OFF),
            closed.session(48, *LOOK),
        ]
        *refused, good = peer.talk(name, sessions)
        assert all(outcome.refused is not None and outcome.answers == () for outcome in refused), refused
        assert (good.refused, good.answers) == (None, (True, 1))
        assert closed.is_closed
