"""What an association sends: each event of ours as its APDU, where the life cycle allows it."""

from collections.abc import Callable
from typing import ClassVar

from bijlighar.dlms import acse
from bijlighar.dlms import apdu as apdus
from bijlighar.dlms.asking import ClientExchange
from bijlighar.dlms.errors import LocalProtocolError
from bijlighar.dlms.event import (
    ActionListRequest,
    ActionListResult,
    ActionRequest,
    ActionResult,
    AssociationAccepted,
    AssociationRefused,
    AssociationRequest,
    DataNotification,
    Event,
    EventNotification,
    GetListRequest,
    GetListResult,
    GetRequest,
    GetResult,
    Notification,
    Released,
    ReleaseRequest,
    Request,
    Result,
    ServiceFailure,
    SetListRequest,
    SetListResult,
    SetRequest,
    SetResult,
)
from bijlighar.dlms.handshake import (
    ClientHandshake,
)
from bijlighar.dlms.initiate import Conformance
from bijlighar.dlms.life_cycle import Step
from bijlighar.dlms.machine import Machine
from bijlighar.dlms.notification import notification_apdu

_BLOCKS_OF_ACTION, _BLOCKS_OF_GET = (
    int(Conformance.BLOCK_TRANSFER_ACTION),
    int(Conformance.BLOCK_TRANSFER_GET),
)


class Sender(Machine):
    """The sending half of an association; `session.Association` adds the receiving half."""

    # Sending.

    def send(self, event: Event) -> bytes:
        """
        Return the octets that tell the peer `event`.

        :raises LocalProtocolError: if it is not legal now.
        """
        sender = self._SENDERS.get(type(event))
        if sender is None:
            raise LocalProtocolError(f"{type(event).__name__} cannot be sent")
        sender(self, event)
        return self.data_to_send()

    def _send_association_request(self, event: AssociationRequest) -> None:  # noqa: ARG002 - all comes from security
        self._only(client=True)
        after = self._check_step(Step.ASSOCIATE)
        handshake = ClientHandshake(
            envelope=self._envelope,
            randomness=self._randomness,
            max_pdu=self._max_pdu,
            services=self._services,
        )
        self._link.send(handshake.request())
        self._client_handshake = handshake
        self._state = after

    def _send_accepted(self, event: AssociationAccepted) -> None:  # noqa: ARG002 - all was agreed before
        self._only(client=False)
        handshake = self._server_handshake
        if handshake is None:
            raise LocalProtocolError("there is no association request to accept")
        high = self._envelope.security.mechanism.is_high_level
        after = self._check_step(Step.CHALLENGE if high else Step.ACCEPT)
        self._link.send(handshake.response(max_pdu=self._max_pdu))
        self._state = after

    def _send_refused(self, event: AssociationRefused) -> None:
        self._only(client=False)
        handshake = self._server_handshake
        if handshake is None:
            raise LocalProtocolError("there is no association request to refuse")
        self._check_step(Step.REFUSE)
        self._link.send(handshake.refusal(event))
        self._abort()

    def _send_request(self, event: Request) -> None:
        self._only(client=True)
        after = self._check_step(Step.REQUEST)
        exchange = ClientExchange(request=event, invoke=self._next_invoke(), room=self._room)
        self._begin(exchange.first())
        self._client_exchange = exchange
        self._state = after

    def _send_result(self, event: Result) -> None:
        self._only(client=False)
        exchange = self._server_exchange
        if exchange is None:
            raise LocalProtocolError("there is no request to answer")
        acting = isinstance(event, ActionResult | ActionListResult)
        needed = _BLOCKS_OF_ACTION if acting else _BLOCKS_OF_GET
        can_block = bool(self.conformance & needed)
        apdu = exchange.result(event, room=self._room, can_block=can_block)
        self._state = self._check_step(Step.CONTINUE if exchange.is_open else Step.RESPOND)
        self._reply(apdu)
        if not exchange.is_open:
            self._server_exchange = None

    def _send_notification(self, event: Notification) -> None:
        self._only(client=False)
        after = self._check_step(Step.NOTIFY)
        self._begin(notification_apdu(event).encode())
        self._state = after

    def _send_failure(self, event: ServiceFailure) -> None:
        self._only(client=False)
        after = self._check_step(Step.RESPOND)
        self._link.send(
            apdus.ExceptionResponse(state=event.state, service=event.service, counter=event.counter).encode()
        )
        self._server_exchange = None
        self._state = after

    def _send_release(self, event: ReleaseRequest) -> None:
        self._only(client=True)
        after = self._check_step(Step.RELEASE)
        self._link.send(acse.Release(tag=acse.RLRQ, reason=event.reason).encode())
        self._state = after

    def _send_released(self, event: Released) -> None:
        self._only(client=False)
        self._check_step(Step.RELEASED)
        information = b""
        if self._release_form is not None and self._server_handshake is not None:
            form, control = self._release_form
            information = self._envelope.seal(
                self._server_handshake.agreed(max_pdu=self._max_pdu), form=form, control=control
            )
        self._link.send(
            acse.Release(tag=acse.RLRE, reason=event.reason, user_information=information).encode()
        )
        self._abort()

    _SENDERS: ClassVar[dict[type, Callable[..., None]]] = {
        AssociationRequest: _send_association_request,
        AssociationAccepted: _send_accepted,
        AssociationRefused: _send_refused,
        GetRequest: _send_request,
        GetListRequest: _send_request,
        SetRequest: _send_request,
        SetListRequest: _send_request,
        ActionRequest: _send_request,
        ActionListRequest: _send_request,
        GetResult: _send_result,
        GetListResult: _send_result,
        SetResult: _send_result,
        SetListResult: _send_result,
        ActionResult: _send_result,
        ActionListResult: _send_result,
        DataNotification: _send_notification,
        EventNotification: _send_notification,
        ServiceFailure: _send_failure,
        ReleaseRequest: _send_release,
        Released: _send_released,
    }
