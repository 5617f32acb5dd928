"""The plumbing of an association: link, envelope, state, and how an APDU goes out."""

from collections.abc import Callable

from bijlighar.base.lifecycle import IllegalStep, next_state
from bijlighar.dlms import apdu as apdus
from bijlighar.dlms.answering import ServerExchange
from bijlighar.dlms.asking import ClientExchange
from bijlighar.dlms.ciphering import GENERAL_OVERHEAD_OCTETS, Envelope, Form, Opened
from bijlighar.dlms.errors import (
    Forged,
    LocalProtocolError,
    PeerNotProven,
    RemoteProtocolError,
    Replayed,
    TooLong,
    Unexpected,
    Unprotected,
    WrongKey,
    WrongTitle,
)
from bijlighar.dlms.event import AssociationAccepted
from bijlighar.dlms.general_block import GeneralTransfer, octets_in_blocks
from bijlighar.dlms.handshake import ClientHandshake, ServerHandshake
from bijlighar.dlms.initiate import SUPPORTED, Conformance
from bijlighar.dlms.life_cycle import LIFE_CYCLE, State, Step
from bijlighar.dlms.link import Framing, HdlcLink, Link, Role, WrapperLink
from bijlighar.dlms.security import Control, Security
from bijlighar.dlms.transfer import PDU_OCTETS_MIN, TRANSFER_OCTETS_MAX

HDLC_INFORMATION = 128
MAX_PDU = 1024
GENERAL_BLOCKS_WINDOW = 16
PUBLIC_CLIENT = 16

#: As plain numbers: to look members of enumerations up and to join flags takes longer than what is asked.
_GENERAL_BLOCKS = int(Conformance.GENERAL_BLOCK_TRANSFER)
_PLAIN, _GLO, _DED = Form.PLAIN, Form.GLO, Form.DED

MUTATING_TAGS = (apdus.SET_REQUEST, apdus.ACTION_REQUEST, apdus.SET_RESPONSE, apdus.ACTION_RESPONSE)
FAILURE_TAGS = (apdus.EXCEPTION_RESPONSE, apdus.CONFIRMED_SERVICE_ERROR)
NOTIFICATION_TAGS = (apdus.DATA_NOTIFICATION, apdus.EVENT_NOTIFICATION)


