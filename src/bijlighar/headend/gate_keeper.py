"""
The gate at work: it alone speaks as client 48, and does to a meter's supply only what an admitted order says.

Whoever asks it (the head-end, over a socket, or within this process in tests) names an order; the gate looks the
order up in its own store and chooses the octets itself. Nobody can hand it an action to send.
"""

from collections.abc import Callable
from datetime import datetime
from types import MappingProxyType

from sqlalchemy.exc import DBAPIError

from bijlighar.dlms import axdr, is15959
from bijlighar.dlms.cosem import Attribute, Method
from bijlighar.headend import contact, gate, gate_store, keys_store
from bijlighar.headend.decode import clock_octets
from bijlighar.headend.errors import ClosedGateStore, GateRefusal, SealedKeys
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.model import (
    CLIENT_SETTING,
    ControlAction,
    GateCode,
    GateRequest,
    MeterAddress,
    MeterKeys,
    RelayReading,
)
from bijlighar.headend.session import MeterSession
from bijlighar.headend.wording import words_of
from bijlighar.storage.engine import Database

METHODS = MappingProxyType(
    {
        ControlAction.DISCONNECT.value: is15959.DISCONNECT,
        ControlAction.RECONNECT.value: is15959.RECONNECT,
    }
)
METHOD_PARAMETER = axdr.integer(0)


class KeptSession:
    """A conversation of the gate with one meter as client 48."""

    def __init__(self, *, keeper: "GateKeeper", serial: str, session: MeterSession) -> None:
        """Wrap an open association."""
        self._keeper = keeper
        self._serial = serial
        self._session = session

    @property
    def octets(self) -> tuple[int, int]:
        """Return how many octets came in and went out."""
        return self._session.octets

    async def read_relay(self) -> RelayReading:
        """
        Return where the relay stands.

        :raises AccessRefused: if the meter has no relay for this client.
        """
        return await self._session.read_relay()

    async def get_if_any(self, attribute: Attribute) -> bytes | None:
        """
        Return the A-XDR octets of an attribute, None if the meter has no such thing.

        :raises AccessRefused: if the meter refuses for another reason.
        """
        return await self._session.get_if_any(attribute)

    async def set_clock(self, *, now: datetime) -> None:
        """
        Set the meter's clock: that interrupts no supply and needs no order.

        :raises AccessRefused: if the meter does not take it.
        """
        told = await self._session.get(is15959.CLOCK_TIME)
        await self._session.write(is15959.CLOCK_TIME, clock_octets(now, like=told))

    async def act(self, order_id: str, *, now: datetime) -> int:
        """
        Do once what an admitted order says; that it is done is on disk before the first octet leaves.

        :raises GateRefusal: if the order was not admitted for this meter, or is used.
        :raises AccessRefused: if the meter answers with a failure of the service.
        """
        action = self._keeper.use(order_id=order_id, serial=self._serial, now=now)
        if action not in METHODS:
            self._keeper.log_refusal(
                order_id=order_id, serial=self._serial, code=GateCode.WRONG_ACTION, now=now
            )
            raise refusal(GateCode.WRONG_ACTION)
        return await self._session.act(METHODS[action], METHOD_PARAMETER)

    async def perform(self, method: Method, parameters: bytes) -> int:
        """
        Invoke a method for `gate_upkeep`, which has looked at the order; no caller of the gate reaches this.

        :raises AccessRefused: if the meter answers with a failure of the service.
        """
        return await self._session.act(method, parameters)

    async def put(self, attribute: Attribute, data: bytes) -> None:
        """
        Write an attribute for `gate_settings`, which has looked at the order; no caller of the gate reaches this.

        :raises AccessRefused: if the meter does not take it.
        """
        await self._session.write(attribute, data)

    async def release(self) -> None:
        """End the association in good order."""
        await self._session.release()

    def close(self) -> None:
        """Close the connection and keep the last counter of the meter's that held."""
        self._keeper.heard(serial=self._serial, counter=self._session.received_counter)
        self._session.close()


