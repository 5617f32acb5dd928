"""One association with one meter: what can be asked, and what its refusals are called here."""

import os
from collections.abc import Callable, Sequence
from typing import TypeAlias

from bijlighar.dlms import is15959
from bijlighar.dlms.cosem import ActionOutcome, Attribute, DataAccess, Method, Selection, result_name
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.dlms.event import (
    ActionRequest,
    ActionResult,
    AssociationAccepted,
    AssociationRefused,
    AssociationRequest,
    Event,
    GetListRequest,
    GetListResult,
    GetRequest,
    GetResult,
    ReleaseRequest,
    ServiceFailure,
    SetRequest,
    SetResult,
)
from bijlighar.dlms.security import Control, Security
from bijlighar.dlms.session import Association, Framing, Role
from bijlighar.headend import call_in_session, serial_line, tcp
from bijlighar.headend.access import client_address, meter_address
from bijlighar.headend.errors import AccessRefused, GarbledAnswer, HeadEndError, MeterSilent
from bijlighar.headend.errors import (
    AssociationRefused as MeterRefused,
)
from bijlighar.headend.model import HeadEndSettings, MeterAddress, RelayReading, TransportKind
from bijlighar.headend.quirks import ADVICE, Quirks
from bijlighar.headend.tcp import MeterLink

MAX_PDU = 65_535
#: An attribute, and which of its rows.
Asked: TypeAlias = tuple[Attribute, Selection | None]
#: The control mode in the reading of a relay whose meter does not tell it.
CONTROL_MODE_UNTOLD = -1
HDLC_WAYS = (TransportKind.HDLC_TCP, TransportKind.HDLC)
#: Answers that mean "this meter has no such thing", not "something is wrong".
ABSENT_ANSWERS = frozenset(
    {
        DataAccess.READ_WRITE_DENIED,
        DataAccess.OBJECT_UNDEFINED,
        DataAccess.OBJECT_UNAVAILABLE,
        DataAccess.OBJECT_CLASS_INCONSISTENT,
        DataAccess.SCOPE_OF_ACCESS_VIOLATED,
    }
)


