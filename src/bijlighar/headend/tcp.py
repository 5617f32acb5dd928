"""The way to a meter: URLs, one connection (here over TCP), one request at a time, a limit on every wait."""

import asyncio
import re
from typing import cast
from urllib.parse import SplitResult, parse_qs, urlsplit

from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.dlms.event import DataNotification, Event, EventNotification, NeedData
from bijlighar.dlms.session import Association
from bijlighar.headend.errors import (
    BrokenUrl,
    ConnectionLost,
    HeadEndError,
    MeterSilent,
    MeterUnreachable,
)
from bijlighar.headend.model import MeterAddress, TransportKind
from bijlighar.headend.permits import CALL_IN_SCHEME
from bijlighar.headend.registration import NAME

DEFAULT_PORT = 4059
SERVER_MAX = 16_383
DEFAULT_BAUD = 9600
BAUDS = (300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200)
PORT_MAX = 65_535
_PUSHED = (DataNotification, EventNotification)
_PLAIN_URL = re.compile(r"tcp://(?P<host>[a-z0-9.-]+):(?P<port>[0-9]{1,5})")
PATIENCE_ADVICE = "try again later, or give it more time"
#: What a meter may send in one session before it is cut off: a full buffer of every profile is far less.
OCTETS_LIMIT = 16 * 1024 * 1024


def parse_url(url: str) -> MeterAddress:
    """
    Return the address in a meter's URL.

    >>> parse_url("tcp://10.0.0.7:4059").server
    1
    >>> parse_url("hdlc+tcp://meter.example:4001?server=1&physical=17").physical
    17
    >>> parse_url("hdlc:///dev/ttyUSB0?physical=17&baud=4800").baud
    4800
    >>> parse_url("callin://GW-00001?server=2").host
    'GW-00001'

    :raises BrokenUrl: if the URL cannot be understood.
    """
    plain = _PLAIN_URL.fullmatch(url)
    if (
        plain is not None and int(plain["port"]) <= PORT_MAX
    ):  # nearly all; the long way takes four times as long
        host, port = plain.groups()
        return MeterAddress(kind=TransportKind.TCP, host=host, port=int(port) or DEFAULT_PORT)
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, strict_parsing=bool(parts.query))
        port, host = parts.port, parts.hostname
    except ValueError as problem:
        raise BrokenUrl(f"{url!r} is no meter URL ({problem}); write it like tcp://10.0.0.7:4059") from None
    if parts.scheme == TransportKind.HDLC.value:
        return _serial_line(url, parts, query)
    try:
        kind = TransportKind(parts.scheme)
    except ValueError:
        raise BrokenUrl(
            f"{url!r} begins with no known way to a meter: tcp://, hdlc+tcp://, hdlc:///dev/…, callin://"
        ) from None
    if kind is TransportKind.CALL_IN:
        return _modem(url, parts, query)
    known = {"server"} | ({"physical"} if kind is TransportKind.HDLC_TCP else set())
    if not host or parts.path not in ("", "/") or set(query) - known:
        raise BrokenUrl(f"{url!r} is no meter URL; write it like tcp://10.0.0.7:4059?server=1")
    return MeterAddress(
        kind=kind,
        host=host,
        port=port or DEFAULT_PORT,
        server=_number(url, query.get("server", ["1"])),
        physical=_number(url, query["physical"]) if "physical" in query else None,
    )


def _modem(url: str, parts: SplitResult, query: dict[str, list[str]]) -> MeterAddress:
    if not NAME.fullmatch(parts.netloc) or parts.path not in ("", "/") or set(query) - {"server"}:
        raise BrokenUrl(f"{url!r} names no modem; write it like callin://GW-00001?server=2")
    return MeterAddress(
        kind=TransportKind.CALL_IN,
        host=parts.netloc,
        port=0,
        server=_number(url, query.get("server", ["1"])),
    )


def gateway_before(*, url: str | None, gateway: str | None) -> str | None:
    """
    Return what the meters that share the way to a meter are told by: its modem if that calls in, else its gateway.

    >>> gateway_before(url="callin://GW-00001?server=2", gateway=None)
    'callin://GW-00001'
    >>> gateway_before(url="tcp://10.0.0.7:4059", gateway="GW-9")
    'GW-9'
    """
    if url is None or not url.startswith(CALL_IN_SCHEME):
        return gateway
    return url.partition("?")[0].rstrip("/")


def _serial_line(url: str, parts: SplitResult, query: dict[str, list[str]]) -> MeterAddress:
    if parts.netloc or not parts.path.strip("/") or set(query) - {"server", "physical", "baud"}:
        raise BrokenUrl(
            f"{url!r} names no serial line; write it like hdlc:///dev/ttyUSB0?physical=17&baud=9600"
        )
    baud = query.get("baud", [str(DEFAULT_BAUD)])
    if len(baud) != 1 or baud[0] not in map(str, BAUDS):
        raise BrokenUrl(f"{url!r}: baud is one of {', '.join(map(str, BAUDS))}")
    return MeterAddress(
        kind=TransportKind.HDLC,
        host=parts.path,
        port=0,
        server=_number(url, query.get("server", ["1"])),
        physical=_number(url, query["physical"]) if "physical" in query else None,
        baud=int(baud[0]),
    )


