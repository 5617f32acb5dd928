"""
The association: one pure machine for client and server.

Three verbs: `send(event)` gives the octets to write, `receive_data(octets)` takes what came, `next_event()` tells
what happened. What the machine answers by itself (GET-NEXT, block acknowledgements, HLS passes 3 and 4, HDLC's UA
and RR) is fetched with `data_to_send()` after each `next_event()`.
"""

from collections.abc import Callable
from typing import ClassVar

from bijlighar.dlms import acse, axdr, xdlms
from bijlighar.dlms import apdu as apdus
from bijlighar.dlms.answering import ServerExchange
from bijlighar.dlms.asking import ClientExchange
from bijlighar.dlms.ciphering import Envelope, Opened
from bijlighar.dlms.cosem import ActionOutcome
from bijlighar.dlms.errors import (
    LocalProtocolError,
    Malformed,
    PeerNotProven,
    RemoteProtocolError,
    Unexpected,
)
from bijlighar.dlms.event import (
    NEED_DATA,
    ActionRequest,
    ActionResult,
    AssociationRefused,
    Event,
    HlsProven,
    LinkClosed,
    NeedData,
    Released,
    ReleaseRequest,
    Result,
)
from bijlighar.dlms.general_block import GENERAL_BLOCK_TAG
from bijlighar.dlms.handshake import (
    REPLY_TO_HLS,
    Refusal,
    ServerHandshake,
    service_failure,
)
from bijlighar.dlms.initiate import Conformance
from bijlighar.dlms.life_cycle import State, Step
from bijlighar.dlms.link import Framing, Role
from bijlighar.dlms.machine import FAILURE_TAGS, NOTIFICATION_TAGS
from bijlighar.dlms.notification import notification_event
from bijlighar.dlms.security import Security
from bijlighar.dlms.sending import Sender
from bijlighar.dlms.transfer import PDU_OCTETS_MIN
from bijlighar.dlms.wrapper import WrapperHeader, peek_wrapper

_GENERAL_BLOCK = bytes((GENERAL_BLOCK_TAG,))

__all__ = ["NEED_DATA", "Association", "Framing", "Role", "State", "WrapperHeader", "peek_wrapper"]


