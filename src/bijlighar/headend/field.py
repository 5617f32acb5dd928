"""
Speaking with one meter from a keys file alone: no database, no registry.

The counter is read from the meter by the public client and only rises. Each run ciphers under a system title of its
own, unless one is given: the head-end uses the same keys, and the same counter under the same title would break the
cipher for both.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bijlighar.dlms import is15959
from bijlighar.dlms.cosem import Attribute, ByRange
from bijlighar.dlms.event import GetResult
from bijlighar.dlms.security import Security
from bijlighar.headend.access import client_security
from bijlighar.headend.contact import read_counter
from bijlighar.headend.control import read_back
from bijlighar.headend.control_steps import feeder_of
from bijlighar.headend.errors import (
    BrokenUrl,
    UnexpectedLayout,
    UnknownMeterKeys,
)
from bijlighar.headend.field_rows import ProfileAnswer, plain_value, profile_answer
from bijlighar.headend.gate_client import RemoteGate
from bijlighar.headend.gate_keeper import METHOD_PARAMETER, METHODS, GateKeeper, refusal
from bijlighar.headend.head_end import open_head_end
from bijlighar.headend.layout import (
    NO_UNIT,
    REGISTER_CLASSES,
    LayoutColumn,
    read_columns,
    read_model,
    read_period,
    read_scaler,
)
from bijlighar.headend.model import (
    CLIENT_PUBLIC,
    ControlAction,
    GateCode,
    GateRequest,
    HeadEndSettings,
    MeterAddress,
    MeterKeys,
    RelayReading,
    SignedOrder,
)
from bijlighar.headend.quirks import NO_QUIRK, Quirk, names_of
from bijlighar.headend.session import CONTROL_MODE_UNTOLD, MeterSession, open_session
from bijlighar.headend.tcp import parse_url
from bijlighar.storage.engine import Database

ONE_SECOND = timedelta(seconds=1)
EVENTS = "events"


def keys_of_url(keys: Sequence[MeterKeys], *, url: str) -> MeterKeys:
    """
    Return the keys of the meter at a URL: the entry with that URL, or the file's only entry.

    :raises UnknownMeterKeys: if the file does not tell which it is.
    """
    address = parse_url(url)
    found = [meter for meter in keys if _address_of(meter) == address]
    if len(found) == 1:
        return found[0]
    if len(keys) == 1:
        return keys[0]
    raise UnknownMeterKeys(
        f"the keys file has no entry with the URL {url}; add one, or give a file of this meter alone"
    )


def _address_of(meter: MeterKeys) -> MeterAddress | None:
    """Return the address of an entry, None if it has none that we can use."""
    try:
        return None if meter.url is None else parse_url(meter.url)
    except BrokenUrl:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayAnswer:
    """
    Where the relay stands.

    `verified` tells whether it is where it was wanted; of a mere reading, that it was read.
    """

    output_state: bool
    control_state: int
    control_mode: int | None
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeAnswer:
    """
    The value of one attribute as JSON can hold it: octets in hex, times of 12 octets as text.

    Of a register's value `scaled` is what it means, in `unit`; it is None for all other attributes.
    """

    value: object
    scaled: int | float | None = None
    unit: str = ""


class FieldClient:
    """One meter, its keys, and the client to speak as."""

    def __init__(self, *, url: str, client: int, keys: MeterKeys | None, settings: HeadEndSettings) -> None:
        """
        Name the meter; nothing is sent yet.

        :raises BrokenUrl: if the URL cannot be understood.
        """
        self._address = parse_url(url)
        self._url = url
        self._client = client
        self._keys = keys
        self._settings = settings

    @property
    def name(self) -> str:
        """Return what messages call the meter."""
        return self._keys.serial if self._keys else self._url

    async def read_profile(
        self, profile: str, *, start: datetime | None, end: datetime | None
    ) -> ProfileAnswer:
        """
        Return the rows of a profile (`events`: of all event logs) with start <= time < end.

        The time of a block-load row is the start of its interval.

        :raises BijligharError: if the meter cannot be reached, refuses or answers garbage.
        """
        session = await self._open()
        try:
            names = tuple(plan.name for plan in is15959.EVENT_PROFILES) if profile == EVENTS else (profile,)
            quirk = await self._quirk(session)
            parts = [await self._read_one(session, name, start, end, quirk) for name in names]
            serial = self.name if self._client == CLIENT_PUBLIC else await self._serial(session)
            await session.release()
        finally:
            session.close()
        found = [part for part in parts if part is not None]
        if not found:
            raise UnexpectedLayout(f"meter {self.name} has no profile {profile} for client {self._client}")
        return profile_answer(
            profile=profile,
            serial=serial,
            parts=found,
            start=start,
            end=end,
            quirk=quirk,
            read_by=names_of(self._settings.quirks.of_serial(self.name), quirk),
        )

    async def get(self, attribute: Attribute) -> AttributeAnswer:
        """
        Return the value of one attribute, and with the value of a register what it means by its own scaler.

        :raises BijligharError: if the meter cannot be reached, refuses or answers garbage.
        """
        scaler, unit, is_register = 0, NO_UNIT, False
        session = await self._open()
        try:
            value = GetResult(data=await session.get(attribute)).value
            if isinstance(value, int) and attribute.index == 2 and attribute.class_id in REGISTER_CLASSES:
                is_register = True
                scaler, unit = await read_scaler(session, attribute)
            await session.release()
        finally:
            session.close()
        return AttributeAnswer(
            value=plain_value(value),
            scaled=is15959.scale(value, scaler) if is_register and isinstance(value, int) else None,
            unit=is15959.UNITS.get(unit, ""),
        )

    async def read_relay(self) -> RelayAnswer:
        """
        Return where the relay stands.

        :raises BijligharError: if the meter cannot be reached, refuses or answers garbage.
        """
        session = await self._open()
        try:
            relay = await session.read_relay()
            await session.release()
        finally:
            session.close()
        return _answer(relay, verified=True)

    async def operate_relay(
        self, action: ControlAction, *, permit: Callable[[RelayReading], Awaitable[None]]
    ) -> RelayAnswer:
        """
        Operate the relay once and return where it stands afterwards; `permit` is asked just before.

        :raises BijligharError: if the meter cannot be reached, refuses or answers garbage, or `permit` refuses.
        """
        session = await self._open()
        try:
            relay = await session.read_relay()
            await permit(relay)
            await session.act(METHODS[action.value], METHOD_PARAMETER)
            relay, _ = await read_back(session, action, settings=self._settings)
            await session.release()
        finally:
            session.close()
        return _answer(relay, verified=relay.has_done(action))

    async def _open(self) -> MeterSession:
        security = self._security(None)
        if self._client != CLIENT_PUBLIC:
            seen = await read_counter(
                address=self._address,
                client=self._client,
                name=self.name,
                settings=self._settings,
                security=lambda: security,
            )
            security = self._security(_rising(seen))
        return await open_session(
            address=self._address,
            client=self._client,
            security=security,
            name=self.name,
            settings=self._settings,
        )

    def _security(self, next_counter: Callable[[], int] | None) -> Security | None:
        return client_security(
            client=self._client,
            keys=self._keys,
            system_title=self._settings.system_title,
            next_counter=next_counter or _rising(0),
            received_counter=-1,
            quirk=self._settings.quirks.of_serial(self.name),
        )

    async def _serial(self, session: MeterSession) -> str:
        data = await session.get_if_any(Attribute(class_id=1, obis=is15959.SERIAL_NUMBER, index=2))
        value = None if data is None else GetResult(data=data).value
        if isinstance(value, bytes):
            return value.decode("ascii", errors="replace")
        return value if isinstance(value, str) else self.name

    async def _quirk(self, session: MeterSession) -> Quirk:
        """Return the quirk of the meter's model; without quirk files its name plate is not asked for."""
        quirks = self._settings.quirks
        return quirks.of_model(await read_model(session, meter=self.name)) if quirks else NO_QUIRK

    async def _read_one(
        self,
        session: MeterSession,
        name: str,
        start: datetime | None,
        end: datetime | None,
        quirk: Quirk,
    ) -> tuple[tuple[LayoutColumn, ...], int, bytes] | None:
        """Return the columns of a profile, its interval [s] and its rows; None if the meter has no such profile."""
        plan = quirk.plan(name)
        columns = await read_columns(session, name, quirk=quirk)
        if not columns:
            return None
        period_s = 0
        if name == is15959.BLOCK_LOAD.name:
            value = await read_period(session, quirk)
            period_s = value if isinstance(value, int) else 0
        selection = _selection(start, end, period_s) if plan.by_range else None
        buffer = await session.get_if_any(plan.buffer, selection)
        return None if buffer is None else (columns, period_s, buffer)