class GateKeeper:
    """The gate over its store and its keys."""

    def __init__(
        self,
        *,
        head_end: HeadEnd,
        store: Database,
        ceilings: Callable[[], object],
        is_elsewhere: bool = True,
    ) -> None:
        """Keep the gate with keys and counters of `head_end`, whose database is `store`."""
        self.is_elsewhere = is_elsewhere
        self.head_end = head_end
        self.store = store
        self._ceilings = ceilings

    async def grant(self, request: GateRequest, *, now: datetime) -> GateCode:
        """
        Return whether an order may be acted on once; an order that was admitted and not used may ask again.

        :raises ClosedGateStore: if the store cannot be reached: nothing passes then.
        """
        return self._decide(request, now=now, may_resume=True)

    def admit(self, request: GateRequest, *, now: datetime) -> GateCode:
        """
        Return whether an order passes here and now, for somebody who acts himself; it passes no second time.

        :raises ClosedGateStore: if the store cannot be reached: nothing passes then.
        """
        code = self._decide(request, now=now, may_resume=False)
        if code is GateCode.ADMITTED:
            with self.store.write() as connection:
                gate_store.mark_used(connection, order_id=request.order_id, now=now)
                gate_store.close(connection, order_id=request.order_id, now=now)
        return code

    async def close_order(self, order_id: str, *, now: datetime) -> None:
        """
        Let nothing pass any more under an order.

        :raises ClosedGateStore: if the store cannot be reached.
        """
        try:
            with self.store.write() as connection:
                gate_store.revoke(connection, order_id=order_id, now=now)
        except DBAPIError as problem:
            raise _no_store(problem) from None

    async def open(self, *, serial: str, address: MeterAddress, now: datetime) -> KeptSession:
        """
        Open a conversation with a meter.

        :raises ClosedGateStore: if the store cannot be reached: no counter can be reserved then.
        :raises BijligharError: if the meter's keys are absent, or it cannot be reached, is silent or refuses.
        """
        self.head_end.forget(serial)  # its keys may have been replaced in the store by somebody else
        await self._prepare(serial=serial, address=address)
        session = await contact.open_prepared(
            self.head_end, meter=serial, address=address, client=CLIENT_SETTING, now=now
        )
        return KeptSession(keeper=self, serial=serial, session=session)

    async def open_with(self, keys: MeterKeys, *, address: MeterAddress) -> KeptSession:
        """
        Open a conversation with a meter by keys that it may have or not.

        :raises BijligharError: if it cannot be reached, is silent or refuses.
        """
        await self._prepare(serial=keys.serial, address=address)
        session = await contact.open_with(self.head_end, keys=keys, address=address, client=CLIENT_SETTING)
        return KeptSession(keeper=self, serial=keys.serial, session=session)

    def own_key(self) -> bytes:
        """
        Return the key under which the gate keeps the meters' keys.

        :raises SealedKeys: if there is none.
        """
        key = self.head_end.settings.key_encryption_key
        if key is None:
            raise SealedKeys("the gate has no key-encryption key; look into its folder")
        return key

    def keys(self, serial: str) -> MeterKeys:
        """
        Return what commands a meter.

        :raises BijligharError: if its keys are absent or do not open.
        """
        self.head_end.forget(serial)
        problems = self.head_end.load(meters=[serial], client=CLIENT_SETTING)
        if serial in problems:
            raise problems[serial]
        return self.head_end.keys(serial)

    def change_of(self, serial: str) -> MeterKeys | None:
        """Return the keys that are on their way into a meter, None if none are."""
        self.keys(serial)
        return self.head_end.pending(serial)

    def end_change(self, keys: MeterKeys, *, now: datetime) -> None:
        """Make keys that the meter has proved to have its keys."""
        self.keys(keys.serial)
        self.head_end.settle(keys, client=CLIENT_SETTING, now=now)

    async def _prepare(self, *, serial: str, address: MeterAddress) -> None:
        try:
            problems = await contact.prepare(self.head_end, meters={serial: address}, client=CLIENT_SETTING)
        except DBAPIError as problem:
            raise _no_store(problem) from None
        if serial in problems:
            raise problems[serial]

    def use(self, *, order_id: str, serial: str, now: datetime) -> str:
        """
        Record that the octets of an admitted order are about to leave, and return the order's action.

        :raises GateRefusal: if it was not admitted for this meter, or is used.
        :raises ClosedGateStore: if the store cannot be reached: nothing leaves then.
        """
        try:
            with self.store.write() as connection:
                code, action = gate.use(connection, order_id=order_id, serial=serial, now=now)
                if code is not GateCode.ADMITTED:
                    gate_store.log(
                        connection, order_id=order_id, serial=serial, action=action, code=code, now=now
                    )
        except DBAPIError as problem:
            raise _no_store(problem) from None
        if code is not GateCode.ADMITTED:
            raise refusal(code)
        return action

    def log_refusal(self, *, order_id: str, serial: str, code: GateCode, now: datetime) -> None:
        """Record that an admitted order was shown for something that it does not say."""
        with self.store.write() as connection:
            gate_store.log(connection, order_id=order_id, serial=serial, action="", code=code, now=now)

    def heard(self, *, serial: str, counter: int) -> None:
        """Remember the last counter of a meter that held."""
        self.head_end.heard(meter=serial, client=CLIENT_SETTING, counter=counter)
        received = self.head_end.heard_counters(meters=[serial], client=CLIENT_SETTING)
        with self.store.write() as connection:
            keys_store.write_received(connection, received=received, client=CLIENT_SETTING)

    def _decide(self, request: GateRequest, *, now: datetime, may_resume: bool) -> GateCode:
        try:
            is_on_factory_keys = self._is_on_factory_keys(request)
            with self.store.write() as connection:
                if is_on_factory_keys:
                    code = GateCode.FACTORY_KEYS
                    gate.log(connection, request=request, code=code, now=now)
                    return code
                return gate.admit(
                    connection,
                    request=request,
                    verify_key=self.head_end.settings.verify_key,
                    ceilings=self._ceilings(),
                    now=now,
                    may_resume=may_resume,
                )
        except DBAPIError as problem:
            raise _no_store(problem) from None

    def _is_on_factory_keys(self, request: GateRequest) -> bool:
        if request.action is ControlAction.CHANGE_KEYS:
            return False
        self.head_end.forget(request.serial)
        problems = self.head_end.load(meters=[request.serial], client=CLIENT_SETTING)
        return not problems and self.head_end.keys(request.serial).factory


def refusal(code: GateCode) -> GateRefusal:
    """Return the error that tells a decision of the gate."""
    return GateRefusal(f"{words_of(code.value).en} ({code.value})")


def _no_store(problem: DBAPIError) -> ClosedGateStore:
    return ClosedGateStore(f"the gate cannot reach its store, so nothing passes: {problem.orig}")