def _number(url: str, values: list[str]) -> int:
    if len(values) != 1 or not values[0].isdecimal() or int(values[0]) > SERVER_MAX:
        raise BrokenUrl(f"{url!r}: server and physical are numbers from 0 to {SERVER_MAX}")
    return int(values[0])


class MeterLink(asyncio.Protocol):
    """One connection to one meter, with the association that speaks over it."""

    def __init__(
        self,
        *,
        association: Association,
        answer_timeout_s: float,
        place: str,
        advice: str = PATIENCE_ADVICE,
        hang_up_s: float = 0.0,
    ) -> None:
        """
        Make the link of a connection that is about to be opened to `place`.

        `advice` says what to do where the meter is silent; `hang_up` waits for `hang_up_s` at most.
        """
        self.association = association
        self._place = place
        self._advice = advice
        self._hang_up_s = hang_up_s
        self.octets_in = 0
        self.octets_out = 0
        self._answer_timeout_s = answer_timeout_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Event] | None = None
        self._lost = False
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the open connection."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits that no answer will come."""
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting is not None:
            self._fail(ConnectionLost(f"{self._closed}{f' ({exc})' if exc else ''}"))

    def data_received(self, data: bytes) -> None:
        """Take octets, and hand the answer over once it is whole."""
        self.octets_in += len(data)
        self._heard_at = self._loop.time()
        if self.octets_in > OCTETS_LIMIT:
            self._fail(
                ConnectionLost(
                    f"the meter at {self._place} sent more than {OCTETS_LIMIT} octets in one session; "
                    "check that it is a meter's address"
                )
            )
            self.close()
            return
        association = self.association
        try:
            association.receive_data(data)
            event = association.next_event()
            while isinstance(event, _PUSHED):
                event = association.next_event()  # a push on this line: its place is the push listener
        except RemoteProtocolError as problem:
            self._write(association.data_to_send())
            problem.args = (
                f"the meter at {self._place} breaks the protocol: {problem}; check that this is the meter's "
                "address and way (tcp, hdlc+tcp, hdlc), and its keys",
            )
            self._fail(problem)
            return
        if association.has_data_to_send:
            self._write(association.data_to_send())
        if isinstance(event, NeedData):
            return
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(event)

    async def exchange(self, request: Event) -> Event:
        """
        Send a request and return what the meter answers.

        :raises ConnectionLost: if the connection is closed, by whatever side.
        :raises MeterSilent: if the meter is silent for longer than the answer's timeout.
        :raises RemoteProtocolError: if the answer breaks the protocol or its security.
        """
        if self._lost or self._transport is None:
            raise ConnectionLost(self._closed)
        self._waiting = waiting = self._loop.create_future()
        self._write(self.association.send(request))
        self._heard_at = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._answer_timeout_s, self._look_at_the_time)
        try:
            answer: Event = await waiting
            return answer
        finally:
            self._waiting = None

    async def hang_up(self) -> None:
        """End the data link of a line that stays when we leave, and wait for the meter to have understood."""
        if not self._hang_up_s or self._lost or self._transport is None:
            return
        self._waiting = waiting = self._loop.create_future()
        self._write(self.association.close())
        try:
            async with asyncio.timeout(self._hang_up_s):
                await waiting
        except (TimeoutError, HeadEndError, RemoteProtocolError):
            return  # what was to be read is read; the meter ends the link by itself after a while
        finally:
            self._waiting = None

    def close(self) -> None:
        """Close the connection at once; what was written is still sent."""
        if self._transport is not None and not self._lost:
            self._write(self.association.close())
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection; a line that stays is told so, that the next session finds it free."""
        if self._hang_up_s:
            self.close()
        elif self._transport is not None:
            self._transport.abort()

    @property
    def _closed(self) -> str:
        return f"the meter at {self._place} closed the connection; try again later"

    def _look_at_the_time(self) -> None:
        """Give up a meter that is silent for too long; one timer serves all requests of a connection."""
        self._timer = None
        if self._waiting is None:
            return
        left_s = self._heard_at + self._answer_timeout_s - self._loop.time()
        if left_s > 0.001:
            self._timer = self._loop.call_later(left_s, self._look_at_the_time)
            return
        self._fail(
            MeterSilent(
                f"the meter at {self._place} did not answer within {self._answer_timeout_s:g} s; "
                f"{self._advice}"
            )
        )

    def _write(self, octets: bytes) -> None:
        if octets and self._transport is not None:
            self.octets_out += len(octets)
            self._transport.write(octets)

    def _fail(self, problem: Exception) -> None:
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_exception(problem)


async def connect(
    *, address: MeterAddress, association: Association, connect_timeout_s: float, answer_timeout_s: float
) -> MeterLink:
    """
    Open the connection to a meter.

    :raises MeterUnreachable: if it is refused or not made in time.
    """
    loop = asyncio.get_running_loop()
    place = f"{address.host}:{address.port}"
    try:
        async with asyncio.timeout(connect_timeout_s):
            _, link = await loop.create_connection(
                lambda: MeterLink(association=association, answer_timeout_s=answer_timeout_s, place=place),
                address.host,
                address.port,
            )
    except TimeoutError:
        raise MeterUnreachable(
            f"{place} did not accept a connection within {connect_timeout_s:g} s; check the address, or try later"
        ) from None
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise MeterUnreachable(
            f"{place} cannot be reached: {reason}; check the address, or try later"
        ) from None
    return link