class Machine:
    """What both roles of an association share; `session.Association` adds the messages."""

    def __init__(  # noqa: PLR0913 - what an association is made of
        self,
        *,
        role: Role,
        client: int | None = None,
        server: int = 1,
        framing: Framing = Framing.WRAPPER,
        physical: int | None = None,
        address_octets: int | None = None,
        hdlc_information: int = HDLC_INFORMATION,
        hdlc_window: int = 1,
        security: Security | None = None,
        security_for: Callable[[int], Security | None] | None = None,
        randomness: Callable[[int], bytes],
        max_pdu: int = MAX_PDU,
        general_blocks: bool = False,
    ) -> None:
        if not PDU_OCTETS_MIN <= max_pdu <= 0xFFFF:
            raise LocalProtocolError(f"max_pdu is {max_pdu}; it must be {PDU_OCTETS_MIN} to 65535")
        self._is_client = role is Role.CLIENT
        if client is None:
            client = PUBLIC_CLIENT if self._is_client else 0
        self._link: Link = (
            WrapperLink(role=role, client=client, server=server)
            if framing is Framing.WRAPPER
            else HdlcLink(
                role=role,
                client=client,
                server=server,
                physical=physical,
                address_octets=address_octets,
                information=hdlc_information,
                window=hdlc_window,
            )
        )
        self._security_for = security_for
        self._randomness = randomness
        self._max_pdu = max_pdu
        self._services = int(SUPPORTED | Conformance.GENERAL_BLOCK_TRANSFER if general_blocks else SUPPORTED)
        # A serial line carries one message at a time, so one block at a time is asked for.
        self._window = GENERAL_BLOCKS_WINDOW if framing is Framing.WRAPPER else 1
        self._general = GeneralTransfer(window=self._window)
        self._state = State.IDLE
        self._envelope = Envelope(security or Security(), is_client=self._is_client)
        self._asked: tuple[Form, int] = (Form.PLAIN, 0)
        self._client_handshake: ClientHandshake | None = None
        self._server_handshake: ServerHandshake | None = None
        self._accepted: AssociationAccepted | None = None
        self._release_form: tuple[Form, int] | None = None
        self._client_exchange: ClientExchange | None = None
        self._server_exchange: ServerExchange | None = None
        self._invoke = 0
        self.max_send_pdu = 0xFFFF
        self.conformance = 0

    @property
    def state(self) -> State:
        """Return where the association stands."""
        return self._state

    @property
    def client(self) -> int:
        """Return the client's SAP (0 in the server role before the first frame)."""
        return self._link.client

    @property
    def server(self) -> int:
        """Return the server's SAP."""
        return self._link.server

    @property
    def broken(self) -> bool:
        """Return whether the stream is lost, so that the connection must be closed."""
        return self._link.broken

    @property
    def security(self) -> Security:
        """Return the security in force."""
        return self._envelope.security

    @property
    def received_counter(self) -> int:
        """Return the last good invocation counter of the peer under EK."""
        return self._envelope.received_counter

    @property
    def peer_title(self) -> bytes | None:
        """Return the peer's system title, if known."""
        return self._envelope.peer_title

    def receive_data(self, data: bytes) -> None:
        """Take octets that came in."""
        self._link.receive(data)

    @property
    def has_data_to_send(self) -> bool:
        """Return whether something has to be written."""
        return bool(self._link.outgoing)

    def data_to_send(self) -> bytes:
        """Return what has to be written, and forget it."""
        octets = bytes(self._link.outgoing)
        self._link.outgoing.clear()
        return octets

    def close(self) -> bytes:
        """Return the octets that end the link (HDLC: DISC; wrapper: none)."""
        self._abort()
        self._link.disconnect()
        return self.data_to_send()

    def refusal(self, error: RemoteProtocolError) -> bytes:
        """Return, in the server role, the exception-response that tells the client about `error`."""
        if self._is_client or self._link.broken or not self._link.client or isinstance(error, PeerNotProven):
            return b""
        state = 1 if self._state is State.IDLE else 2
        counter: int | None = None
        if isinstance(error, Replayed):
            service, counter = 6, error.expected
        elif isinstance(error, Forged | WrongKey | WrongTitle | Unprotected):
            service = 5
        elif isinstance(error, TooLong):
            service = 4
        else:
            service = 1 if isinstance(error, Unexpected) else 3
        self._link.send(apdus.ExceptionResponse(state=state, service=service, counter=counter).encode())
        return self.data_to_send()

    def _check_step(self, step: Step) -> State:
        """Return the state after a step of ours."""
        try:
            return next_state(LIFE_CYCLE, self._state, step)
        except IllegalStep as problem:
            raise LocalProtocolError(f"{problem}; ask again when the association is ready") from None

    def _check_remote_step(self, step: Step) -> State:
        """Return the state after a step of the peer."""
        try:
            return next_state(LIFE_CYCLE, self._state, step)
        except IllegalStep as problem:
            raise Unexpected(f"the peer's message is not legal now: {problem}") from None

    def _abort(self) -> None:
        """Forget the association; the link stays."""
        self._state = State.IDLE
        self._client_handshake = None
        self._server_handshake = None
        self._accepted = None
        self._release_form = None
        self._client_exchange = None
        self._server_exchange = None
        self._general = GeneralTransfer(window=self._window)

    def _only(self, *, client: bool) -> None:
        if client != self._is_client:
            raise LocalProtocolError(f"only the {'client' if client else 'server'} sends this")

    @property
    def _own_form(self) -> Form:
        """Return how we send what we begin ourselves."""
        security = self._envelope.security
        if not security.ciphered:
            return _PLAIN
        if self._envelope.has_dedicated_key:
            return Form.GENERAL_DED if security.general else _DED
        return Form.GENERAL_GLO if security.general else _GLO

    @property
    def _room(self) -> int:
        """Return how long an APDU to the peer may be before it is ciphered [octets]."""
        overhead = GENERAL_OVERHEAD_OCTETS if self._envelope.security.ciphered else 0
        if self.conformance & _GENERAL_BLOCKS:
            return min(TRANSFER_OCTETS_MAX, octets_in_blocks(self.max_send_pdu)) - overhead
        return self.max_send_pdu - overhead

    def _next_invoke(self) -> int:
        self._invoke = self._invoke % 15 + 1
        return apdus.INVOKE_CONFIRMED_HIGH | self._invoke

    def _begin(self, apdu: bytes) -> None:
        """Send an APDU that we begin."""
        self._transmit(self._envelope.seal(apdu, form=self._own_form))

    def _reply(self, apdu: bytes) -> None:
        """Send an APDU in the form in which the peer asked."""
        form, control = self._asked
        if self._envelope.security.answer_control is not None:
            control = self._envelope.security.answer_control
        self._transmit(self._envelope.seal(apdu, form=form, control=control))

    def _transmit(self, apdu: bytes) -> None:
        """Send a finished APDU, in general blocks if it is too long and they were agreed."""
        if len(apdu) <= self.max_send_pdu or not self.conformance & _GENERAL_BLOCKS:
            self._link.send(apdu)
            return
        self._general.start(apdu, octets=self.max_send_pdu)
        self._send_general_blocks()

    def _send_general_blocks(self) -> None:
        for block in self._general.replies:
            self._link.send(block)
        self._general.replies = []

    def _take_general_block(self, apdu: bytes) -> bytes | None:
        """Take a general block; return the whole APDU if it was the last of one."""
        if self._state not in (State.ASSOCIATED, State.REQUESTED):
            raise Unexpected("a general block came without an association")
        whole = self._general.take(apdu)
        self._send_general_blocks()
        return whole

    def _check_protection(self, opened: Opened) -> None:
        """Check that a message is protected as agreed; what changes something needs a tag in any case."""
        if not self._envelope.security.ciphered:
            return
        tag = opened.plain[0]
        if opened.form is _PLAIN:
            if tag in FAILURE_TAGS:
                return
            raise Unprotected("a plain message came where ciphering was agreed")
        if opened.control & Control.AUTHENTICATED:
            return
        if tag in MUTATING_TAGS and self._state not in (State.CHALLENGED, State.PROVING):
            raise Unprotected("SET and ACTION without a tag are never accepted")
