"""The control socket of a running town: one JSON document a line, on loopback alone."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from ipaddress import ip_address
from typing import Any

from bijlighar.base.errors import BijligharError
from bijlighar.base.period import epoch_seconds, moment_of, parse_moment
from bijlighar.simulator import feeders, history
from bijlighar.simulator.errors import ControlRefused
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.memory import FAILED, PENDING, SENT
from bijlighar.simulator.server import Meters
from bijlighar.simulator.silence import SilencePlan
from bijlighar.simulator.wire import moment_text, pack_truth

LONGEST_ORDER = 1 << 16
Order = dict[str, Any]


class Control:
    """Carries out what the control socket asks of a town."""

    def __init__(
        self, live: LiveTown, *, after: Callable[[], None], quiet: SilencePlan, meters: Meters
    ) -> None:
        """Carry out orders in `live`; `after` is called when something may have changed."""
        self._live = live
        self._after = after
        self._quiet = quiet
        self._meters = meters
        #: Whether anybody ever set the time: then no other clock moves it.
        self.clock_held = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the orders of one connection."""
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self.answer(line), ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            return
        finally:
            writer.close()

    def answer(self, line: bytes) -> Order:
        """Return the answer to one order."""
        try:
            order = json.loads(line)
            carry_out = self._ORDERS.get(order.pop("op"))
            if carry_out is None:
                raise ControlRefused("there is no such order")
            result = carry_out(self, **order)
        except BijligharError as problem:
            return {"ok": False, "error": str(problem)}
        except (ValueError, TypeError, KeyError, AttributeError) as problem:
            return {"ok": False, "error": f"the order cannot be understood: {problem}"}
        self._after()
        return {"ok": True, "result": result}

    def _device(self, serial: str) -> int:
        if serial not in self._live.place:
            raise ControlRefused(f"the town has no meter {serial}")
        return self._live.place[serial]

    def _set_time(self, *, now: str) -> None:
        self.clock_held = True
        self._live.advance(epoch_seconds(parse_moment(now)))

    def _now(self) -> str:
        return moment_text(moment_of(self._live.now_s))

    def _tamper(self, *, serial: str, code: int) -> None:
        self._live.happen(self._device(serial), code)

    def _restore(self, *, serial: str, code: int) -> None:
        self._live.happen(self._device(serial), code + 1)

    def _fault(self, *, serial: str, name: str, on: bool) -> None:
        self._live.set_fault(self._device(serial), name, on=on)

    def _set_silence(self, *, serial: str, silent: bool | None) -> None:
        self._live.set_silence(self._device(serial), silent=silent)

    def _fail_feeder(self, *, feeder: str, at: str | None = None) -> int:
        if at is not None and feeder not in feeders.failed(self._live):
            self._set_time(now=at)
        return feeders.fail(self._live, feeder=feeder, quiet=self._quiet)

    def _restore_feeder(self, *, feeder: str) -> int:
        return feeders.restore(self._live, feeder=feeder, quiet=self._quiet)

    def _by_hand(self, *, account: str, connected: bool) -> None:
        consumer = next((c.index for c in self._live.town.consumers if c.account == account), None)
        if consumer is None:
            raise ControlRefused(f"the town has no account {account}")
        self._live.connect_by_hand(consumer, connected=connected)

    def _swap(self, *, usage_point: str) -> Order:
        swap = asdict(self._live.swap(usage_point))
        return {**swap, "at": moment_text(swap["at"])}

    def _truth(self, *, first: str, last: str) -> Order:
        truth = history.truth_of(self._live, first=date.fromisoformat(first), last=date.fromisoformat(last))
        return pack_truth(truth)

    def _relays(self) -> Order:
        truth = history.relay_truth(self._live)
        return {
            "closed": truth.closed,
            "acts": [{**asdict(act), "at": moment_text(act.at)} for act in truth.acts],
        }

    def _pushes(self) -> Order:
        counts = self._live.memory.push_counts()
        return {
            "sent": counts.get(SENT, 0),
            "pending": counts.get(PENDING, 0),
            "failed": counts.get(FAILED, 0),
        }

    def _registers(self, *, at: str) -> dict[str, int]:
        return history.registers_at(self._live, at=parse_moment(at))

    def _hand_readings(self, *, at: str) -> str:
        return history.hand_readings(self._live, at=parse_moment(at))

    def _state(self) -> Order:
        live = self._live
        open_relays = [
            device.serial
            for device in live.town.devices
            if live.wiring.has_relay[device.index] and not live.state.relay_closed[device.index]
        ]
        return {
            "now": self._now(),
            "meters": len(live.town.devices),
            "listening": self._meters.listening,
            "silent": self._quiet.serials(),
            "sessions": self._meters.sessions,
            "replayed": {
                live.town.devices[index].serial: count
                for index, count in sorted(self._meters.replayed.items())
                if count
            },
            "relays_open": open_relays,
            "feeders_failed": feeders.failed(live),
            "pushes": self._pushes(),
        }

    _ORDERS: dict[str, Callable[..., Any]] = {  # noqa: RUF012 - a table that nothing changes
        "set_time": _set_time,
        "now": _now,
        "tamper": _tamper,
        "restore": _restore,
        "fault": _fault,
        "silence": _set_silence,
        "fail_feeder": _fail_feeder,
        "restore_feeder": _restore_feeder,
        "by_hand": _by_hand,
        "swap": _swap,
        "truth": _truth,
        "relays": _relays,
        "pushes": _pushes,
        "registers": _registers,
        "hand_readings": _hand_readings,
        "state": _state,
    }


def loopback_address(address: str) -> tuple[str, int]:
    """
    Return host and port of an address of the control socket.

    >>> loopback_address("127.0.0.1:7001")
    ('127.0.0.1', 7001)

    :raises ControlRefused: if it can be reached from another machine.
    """
    host, colon, port = address.rpartition(":")
    host = host or "127.0.0.1"
    name = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        is_loopback = ip_address(name).is_loopback
    except ValueError:
        is_loopback = False
    if not colon or not port.isdigit() or not is_loopback:
        raise ControlRefused(
            f"the control socket stands on loopback alone, like 127.0.0.1:7001, not at {address!r}"
        )
    return name, int(port)