async def no_permit_needed(_relay: RelayReading) -> None:
    """Let the relay of a meter be operated that is in no registry."""


async def obey_authorisation(
    database: Database,
    *,
    client: FieldClient,
    serial: str,
    signed: SignedOrder,
    settings: HeadEndSettings,
    now: datetime,
) -> RelayAnswer:
    """
    Operate the relay of a registered meter under a signed order that the gate lets through once.

    :raises GateRefusal: if the gate does not.
    :raises BijligharError: if the meter cannot be reached, refuses or answers garbage.
    """
    order = signed.order

    async def permit(_relay: RelayReading) -> None:
        with database.read() as connection:
            feeder = feeder_of(connection, serial=serial, now=now)
        request = GateRequest(
            order_id=order.order_id, serial=serial, action=order.action, signed=signed, feeder=feeder
        )
        if settings.gate_socket is not None:
            code = await RemoteGate(settings.gate_socket).admit(request)
        else:
            head_end = open_head_end(database, settings=settings)
            keeper = GateKeeper(head_end=head_end, store=database, ceilings=lambda: settings.ceilings)
            code = keeper.admit(request, now=now)
        if code is not GateCode.ADMITTED:
            raise refusal(code)

    return await client.operate_relay(order.action, permit=permit)


def _rising(seen: int) -> Callable[[], int]:
    last = seen

    def next_counter() -> int:
        nonlocal last
        last += 1
        return last

    return next_counter


def _selection(start: datetime | None, end: datetime | None, period_s: int) -> ByRange | None:
    """Return the rows that may lie in [start, end); exactly those are picked out of what comes."""
    if start is None and end is None:
        return None
    period = timedelta(seconds=period_s)
    first = start or datetime(2000, 1, 1, tzinfo=UTC)
    last = end or datetime(2099, 12, 31, tzinfo=UTC)
    return is15959.between(first - ONE_SECOND, last + period)


def _answer(relay: RelayReading, *, verified: bool) -> RelayAnswer:
    return RelayAnswer(
        output_state=relay.output_state,
        control_state=relay.control_state,
        control_mode=None if relay.control_mode == CONTROL_MODE_UNTOLD else relay.control_mode,
        verified=verified,
    )
