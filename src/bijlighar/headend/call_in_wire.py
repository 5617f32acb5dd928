"""
What is said on the exchange's local socket, and how a conversation with a called-in modem is opened over it.

One line of JSON each way; after `ok` the connection is the modem's, frame by frame, until one side hangs up. A second
kind of line tells the exchange what became of a conversation: whether the association held.
"""

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bijlighar.dlms.session import Association
from bijlighar.headend.errors import (
    CallInAway,
    ConnectionLost,
    GarbledAnswer,
    HeadEndError,
    ModemBusy,
    NotCalledIn,
)
from bijlighar.headend.gate_wire import short_name
from bijlighar.headend.model import HeadEndSettings, MeterAddress
from bijlighar.headend.tcp import MeterLink

LINE_OCTETS_MAX = 4_096
#: The exchange is on this machine: it answers at once, but for the wait for a modem's turn.
ANSWER_S = 5.0
PROBLEMS: Mapping[str, type[HeadEndError]] = {
    problem.code: problem for problem in (NotCalledIn, ModemBusy, CallInAway)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation that the exchange has opened: its number, and the number of the caller that it goes through."""

    number: int
    caller: int
    link: MeterLink


def message_line(message: Mapping[str, Any]) -> bytes:
    """Return a message as it is sent."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def read_line(line: bytes) -> Mapping[str, Any]:
    """
    Return the message of a line.

    :raises GarbledAnswer: if it is none.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise GarbledAnswer("what came over the exchange's socket is no message")
    return found


class _Opening(asyncio.Protocol):
    """The first line of the exchange; then the connection is handed to the link."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._line = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the open connection."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take the answer; nothing follows it before something is asked of the meter."""
        self._line += data
        if self.answer.done() or (b"\n" not in self._line and len(self._line) < LINE_OCTETS_MAX):
            return
        try:
            self.answer.set_result(read_line(self._line))
        except GarbledAnswer as problem:
            self.answer.set_exception(problem)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell who waits that there will be no answer."""
        if not self.answer.done():
            self.answer.set_exception(_away("it hung up"))


async def open_conversation(
    *,
    address: MeterAddress,
    association: Association,
    tried: Collection[int],
    settings: HeadEndSettings,
) -> Conversation:
    """
    Ask the exchange for the modem of an address, waiting for its turn; `tried` are callers that have failed already.

    :raises HeadEndError: NotCalledIn at once where the modem is not there, ModemBusy where its turn did not come,
        CallInAway where no exchange answers.
    """
    opening = _Opening()
    await _connect(opening, settings)
    transport = opening.transport
    if transport is None:
        raise _away("it took no connection")
    ask = {
        "modem": address.host,
        "server": address.server,
        "client": association.client,
        "wait_s": settings.call_in_wait_s,
        "tried": sorted(tried),
    }
    try:
        transport.write(message_line(ask))
        async with asyncio.timeout(settings.call_in_wait_s + ANSWER_S):
            answer = await opening.answer
        _check(answer)
        link = MeterLink(
            association=association,
            answer_timeout_s=settings.answer_timeout_s,
            place=f"modem {address.host}",
        )
        transport.set_protocol(link)
        link.connection_made(transport)
        if transport.is_closing():
            raise ConnectionLost(f"modem {address.host} hung up; the meter is asked when it calls again")
        return Conversation(number=int(answer["ok"]), caller=int(answer["caller"]), link=link)
    except TimeoutError:
        transport.abort()
        raise _away("it did not answer") from None
    except BaseException:
        transport.abort()
        raise


async def tell(settings: HeadEndSettings, **message: object) -> None:
    """Tell the exchange what became of a conversation; one that is away has forgotten it anyhow."""
    opening = _Opening()
    try:
        await _connect(opening, settings)
        if opening.transport is not None:
            opening.transport.write(message_line(message))
        async with asyncio.timeout(ANSWER_S):
            await opening.answer
    except (HeadEndError, TimeoutError):
        return
    finally:
        if opening.transport is not None:
            opening.transport.abort()


async def _connect(opening: _Opening, settings: HeadEndSettings) -> None:
    if settings.call_in_socket is None:
        raise _away("none is set for this process")
    loop = asyncio.get_running_loop()
    try:
        with short_name(Path(settings.call_in_socket)) as name:
            await loop.create_unix_connection(lambda: opening, name)
    except OSError as problem:
        raise _away(problem.strerror or str(problem)) from None


def _check(answer: Mapping[str, Any]) -> None:
    """
    Look whether the exchange has said yes.

    :raises HeadEndError: as the exchange says.
    """
    if "ok" not in answer:
        raise PROBLEMS.get(str(answer.get("error")), CallInAway)(str(answer.get("text", "no reason given")))


def _away(why: str) -> CallInAway:
    return CallInAway(
        f"the exchange of modems that call in does not answer ({why}); "
        "set headend.call_in_port and start the head-end"
    )