class MeterSession:
    """An open connection to a meter and the association over it."""

    def __init__(self, *, link: MeterLink, name: str) -> None:
        """Wrap an open link to the meter that messages call `name`."""
        self._link = link
        self._name = name

    @property
    def octets(self) -> tuple[int, int]:
        """Return how many octets came in and went out."""
        return self._link.octets_in, self._link.octets_out

    @property
    def received_counter(self) -> int:
        """Return the last counter of the meter's that held, -1 if none did."""
        return self._link.association.received_counter

    @property
    def proven_title(self) -> bytes | None:
        """Return the meter's system title, None where no tag has vouched for it."""
        association = self._link.association
        return association.peer_title if association.received_counter >= 0 else None

    async def associate(self) -> None:
        """
        Open the association; with HLS both sides have proved themselves afterwards.

        :raises AssociationRefused: if the meter does not let us in.
        """
        answer = await self._link.exchange(AssociationRequest())
        match answer:
            case AssociationAccepted():
                return
            case AssociationRefused():
                why = f"diagnostic {answer.diagnostic}"
                if answer.failure is not None:
                    why = f"{why}, {answer.failure.text}"
                refused = MeterRefused(
                    f"meter {self._name} refuses the association ({why}); check client, password and keys"
                )
                refused.counter = None if answer.failure is None else answer.failure.counter
                raise refused
            case _:
                raise MeterRefused(f"meter {self._name} refuses the association: {_failure(answer)}")

    async def get(self, attribute: Attribute, selection: Selection | None = None) -> bytes:
        """
        Return the A-XDR octets of an attribute.

        :raises AccessRefused: if the meter does not give it.
        """
        data = await self.get_if_any(attribute, selection)
        if data is None:
            chosen = "" if selection is None else f", or cannot choose rows: {ADVICE}"
            raise AccessRefused(
                f"meter {self._name} does not show {attribute.obis} attribute {attribute.index} to this client; "
                f"ask as client 32 or 48, if its make has it at all{chosen}"
            )
        return data

    async def get_if_any(self, attribute: Attribute, selection: Selection | None = None) -> bytes | None:
        """
        Return the A-XDR octets of an attribute, None if this meter has no such thing for this client.

        :raises AccessRefused: if the meter refuses for another reason.
        """
        answer = await self._link.exchange(GetRequest(attribute=attribute, selection=selection))
        if not isinstance(answer, GetResult):
            raise self._refusal("a reading", answer)
        return self._data_of(attribute, answer)

    async def get_list(self, asked: Sequence[Asked]) -> tuple[bytes | None, ...]:
        """
        Return the octets of several attributes in one round trip, or one by one where the meter knows no lists.

        :raises AccessRefused: if the meter refuses for another reason than having no such thing.
        :raises LocalProtocolError: if the meter takes no request that is so long.
        """
        answer = await self._link.exchange(GetListRequest(attributes=tuple(asked)))
        if isinstance(answer, GetListResult):
            if len(answer.results) != len(asked):
                raise GarbledAnswer(
                    f"meter {self._name} answered a list of {len(asked)} with another length; read it again"
                )
            return tuple(
                [
                    self._data_of(attribute, result)
                    for (attribute, _), result in zip(asked, answer.results, strict=True)
                ]
            )
        if not isinstance(answer, ServiceFailure):
            raise self._refusal("a list", answer)
        return tuple([await self.get_if_any(attribute, selection) for attribute, selection in asked])

    async def gives_list(self, asked: Sequence[Asked]) -> bool:
        """
        Return whether the meter gives all of several attributes in one list.

        :raises BijligharError: if it is silent, hangs up, breaks the protocol, or takes no request that is so long.
        """
        answer = await self._link.exchange(GetListRequest(attributes=tuple(asked)))
        return (
            isinstance(answer, GetListResult)
            and len(answer.results) == len(asked)
            and all(result.data is not None for result in answer.results)
        )

    async def act(self, method: Method, parameters: bytes) -> int:
        """
        Invoke a method and return the meter's result code, 0 for success.

        :raises AccessRefused: if the meter answers with a failure of the service, or our messages have no tag.
        """
        self._check_tagged()
        answer = await self._link.exchange(ActionRequest(method=method, parameters=parameters))
        if not isinstance(answer, ActionResult):
            raise self._refusal("an action", answer)
        return answer.result if answer.result != ActionOutcome.SUCCESS else 0

    async def write(self, attribute: Attribute, data: bytes) -> None:
        """
        Write an attribute with A-XDR octets.

        :raises AccessRefused: if the meter does not take it, or our messages have no tag.
        """
        self._check_tagged()
        answer = await self._link.exchange(SetRequest(attribute=attribute, data=data))
        if not isinstance(answer, SetResult):
            raise self._refusal("a setting", answer)
        if answer.result:
            raise AccessRefused(
                f"meter {self._name} does not take {attribute.obis} attribute {attribute.index}: "
                f"{result_name(answer.result)}"
            )

    async def read_relay(self) -> RelayReading:
        """
        Return where the relay stands.

        Not every make tells its control mode: it is CONTROL_MODE_UNTOLD then.

        :raises AccessRefused: if the meter has no relay for this client.
        :raises GarbledAnswer: if what it says is no state of a relay.
        """
        attributes = (is15959.RELAY_STATE, is15959.CONTROL_STATE)
        output, control = [GetResult(data=await self.get(attribute)).value for attribute in attributes]
        told = await self.get_if_any(is15959.CONTROL_MODE)
        mode = CONTROL_MODE_UNTOLD if told is None else GetResult(data=told).value
        if not isinstance(output, bool) or not isinstance(control, int) or not isinstance(mode, int):
            raise GarbledAnswer(
                f"meter {self._name} says of its relay {[output, control, mode]!r}, which is no state; read it again"
            )
        return RelayReading(output_state=output, control_state=control, control_mode=mode)

    async def release(self) -> None:
        """End the association in good order; that the meter hangs up instead is no failure."""
        try:
            await self._link.exchange(ReleaseRequest())
        except HeadEndError:
            return
        await self._link.hang_up()

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _check_tagged(self) -> None:
        security = self._link.association.security
        if not (security.ciphered and security.control & Control.AUTHENTICATED):
            raise AccessRefused(
                f"meter {self._name} is spoken with in messages without a tag, which are for reading alone; "
                "nothing was sent"
            )

    def _data_of(self, attribute: Attribute, result: GetResult) -> bytes | None:
        if result.error is None and result.data is not None:
            return result.data
        if result.error in ABSENT_ANSWERS:
            return None
        raise AccessRefused(
            f"meter {self._name} does not give {attribute.obis} attribute {attribute.index}: "
            f"{result_name(result.error or 0)}"
        )

    def _refusal(self, what: str, answer: Event) -> HeadEndError:
        return AccessRefused(f"meter {self._name} refuses {what}: {_failure(answer)}")


