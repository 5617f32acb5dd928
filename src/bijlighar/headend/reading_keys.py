"""
New keys and passwords for the reading client, which the head-end makes, keeps and proves, and the gate brings in.

They are on disk, sealed, beside those that the meter is known to have before anything leaves, and stay there until
the meter has proved which it holds; so an answer that was lost locks nobody out, and ordered again it goes on.
"""

import secrets
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.headend import contact
from bijlighar.headend.errors import (
    AccessRefused,
    AssociationRefused,
    KeyChangeOpen,
    KeysNotTaken,
    NoRelay,
    SealedKeys,
    UnknownMeterKeys,
)
from bijlighar.headend.gate_client import RemoteGate
from bijlighar.headend.gate_keeper import refusal
from bijlighar.headend.gate_wire import Told
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.keys import push_keys
from bijlighar.headend.model import (
    CLIENT_READER,
    ControlAction,
    GateCode,
    GateRequest,
    Lane,
    MeterAddress,
    MeterKeys,
    SignedOrder,
)
from bijlighar.headend.reading_change import ReadingChange, change_of_keys
from bijlighar.headend.tcp import gateway_before, parse_url
from bijlighar.headend.upkeep import gate_of
from bijlighar.registry import queries as registry
from bijlighar.storage.engine import Database

#: A password is as long as the one before, and no shorter than this; meters take letters and digits.
SECRET_LETTERS_MIN = 8
LETTERS = string.ascii_letters + string.digits
READING = (ControlAction.READING_KEYS, ControlAction.READING_SECRET)


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunChange:
    """A change that is on disk: what an order for it must say. `digest` is the order's detail."""

    action: ControlAction
    digest: str


def begin_reading_change(
    head_end: HeadEnd, *, serial: str, action: ControlAction, now: datetime
) -> BegunChange:
    """
    Make new keys, or a new password, of the reading client, and keep them; a change that was begun before stands.

    Nothing leaves by this.

    :raises KeyChangeOpen: if a change of the other kind was begun and has not come to its end.
    :raises UnknownMeterKeys: if no keys are stored for the meter, or it is not read as client 32.
    :raises SealedKeys: if its keys do not open.
    """
    if head_end.settings.collect_client != CLIENT_READER:
        raise UnknownMeterKeys(
            "the head-end does not read as client 32 here, so it has no keys of it to change"
        )
    current = _current(head_end, serial)
    if current.lls is None:
        raise UnknownMeterKeys(f"the keys of meter {serial} hold no password for the reading client")
    begun = head_end.begin(_new(current, action), now=now)
    change = _change(head_end, current=current, new=begun)
    if change.action is not action:
        other = "--secrets" if change.action is ControlAction.READING_SECRET else "no --secrets"
        raise KeyChangeOpen(
            f"another change of client 32 of meter {serial} was begun, and its answer was lost; order that one again "
            f"first (meter change-keys --client 32, with {other})"
        )
    return BegunChange(action=change.action, digest=change.digest)


