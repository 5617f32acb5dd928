"""The client of a town's control socket: for the driver of the demo and for tests."""

import json
import socket
import time
from datetime import date, datetime
from typing import Any

from bijlighar.base.period import parse_moment
from bijlighar.simulator.errors import ControlRefused, ControlUnreachable
from bijlighar.simulator.model import Pushes, RelayAct, RelayTruth, Swap, TownStatus, Truth
from bijlighar.simulator.wire import LONGEST_LINE, moment_text, unpack_truth

DEFAULT_TIMEOUT_S = 120.0
_PATIENCE_STEP_S = 0.05
_PIECE = 1 << 20


class TownControl:
    """
    Asks and orders a running town; every call opens its own connection and waits for the answer.

    Every order may be repeated: an order that was carried out before its answer was lost changes nothing the second
    time.
    """

    def __init__(self, address: str, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Speak with the town whose control socket is at `address` (HOST:PORT); nothing is sent yet."""
        host, _, port = address.rpartition(":")
        self.address = address
        self._place = (host or "127.0.0.1", int(port))
        self._timeout_s = timeout_s

    def wait_until_ready(self, *, patience_s: float) -> None:
        """
        Wait until the town answers.

        :raises ControlUnreachable: if it does not within `patience_s` [s].
        """
        give_up = time.monotonic() + patience_s
        while True:
            try:
                self.now()
            except ControlUnreachable:
                if time.monotonic() > give_up:
                    raise
                time.sleep(_PATIENCE_STEP_S)
            else:
                return

    def set_time(self, now: datetime) -> None:
        """Let time pass until `now`; when this returns, the meters have it on disk."""
        self._ask("set_time", now=moment_text(now))

    def now(self) -> datetime:
        """Return the town's time."""
        return parse_moment(self._ask("now"))

    def tamper(self, *, serial: str, code: int) -> None:
        """Let an event happen at a meter now: it stands in its log, and its alert is pushed."""
        self._ask("tamper", serial=serial, code=code)

    def restore(self, *, serial: str, code: int) -> None:
        """End what began with event `code`: the event `code` + 1 happens."""
        self._ask("restore", serial=serial, code=code)

    def fault(self, *, serial: str, name: str, on: bool) -> None:
        """Let a fault begin or end at a meter."""
        self._ask("fault", serial=serial, name=name, on=on)

    def silence(self, *, serial: str, silent: bool | None) -> None:
        """Silence a meter or let it speak; None leaves it to the seed again."""
        self._ask("silence", serial=serial, silent=silent)

    def fail_feeder(self, feeder: str, at: datetime | None = None) -> int:
        """
        Let a feeder fail, now or when the clock comes to `at`, and return how many meters below are without voltage.

        Most of them push a last gasp; none answers or counts until the feeder is restored.
        """
        when = {} if at is None else {"at": moment_text(at)}
        return int(self._ask("fail_feeder", feeder=feeder, **when))

    def restore_feeder(self, feeder: str) -> int:
        """Restore a feeder that failed, and return how many meters below have voltage again."""
        return int(self._ask("restore_feeder", feeder=feeder))

    def by_hand(self, *, account: str, connected: bool) -> None:
        """Let a fitter cut the supply of an account at the pole, or restore it."""
        self._ask("by_hand", account=account, connected=connected)

    def swap(self, *, usage_point: str) -> Swap:
        """Hang the new meter planned for a place, now."""
        answer = self._ask("swap", usage_point=usage_point)
        return Swap(**{**answer, "at": parse_moment(answer["at"])})

    def truth(self, first: date, last: date) -> Truth:
        """Return what physically happened on the days `first` to `last`, both included, as far as they are over."""
        return unpack_truth(self._ask("truth", first=first.isoformat(), last=last.isoformat()))

    def relays(self) -> RelayTruth:
        """Return where the relays stand and every operation so far."""
        answer = self._ask("relays")
        return RelayTruth(
            closed=answer["closed"],
            acts=tuple(RelayAct(**{**act, "at": parse_moment(act["at"])}) for act in answer["acts"]),
        )

    def pushes(self) -> Pushes:
        """Return how many alerts were taken, wait, or were given up."""
        return Pushes(**self._ask("pushes"))

    def registers(self, at: datetime) -> dict[str, int]:
        """Return the true register [Wh] of every meter at a moment (now, or a past start of a half-hour)."""
        answer: dict[str, int] = self._ask("registers", at=moment_text(at))
        return answer

    def hand_readings(self, at: datetime) -> str:
        """Return the registers of the old meters at a moment as a file for `readings import`."""
        answer: str = self._ask("hand_readings", at=moment_text(at))
        return answer

    def state(self) -> TownStatus:
        """Return how the town stands."""
        answer = self._ask("state")
        return TownStatus(
            now=parse_moment(answer["now"]),
            meters=answer["meters"],
            listening=answer["listening"],
            silent=tuple(answer["silent"]),
            sessions=answer["sessions"],
            replayed=answer["replayed"],
            relays_open=tuple(answer["relays_open"]),
            feeders_failed=tuple(answer["feeders_failed"]),
            pushes=Pushes(**answer["pushes"]),
        )

    def _ask(self, order: str, **arguments: object) -> Any:  # noqa: ANN401 - each order has its own answer
        line = json.dumps({"op": order, **arguments}).encode() + b"\n"
        try:
            with socket.create_connection(self._place, timeout=self._timeout_s) as connection:
                connection.sendall(line)
                answer = json.loads(_read_line(connection))
        except (OSError, ValueError) as problem:
            raise ControlUnreachable(
                f"the town at {self.address} did not answer {order}: {problem}"
            ) from None
        if not answer["ok"]:
            raise ControlRefused(answer["error"])
        return answer["result"]


def _read_line(connection: socket.socket) -> bytes:
    pieces: list[bytes] = []
    length = 0
    while length < LONGEST_LINE:
        piece = connection.recv(_PIECE)
        if not piece:
            raise ConnectionError("the connection was closed before the answer was complete")
        pieces.append(piece)
        length += len(piece)
        if piece.endswith(b"\n"):
            return b"".join(pieces)
    raise ConnectionError("the answer is too long")