async def open_session(
    *, address: MeterAddress, client: int, security: Security | None, name: str, settings: HeadEndSettings
) -> MeterSession:
    """
    Open the connection and the association; the caller closes the session.

    The meter is called as its quirk file says; where none is of it and it does not let us in, the error says that
    one may be wanted.

    :raises HeadEndError: if the meter cannot be reached, is silent or refuses, or its quirk file cannot be used.
    :raises RemoteProtocolError: if it breaks the protocol.
    """
    quirk = settings.quirks.of_serial(name)
    called = meter_address(quirk, address)

    def association() -> Association:
        return Association(
            role=Role.CLIENT,
            client=client_address(quirk, client),
            server=called.server,
            framing=Framing.HDLC if called.kind in HDLC_WAYS else Framing.WRAPPER,
            physical=called.physical,
            address_octets=quirk.access.address_octets,
            security=security,
            randomness=os.urandom,
            max_pdu=quirk.max_pdu or MAX_PDU,
        )

    try:
        return await _open(
            address=called, association=association, security=security, name=name, settings=settings
        )
    except (MeterRefused, MeterSilent, RemoteProtocolError) as problem:
        problem.args = (f"{problem}; {_advice(settings.quirks, name)}",)
        raise


async def _open(
    *,
    address: MeterAddress,
    association: Callable[[], Association],
    security: Security | None,
    name: str,
    settings: HeadEndSettings,
) -> MeterSession:
    if address.kind is TransportKind.CALL_IN:
        link = await call_in_session.associate_over(
            address=address,
            meter=name,
            is_secured=security is not None and security.ciphered,
            make_association=association,
            associate=lambda link: MeterSession(link=link, name=name).associate(),
            settings=settings,
        )
        return MeterSession(link=link, name=name)
    connect = serial_line.connect if address.kind is TransportKind.HDLC else tcp.connect
    link = await connect(
        address=address,
        association=association(),
        connect_timeout_s=settings.connect_timeout_s,
        answer_timeout_s=settings.answer_timeout_s,
    )
    session = MeterSession(link=link, name=name)
    try:
        await session.associate()
    except BaseException:
        link.abort()
        raise
    return session


def _advice(quirks: Quirks, serial: str) -> str:
    """Return what the quirk files have to do with a meter that does not let us in."""
    quirk = quirks.of_serial(serial)
    if quirk.name:
        return f"it was called by the quirk file {quirk.name}.toml"
    return f"no quirk file here is of the serial number {serial}; {ADVICE}" if quirks else ADVICE


def _failure(answer: Event) -> str:
    if isinstance(answer, ServiceFailure):
        return answer.text
    return type(answer).__name__