async def change_reading(
    database: Database, *, signed: SignedOrder, head_end: HeadEnd, now: datetime
) -> None:
    """
    Have the gate bring the change that an order names into its meter, and prove by a session that the meter has it.

    :raises GateRefusal: if the gate does not admit the order, or it names another change than was begun.
    :raises KeysNotTaken: if the meter says that it does not take it, or has not taken it after all.
    :raises BijligharError: if the gate or the meter does not answer: done again, the meter is asked which it has.
    """
    order = signed.order
    if order.action not in READING:
        raise refusal(GateCode.WRONG_ACTION)
    gate = gate_of(head_end.settings)
    with database.read() as connection:
        device = registry.end_device(connection, serial=order.serial)
    if device.url is None:
        raise NoRelay(f"meter {order.serial} cannot be reached; its keys are changed at the meter")
    work = _Work(gate=gate, head_end=head_end, signed=signed, address=parse_url(device.url), now=now)
    async with head_end.permit(
        meter=order.serial,
        gateway=gateway_before(url=device.url, gateway=device.gateway),
        lane=Lane.ON_DEMAND,
    ):
        await work.do()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One order, under the permit of its meter."""

    gate: RemoteGate
    head_end: HeadEnd
    signed: SignedOrder
    address: MeterAddress
    now: datetime

    @property
    def serial(self) -> str:
        return self.signed.order.serial

    async def do(self) -> None:
        head_end, order = self.head_end, self.signed.order
        current = _current(head_end, self.serial)
        new = head_end.pending(self.serial)
        change = None if new is None else _change(head_end, current=current, new=new)
        if new is None or change is None or change.digest != order.detail:
            raise refusal(GateCode.WRONG_KEYS)
        sealed = change.seal(to=await self.gate.envelope_key())
        request = GateRequest(
            order_id=order.order_id, serial=self.serial, action=order.action, signed=self.signed
        )
        code = await self.gate.grant(request, now=self.now)
        if code not in (GateCode.ADMITTED, GateCode.USED):
            raise refusal(code)
        # A meter that has neither is out of our reach (a copy of the database was too old): new keys bring it back.
        with suppress(AssociationRefused, RemoteProtocolError):
            await self._look()
        if head_end.pending(self.serial) == new:
            if code is not GateCode.ADMITTED:
                raise refusal(code)
            await self._send(new, sealed)
            await self._prove(new)
        # else the meter had taken it before, and said so by letting us in
        await self._tell(is_good=True)

    async def _look(self) -> None:
        """Speak with the meter by the keys that it is known to have, or by the new ones: then they are its own."""
        problems = await contact.prepare(
            self.head_end, meters={self.serial: self.address}, client=CLIENT_READER
        )
        if self.serial in problems:
            raise problems[self.serial]
        async with self._session(None):
            pass

    async def _send(self, new: MeterKeys, sealed: bytes) -> None:
        try:
            await self.gate.send_reading_change(
                order_id=self.signed.order.order_id, serial=self.serial, address=self.address, sealed=sealed
            )
        except Told as told:
            if told.code != AccessRefused.code:
                raise
            await self._look()  # it says that it has not taken them: so those before must hold
            if self.head_end.pending(self.serial) != new:
                return  # it had taken them before, and refuses to take the same again
            self.head_end.abandon(new)
            raise KeysNotTaken(
                f"meter {self.serial} does not take it, and keeps what it has: {told}"
            ) from None

    async def _prove(self, new: MeterKeys) -> None:
        try:
            async with self._session(new):
                self.head_end.settle(new, client=CLIENT_READER, now=self.now)
            return
        except (AssociationRefused, RemoteProtocolError) as problem:
            refused = problem
        try:
            await self._look()
        except (AssociationRefused, RemoteProtocolError):
            await self._tell(is_good=False)
            raise KeysNotTaken(
                f"meter {self.serial} lets us in neither by what it had nor by what it was given ({refused}); both "
                "are kept, and no more meters follow today"
            ) from None
        if self.head_end.pending(self.serial) == new:
            raise KeysNotTaken(
                f"meter {self.serial} said that it took it, and still has what it had; both are kept: order it again"
            )

    async def _tell(self, *, is_good: bool) -> None:
        await self.gate.read_back(
            order_id=self.signed.order.order_id, serial=self.serial, address=self.address, is_good=is_good
        )

    @asynccontextmanager
    async def _session(self, keys: MeterKeys | None) -> AsyncIterator[None]:
        """Be in a session by these keys, or by those that the meter is known to have."""
        head_end = self.head_end
        if keys is None:
            session = await contact.open_prepared(
                head_end, meter=self.serial, address=self.address, client=CLIENT_READER, now=self.now
            )
        else:
            session = await contact.open_with(head_end, keys=keys, address=self.address, client=CLIENT_READER)
        try:
            yield
            await session.release()
        finally:
            head_end.heard(meter=self.serial, client=CLIENT_READER, counter=session.received_counter)
            session.close()


def _current(head_end: HeadEnd, serial: str) -> MeterKeys:
    head_end.forget(serial)  # they may have been replaced meanwhile
    problems = head_end.load(meters=[serial], client=CLIENT_READER)
    if serial in problems:
        raise problems[serial]
    return head_end.keys(serial)


def _new(current: MeterKeys, action: ControlAction) -> MeterKeys:
    if action is ControlAction.READING_KEYS:
        # What the meter pushes is under a security setup of its own, which keeps its keys.
        push_ek, push_ak = push_keys(current)
        return replace(
            current,
            ek=secrets.token_bytes(len(current.ek)),
            ak=secrets.token_bytes(len(current.ek)),
            push_ek=push_ek,
            push_ak=push_ak,
            factory=False,
        )
    count = max(SECRET_LETTERS_MIN, len(current.lls or b""))
    return replace(current, lls="".join(secrets.choice(LETTERS) for _ in range(count)).encode())


def _change(head_end: HeadEnd, *, current: MeterKeys, new: MeterKeys) -> ReadingChange:
    key = head_end.settings.key_encryption_key
    if key is None:
        raise SealedKeys("meter keys need a key-encryption key, and there is none")
    return change_of_keys(current=current, new=new, key_encryption_key=key)
