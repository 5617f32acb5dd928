"""A small meter on a real socket, over the server role of `dlms`, that can be told to fail at any point."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from bijlighar.base.period import epoch_seconds, moment_of
from bijlighar.dlms import axdr, clock, cosem, is15959, is15959_columns, push
from bijlighar.dlms.cosem import ActionOutcome, Attribute, ByRange, DataAccess
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.dlms.event import (
    NEED_DATA,
    ActionRequest,
    ActionResult,
    AssociationAccepted,
    AssociationRequest,
    DataNotification,
    Event,
    GetListRequest,
    GetListResult,
    GetRequest,
    GetResult,
    HlsProven,
    LinkClosed,
    Released,
    ReleaseRequest,
    ServiceFailure,
)
from bijlighar.dlms.is15959_events import status_word
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.security import Mechanism, Security
from bijlighar.dlms.session import Association, Framing, Role
from bijlighar.headend.model import MeterKeys
from tests.headend.orders import NOW, meter_keys

PERIOD_S = 1800
#: Clock, firmware and the numbers of seven event logs; a longer list asks for profiles too.
SHORT_LIST = 9


@dataclass
class Meter:
    """A meter and its memory; the faults are plain attributes that a test sets."""

    keys: MeterKeys = field(default_factory=meter_keys)
    now: datetime = NOW
    closed: bool = True
    control_state: int = 1
    control_mode: int = 4
    blocks: dict[int, tuple[int, ...]] = field(default_factory=dict)
    daily: dict[int, int] = field(default_factory=dict)
    billing: dict[int, int] = field(default_factory=dict)
    events: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    block_scaler: int = 0
    firmware: str = "F1"
    tells_firmware: bool = False
    year: int | None = None
    framing: Framing = Framing.WRAPPER
    seen: dict[int, int] = field(default_factory=dict)
    sent: int = 0
    actions: list[str] = field(default_factory=list)
    sessions: int = 0
    asked: list[str] = field(default_factory=list)
    # faults
    silent: bool = False
    mute: bool = False
    garbage: bool = False
    stuck: bool = False
    no_lists: bool = False
    drops_long_lists: bool = False
    lists: list[int] = field(default_factory=list)
    no_relay: bool = False
    common_counter: bool = False
    no_control_mode: bool = False
    registers: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    extra_column: bool = False
    refuse_action: bool = False
    hold_action: bool = False
    die_before_action: bool = False
    die_after_action: bool = False
    die_at_read_back: bool = False
    pushed: int = 0
    transports: set[asyncio.Transport] = field(default_factory=set)

    async def start(self, port: int = 0) -> str:
        """Listen, and return the URL."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: MeterConnection(self), "127.0.0.1", port
        )
        STARTED.append(self)
        self.port = self._server.sockets[0].getsockname()[1]
        way = "tcp" if self.framing is Framing.WRAPPER else "hdlc+tcp"
        return f"{way}://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        self._server.close()
        for transport in tuple(self.transports):
            transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)

    def fill(self, first: datetime, last: datetime, *, wh: int = 100) -> None:
        """Register `wh` in each interval that starts in [first, last), and daily registers at each midnight IST."""
        for start in range(epoch_seconds(first), epoch_seconds(last), PERIOD_S):
            self.blocks[start + PERIOD_S] = (23012, wh, wh + 5, 0, 0, 412)
            if (start + PERIOD_S + 19_800) % 86_400 == 0:
                self.daily[start + PERIOD_S] = wh * 48 * len(self.daily) + 1000

    def alert(self, bits: tuple[int, ...], at: datetime, *, ek: bytes | None = None) -> bytes:
        """The frame of an alert."""
        self.pushed += 1
        body = axdr.structure(
            axdr.visible_string(self.keys.serial),
            axdr.octet_string(is15959.PUSH_ALERT.octets),
            axdr.octet_string(clock.encode(at)),
            axdr.bit_string(status_word(bits)),
        )
        security = Security(
            ciphered=True,
            own_title=self.keys.system_title,
            ek=ek or self.keys.ek,
            ak=self.keys.ak,
            next_counter=self.next_sent,
        )
        return push.encode(DataNotification(data=body, long_invoke=self.pushed), security=security)

    def next_sent(self) -> int:
        self.sent += 1
        return self.sent

    def security_for(self, client: int) -> Security | None:
        if client == 16:
            return Security()
        if client not in (32, 48):
            return None
        reader = client == 32
        return Security(
            mechanism=Mechanism.LLS if reader else Mechanism.HLS5,
            secret=self.keys.lls or b"" if reader else b"",
            ciphered=True,
            own_title=self.keys.system_title,
            ek=self.keys.ek,
            ak=self.keys.ak,
            next_counter=self.next_sent,
            received_counter=self.seen.get(client, -1),
        )

    def get(self, client: int, request: GetRequest) -> GetResult:
        attribute = request.attribute
        self.asked.append(f"{attribute.obis}/{attribute.index}")
        data = self.value(attribute, request.selection)
        return GetResult(error=DataAccess.OBJECT_UNDEFINED) if data is None else GetResult(data=data)

    def value(self, attribute: Attribute, selection: cosem.Selection | None) -> bytes | None:
        obis, index = str(attribute.obis), attribute.index
        if obis.startswith("0.0.43.1."):
            return self.counter(obis)
        if attribute == is15959.CLOCK_TIME:
            return axdr.octet_string(clock.encode(self.now))
        if attribute.obis == is15959.SERIAL_NUMBER:
            return axdr.visible_string(self.keys.serial)
        if attribute.obis == is15959.RELAY and not self.no_relay:
            return {
                2: axdr.boolean(self.closed),
                3: axdr.enum(self.control_state),
                4: None if self.no_control_mode else axdr.enum(self.control_mode),
            }[index]
        if obis == "1.0.0.2.0.255" and self.tells_firmware:
            return axdr.visible_string(self.firmware)
        return self.register(obis, index) or self.log_value(obis) or self.profile(attribute, selection)

    def counter(self, obis: str) -> bytes | None:
        if self.common_counter:
            seen = max((0, *self.seen.values()))
            return axdr.double_long_unsigned(seen) if obis == "0.0.43.1.0.255" else None
        client = int(obis.split(".")[4]) * 16
        return axdr.double_long_unsigned(max(0, self.seen.get(client, 0)))

    def register(self, obis: str, index: int) -> bytes | None:
        if obis not in self.registers:
            return None
        number, scaler, unit = self.registers[obis]
        if index == 2:
            return axdr.double_long_unsigned(number)
        return axdr.structure(axdr.integer(scaler), axdr.enum(unit))

    def log_value(self, obis: str) -> bytes | None:
        if obis.startswith("0.0.96.15."):
            return axdr.long_unsigned(len(self.events.get(int(obis.split(".")[4]), [])))
        if obis.startswith("0.0.96.11."):
            log = self.events.get(int(obis.split(".")[4]), [])
            return axdr.long_unsigned(log[-1][1]) if log else None
        return None

    def profile(self, attribute: Attribute, selection: cosem.Selection | None) -> bytes | None:
        for name, plan in is15959.PROFILES.items():
            columns = is15959_columns.columns(name, phases=1)
            if attribute.obis == plan.obis:
                if attribute.index == 3:
                    return cosem.encode_capture_objects([column.capture for column in columns])
                if attribute.index == 4:
                    return axdr.double_long_unsigned(PERIOD_S)
                return self.rows(name, columns, selection)
            if plan.scaler_obis is not None and attribute.obis == plan.scaler_obis:
                scaled = self.scaled(name, columns)
                if attribute.index == 3:
                    return cosem.encode_capture_objects(is15959.scaler_captures(scaled))
                return is15959.encode_scalers(scaled)
        return None

    def scaled(self, name: str, columns: tuple[is15959.Column, ...]) -> tuple[is15959.Column, ...]:
        from dataclasses import replace

        if name != "block-load" or not self.block_scaler:
            return columns
        return tuple(
            replace(column, scaler=self.block_scaler) if column.unit in (30, 31) else column
            for column in columns
        )

    def rows(
        self, name: str, columns: tuple[is15959.Column, ...], selection: cosem.Selection | None
    ) -> bytes:
        low, high = -(10**18), 10**18
        if isinstance(selection, ByRange):
            lower, upper = clock.decode(selection.lower), clock.decode(selection.upper)
            assert lower is not None
            assert upper is not None
            low, high = epoch_seconds(lower), epoch_seconds(upper)
        if name == "block-load":
            found = [(at, row) for at, row in self.blocks.items() if low <= at <= high]
            rows = [self.block_row(at, row) for at, row in found]
        elif name in ("daily", "billing"):
            table = self.daily if name == "daily" else self.billing
            rows = [
                self.register_row(columns, at, wh) for at, wh in sorted(table.items()) if low <= at <= high
            ]
        elif name.startswith("events-"):
            family = is15959.FAMILY_NAMES.index(name.removeprefix("events-"))
            rows = [
                self.event_row(columns, at, code)
                for at, code in self.events.get(family, [])
                if low <= at <= high
            ]
        elif name == "nameplate":
            rows = [self.plate_row(columns)]
        else:
            rows = [self.instant_row(columns)]
        return axdr.array(rows)

    def block_row(self, at: int, row: tuple[int, ...]) -> bytes:
        volt, wh, vah, export, export_vah, amp = row
        cells = [
            axdr.octet_string(clock.encode(moment_of(at))),
            axdr.long_unsigned(volt),
            axdr.double_long_unsigned(wh),
            axdr.double_long_unsigned(vah),
            axdr.double_long_unsigned(export),
            axdr.double_long_unsigned(export_vah),
            axdr.long_unsigned(amp),
        ]
        return axdr.structure(*cells, *([axdr.unsigned(0)] if self.extra_column else []))

    def register_row(self, columns: tuple[is15959.Column, ...], at: int, wh: int) -> bytes:
        return axdr.structure(*(self.register_cell(column, at, wh) for column in columns))

    def register_cell(self, column: is15959.Column, at: int, wh: int) -> bytes:
        if column.capture.obis in (is15959.CLOCK, Obis.parse("0.0.0.1.2.255")):
            return axdr.octet_string(clock.encode(moment_of(at)))
        if column.capture.attribute == 5:
            return axdr.octet_string(clock.UNDEFINED)
        if str(column.capture.obis) == "1.0.1.8.0.255":
            return axdr.double_long_unsigned(wh // 10 ** (column.scaler or 0))
        return axdr.double_long_unsigned(7)

    def event_row(self, columns: tuple[is15959.Column, ...], at: int, code: int) -> bytes:
        cells = []
        for column in columns:
            if column.capture.obis == is15959.CLOCK:
                cells.append(axdr.octet_string(clock.encode(moment_of(at))))
            elif str(column.capture.obis).startswith("0.0.96.11."):
                cells.append(axdr.long_unsigned(code))
            else:
                cells.append(axdr.long_unsigned(23000))
        return axdr.structure(*cells)

    def plate_row(self, columns: tuple[is15959.Column, ...]) -> bytes:
        texts = {"0.0.96.1.0.255": self.keys.serial, "1.0.0.2.0.255": self.firmware}
        cells = {str(column.capture.obis): axdr.visible_string("X") for column in columns}
        cells |= {obis: axdr.visible_string(text) for obis, text in texts.items()}
        if self.year is not None:
            cells["0.0.96.1.4.255"] = axdr.long_unsigned(self.year)
        return axdr.structure(*(cells[str(column.capture.obis)] for column in columns))

    def instant_row(self, columns: tuple[is15959.Column, ...]) -> bytes:
        cells = []
        for column in columns:
            if column.capture.obis == is15959.CLOCK:
                cells.append(axdr.octet_string(clock.encode(self.now)))
            elif column.capture.attribute == 5:
                cells.append(axdr.octet_string(clock.UNDEFINED))
            else:
                cells.append(axdr.long_unsigned(2301))
        return axdr.structure(*cells)

    def act(self, request: ActionRequest) -> ActionResult:
        action = {1: "disconnect", 2: "reconnect"}[request.method.index]
        if self.refuse_action:
            return ActionResult(result=ActionOutcome.READ_WRITE_DENIED)
        self.actions.append(action)
        if self.stuck:
            return ActionResult()
        self.closed = action == "reconnect" and self.control_mode in (2, 4)
        self.control_state = 0 if action == "disconnect" else (1 if self.closed else 2)
        code = 301 if action == "disconnect" else 302
        self.events.setdefault(6, []).append((epoch_seconds(self.now), code))
        return ActionResult()


class MeterConnection(asyncio.Protocol):
    """One connection to a meter."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.acted = False
        self.association = Association(
            role=Role.SERVER, framing=meter.framing, security_for=meter.security_for, randomness=os.urandom
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self.meter.transports.add(self.transport)
        self.meter.sessions += 1
        if self.meter.silent:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.meter.transports.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        if self.meter.mute or self.meter.silent:
            return
        if self.meter.garbage:
            self.transport.write(b"\x00\x01\x00\x01\x00\x20\x00\x04\xde\xad\xbe\xef")
            return
        self.association.receive_data(data)
        while True:
            try:
                event = self.association.next_event()
            except RemoteProtocolError as problem:
                self.write(self.association.data_to_send() + self.association.refusal(problem))
                return
            out = self.association.data_to_send()
            if event is NEED_DATA:
                self.write(out)
                return
            client = self.association.client
            if self.association.received_counter >= 0:
                self.meter.seen[client] = self.association.received_counter
            answer = self.answer(event)
            if answer is None:
                return
            self.write(out + answer)

    def write(self, octets: bytes) -> None:
        if octets:
            self.transport.write(octets)

    def die(self) -> None:
        self.transport.abort()

    def answer(self, event: Event) -> bytes | None:
        """Return what to send, None where the meter dies instead."""
        association = self.association
        match event:
            case AssociationRequest():
                answer: Event = AssociationAccepted()
            case GetRequest() | GetListRequest():
                if self.acted and self.meter.die_at_read_back:
                    return self.die()
                answer = self.read(event)
            case ActionRequest():
                if self.meter.die_before_action:
                    return self.die()
                answer = self.meter.act(event)
                self.acted = True
                if self.meter.hold_action:
                    return None
                if self.meter.die_after_action:
                    return self.die()
            case ReleaseRequest():
                answer = Released()
            case _:
                assert isinstance(event, HlsProven | LinkClosed)
                return b""
        return self.cut_short(event, association.send(answer))

    def cut_short(self, event: Event, out: bytes) -> bytes | None:
        is_long = isinstance(event, GetListRequest) and len(event.attributes) > SHORT_LIST
        if not is_long or not self.meter.drops_long_lists:
            return out
        self.transport.write(out[: len(out) // 2])
        self.transport.close()
        return None

    def read(self, event: GetRequest | GetListRequest) -> Event:
        client = self.association.client
        if isinstance(event, GetRequest):
            return self.meter.get(client, event)
        if self.meter.no_lists:
            return ServiceFailure(kind="exception", state=2, service=2)
        self.meter.lists.append(len(event.attributes))
        asked = (
            GetRequest(attribute=attribute, selection=selection) for attribute, selection in event.attributes
        )
        return GetListResult(results=tuple(self.meter.get(client, one) for one in asked))


#: The meters that a test has started.
STARTED: list[Meter] = []


async def until(holds: Callable[[], bool], *, timeout_s: float = 5.0) -> None:
    """Let everything else go on until something holds."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0)


@contextmanager
def serving(meter: Meter) -> Iterator[str]:
    """Run the meter in a thread of its own, as if it hung on a wall."""
    ready: threading.Event = threading.Event()
    found: dict[str, str] = {}
    loop = asyncio.new_event_loop()

    def serve() -> None:
        async def start() -> None:
            found["url"] = await meter.start()
            ready.set()

        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(meter.stop())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(10)
    try:
        yield found["url"]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        STARTED.clear()