class Association(Sender):
    """One association of one client with one logical device."""

    # Receiving.

    def next_event(self) -> Event | NeedData:
        """
        Return what happened next, NEED_DATA if more octets (or, in the server role, an answer) must come first.

        :raises RemoteProtocolError: if the peer broke a rule; that message is dropped and nothing else is changed.
        """
        while not self._owes_answer:
            apdu = self._link.next_apdu()
            if self._link.fresh:
                self._link.fresh = False
                self._abort()
            if apdu is None:
                if not self._link.closed:
                    return NEED_DATA
                self._link.closed = False
                self._abort()
                return LinkClosed()
            event = self._receive(apdu)
            if event is not None:
                return event
        return NEED_DATA

    @property
    def _owes_answer(self) -> bool:
        """Return whether the owner of a server must answer before more is read."""
        if self._is_client:
            return False
        exchange = self._server_exchange
        return self._state in (State.ASSOCIATING, State.RELEASING) or (
            exchange is not None and exchange.awaits_result
        )

    def _receive(self, apdu: bytes) -> Event | None:
        if apdu[:1] == _GENERAL_BLOCK:
            whole = self._take_general_block(apdu)
            if whole is None:
                return None
            if whole[:1] == _GENERAL_BLOCK or whole[:1] in self._ACSE_TAGS:
                raise Unexpected("general blocks hold what does not travel in them")
            apdu = whole
        receiver = self._ACSE_RECEIVERS.get(apdu[0]) if apdu else None
        if receiver is not None:
            return receiver(self, apdu)
        opened = self._envelope.open(apdu)
        self._check_protection(opened)
        message = xdlms.decode(opened.plain)
        if opened.plain[0] in FAILURE_TAGS:
            return self._receive_failure(message)
        if opened.plain[0] in NOTIFICATION_TAGS:
            return self._receive_notification(message)
        if self._is_client:
            return self._receive_response(message, opened)
        return self._receive_request(message, opened)

    def _receive_aarq(self, apdu: bytes) -> Event:
        if self._is_client:
            raise Unexpected("a client gets no association requests")
        aarq = acse.decode_aarq(apdu)
        client = self._link.client
        security = self._security_for(client) if self._security_for else Security()
        try:
            if security is None:
                raise Refusal(f"client {client} is not known here", diagnostic=acse.DIAGNOSTIC_NO_REASON)
            envelope = Envelope(security)
            handshake = ServerHandshake(
                envelope=envelope, randomness=self._randomness, services=self._services
            )
            request = handshake.request(aarq)
        except Refusal as refusal:
            self._link.send(refusal.aare)
            raise
        self._abort()
        self._envelope = envelope
        self._server_handshake = handshake
        self.max_send_pdu = request.max_pdu
        self.conformance = request.conformance
        self._state = self._check_remote_step(Step.ASSOCIATE)
        return request

    def _receive_aare(self, apdu: bytes) -> Event | None:
        handshake = self._client_handshake
        if handshake is None or self._state is not State.ASSOCIATING:
            raise Unexpected("an association response came that was not asked for")
        known_title = self._envelope.peer_title
        try:
            answer = handshake.response(apdu)
        except RemoteProtocolError:
            self._envelope.peer_title = known_title
            raise
        if isinstance(answer, AssociationRefused):
            self._abort()
            return answer
        self.max_send_pdu = answer.max_pdu
        self.conformance = answer.conformance & self._services
        if answer.max_pdu < PDU_OCTETS_MIN:
            self.conformance &= ~Conformance.GENERAL_BLOCK_TRANSFER
        if not handshake.must_prove:
            self._state = self._check_remote_step(Step.ACCEPT)
            return answer
        self._state = self._check_remote_step(Step.CHALLENGE)
        self._accepted = answer
        request = ActionRequest(method=REPLY_TO_HLS, parameters=handshake.proof())
        self._client_exchange = ClientExchange(request=request, invoke=self._next_invoke(), room=self._room)
        try:
            proof = self._client_exchange.first()
        except LocalProtocolError as problem:
            self._abort()
            raise Malformed(f"the peer takes messages of {answer.max_pdu} octets: {problem}") from None
        self._begin(proof)
        self._state = self._check_remote_step(Step.PROVE)
        return None

    def _receive_release(self, apdu: bytes) -> Event:
        release = acse.decode_release(apdu)
        if (release.tag == acse.RLRE) != self._is_client:
            raise Unexpected("a release message came from the wrong side")
        if release.user_information and self._envelope.security.ciphered:
            # Nothing inside matters to us, but its tag must hold, its counter is used up, and it is answered in kind.
            opened = self._envelope.open(release.user_information)
            self._release_form = (opened.form, opened.control)
        if self._is_client:
            self._check_remote_step(Step.RELEASED)
            self._abort()
            return Released(reason=release.reason)
        self._state = self._check_remote_step(Step.RELEASE)
        return ReleaseRequest(reason=release.reason)

    _ACSE_RECEIVERS: ClassVar[dict[int, Callable[..., Event | None]]] = {
        acse.AARQ: _receive_aarq,
        acse.AARE: _receive_aare,
        acse.RLRQ: _receive_release,
        acse.RLRE: _receive_release,
    }

    _ACSE_TAGS = tuple(bytes((tag,)) for tag in (acse.AARQ, acse.AARE, acse.RLRQ, acse.RLRE))

    def _receive_failure(self, message: apdus.Apdu) -> Event:
        if not self._is_client or not isinstance(
            message, apdus.ExceptionResponse | apdus.ConfirmedServiceError
        ):
            raise Unexpected("only a server answers with an exception")
        failure = service_failure(message)
        if self._state in (State.ASSOCIATING, State.PROVING):
            self._abort()
            return AssociationRefused(failure=failure)
        if self._state is State.RELEASING:
            self._abort()
            return failure
        self._state = self._check_remote_step(Step.RESPOND)
        self._client_exchange = None
        return failure

    def _receive_notification(self, message: apdus.Apdu) -> Event:
        if not self._is_client:
            raise Unexpected("a meter gets no notifications")
        after = self._check_remote_step(Step.NOTIFY)
        event = notification_event(message)
        self._state = after
        return event

    def _receive_response(self, message: apdus.Apdu, opened: Opened) -> Event | None:
        exchange = self._client_exchange
        if exchange is None:
            raise Unexpected(f"{type(message).__name__} came that was not asked for")
        result = exchange.take(message, authenticated=opened.authenticated)
        if self._state is State.PROVING:
            return self._receive_proof(result)
        if result is not None:
            self._state = self._check_remote_step(Step.RESPOND)
            self._client_exchange = None
            return result
        if exchange.reply is not None:
            self._begin(exchange.reply)
        return None

    def _receive_proof(self, result: Result | None) -> Event:
        """Take HLS pass 4."""
        handshake, accepted = self._client_handshake, self._accepted
        if handshake is None or accepted is None or not isinstance(result, ActionResult):
            raise Unexpected("an answer came where the peer's proof should")
        if result.result != ActionOutcome.SUCCESS or result.data is None:
            self._abort()
            return AssociationRefused(diagnostic=acse.DIAGNOSTIC_AUTHENTICATION_FAILURE)
        try:
            handshake.check(axdr.decode(result.data))
        except PeerNotProven:
            self._abort()
            raise
        self._state = self._check_remote_step(Step.PROVEN)
        self._client_exchange = None
        return accepted

    def _receive_request(self, message: apdus.Apdu, opened: Opened) -> Event | None:
        if self._state is State.CHALLENGED:
            return self._receive_client_proof(message, opened)
        if self._state is State.ASSOCIATED:
            exchange, step = ServerExchange(), Step.REQUEST
        elif self._state is State.REQUESTED and self._server_exchange is not None:
            exchange, step = self._server_exchange, Step.CONTINUE
        else:
            raise Unexpected(f"{type(message).__name__} came without an association")
        request = exchange.take(message, room=self._room)
        self._state = self._check_remote_step(step)
        self._asked = (opened.form, opened.control)
        self._server_exchange = exchange
        if request is None:
            if exchange.reply is not None:
                self._reply(exchange.reply)
            if not exchange.is_open and not exchange.awaits_result:
                self._state = self._check_step(Step.RESPOND)
                self._server_exchange = None
        return request

    def _receive_client_proof(self, message: apdus.Apdu, opened: Opened) -> Event:
        """Take HLS pass 3 and answer with pass 4."""
        handshake = self._server_handshake
        if (
            handshake is None
            or not isinstance(message, apdus.ActionNormal)
            or (message.method.class_id, message.method.index) != (REPLY_TO_HLS.class_id, REPLY_TO_HLS.index)
        ):
            raise Unexpected("the client must prove itself first")
        self._asked = (opened.form, opened.control)
        try:
            answer = handshake.answer(message.parameters)
        except PeerNotProven:
            self._reply(
                apdus.ActionResponseNormal(
                    invoke=message.invoke, result=ActionOutcome.READ_WRITE_DENIED
                ).encode()
            )
            self._abort()
            raise
        self._state = self._check_remote_step(Step.PROVE)
        self._reply(apdus.ActionResponseNormal(invoke=message.invoke, result=0, data=answer).encode())
        self._state = self._check_step(Step.PROVEN)
        return HlsProven()
