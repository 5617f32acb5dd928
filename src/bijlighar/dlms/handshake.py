"""How an association begins: AARQ and AARE, the password, the challenges, the proofs; for both roles."""

import hmac
from collections.abc import Callable

from bijlighar.dlms import acse, axdr, xdlms
from bijlighar.dlms import apdu as apdus
from bijlighar.dlms import initiate as initiate_apdus
from bijlighar.dlms.acse import Aare, Aarq
from bijlighar.dlms.ciphering import Envelope, Form
from bijlighar.dlms.cosem import Method
from bijlighar.dlms.errors import LocalProtocolError, Malformed, PeerNotProven, Unprotected, WrongPassword
from bijlighar.dlms.event import AssociationAccepted, AssociationRefused, AssociationRequest, ServiceFailure
from bijlighar.dlms.initiate import InitiateRequest, InitiateResponse
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.security import (
    CHALLENGE_OCTETS_MAX,
    CHALLENGE_OCTETS_MIN,
    Mechanism,
    Security,
    secret_answer,
    secret_answer_holds,
)
from bijlighar.dlms.transfer import PDU_OCTETS_MIN

CHALLENGE_OCTETS = 16
PDU_OCTETS_MAX = 0xFFFF

#: reply_to_HLS_authentication of the current association (class 15, method 1).
REPLY_TO_HLS = Method(class_id=15, obis=Obis.parse("0.0.40.0.0.255"), index=1)

_PDU_TOO_SHORT = apdus.ConfirmedServiceError(service=1, group=6, value=3)
_VERSION_TOO_LOW = apdus.ConfirmedServiceError(service=1, group=6, value=1)

Randomness = Callable[[int], bytes]


def proof(envelope: Envelope, challenge: bytes) -> bytes:
    """Return our answer to the peer's challenge."""
    security = envelope.security
    if security.mechanism is not Mechanism.HLS5:
        return secret_answer(challenge, secret=security.secret, mechanism=security.mechanism)
    return envelope.protection().gmac(challenge, title=security.own_title, counter=envelope.next_counter())


def proof_holds(envelope: Envelope, answer: axdr.Value, challenge: bytes) -> bool:
    """Return whether the peer's answer to our challenge is right."""
    security = envelope.security
    if not isinstance(answer, bytes):
        return False
    if security.mechanism is not Mechanism.HLS5:
        return secret_answer_holds(answer, challenge, secret=security.secret, mechanism=security.mechanism)
    return envelope.protection().gmac_holds(answer, challenge, title=envelope.known_peer_title())


def service_failure(apdu: apdus.ExceptionResponse | apdus.ConfirmedServiceError) -> ServiceFailure:
    """Return the event of an exception-response or confirmed-service-error."""
    if isinstance(apdu, apdus.ExceptionResponse):
        return ServiceFailure(kind="exception", state=apdu.state, service=apdu.service, counter=apdu.counter)
    return ServiceFailure(
        kind="confirmed-service-error", state=apdu.group, service=apdu.service, value=apdu.value
    )


def pdu_limit(announced: int) -> int:
    """Return what a peer can receive [octets]; 0 means without limit."""
    return announced or PDU_OCTETS_MAX


def _checked_challenge(value: bytes | None) -> bytes:
    if value is None or not CHALLENGE_OCTETS_MIN <= len(value) <= CHALLENGE_OCTETS_MAX:
        raise Malformed(
            f"a challenge must have {CHALLENGE_OCTETS_MIN} to {CHALLENGE_OCTETS_MAX} octets, "
            f"not {len(value or b'')}"
        )
    return value


class ClientHandshake:
    """The client's side."""

    __slots__ = ("_dedicated_key", "_envelope", "_max_pdu", "_own_challenge", "_peer_challenge", "_services")

    def __init__(
        self,
        *,
        envelope: Envelope,
        randomness: Randomness,
        max_pdu: int,
        services: int = int(initiate_apdus.SUPPORTED),
    ) -> None:
        self._services = services
        self._envelope = envelope
        self._max_pdu = max_pdu
        security = envelope.security
        octets = security.challenge_octets or CHALLENGE_OCTETS
        self._own_challenge = randomness(octets) if security.mechanism.is_high_level else b""
        self._peer_challenge = b""
        self._dedicated_key = (
            randomness(security.key_octets) if security.dedicated and security.ciphered else None
        )

    def request(self) -> bytes:
        """Return the AARQ."""
        security = self._envelope.security
        initiate = InitiateRequest(
            dedicated_key=self._dedicated_key, max_pdu=self._max_pdu, conformance=self._services
        ).encode()
        if security.ciphered:
            initiate = self._envelope.seal(initiate, form=Form.GLO)
        value = {Mechanism.NONE: None, Mechanism.LLS: security.secret}.get(
            security.mechanism, self._own_challenge
        )
        with_title = security.ciphered or security.mechanism is Mechanism.HLS5
        return Aarq(
            context=acse.CONTEXT_CIPHERED if security.ciphered else acse.CONTEXT_PLAIN,
            mechanism=None if security.mechanism is Mechanism.NONE else int(security.mechanism),
            title=security.own_title if with_title else None,
            value=value,
            user_information=initiate,
        ).encode()

    def response(self, apdu: bytes) -> AssociationAccepted | AssociationRefused:
        """
        Return what the AARE says; after it, `must_prove` tells whether HLS goes on.

        :raises RemoteProtocolError: if it is not good.
        """
        aare = acse.decode_aare(apdu)
        if aare.result != 0:
            return AssociationRefused(
                result=aare.result,
                diagnostic=aare.diagnostic,
                failure=_failure_inside(aare.user_information),
            )
        envelope = self._envelope
        security = envelope.security
        if aare.context != (acse.CONTEXT_CIPHERED if security.ciphered else acse.CONTEXT_PLAIN):
            raise Unprotected(f"the peer answers in application context {aare.context}")
        if security.mechanism.is_high_level:
            challenge = _checked_challenge(aare.value)
            if aare.diagnostic != acse.DIAGNOSTIC_AUTHENTICATION_REQUIRED or aare.mechanism not in (
                None,
                int(security.mechanism),
            ):
                raise PeerNotProven("the peer does not take part in the authentication that we asked for")
            if hmac.compare_digest(challenge, self._own_challenge):
                raise PeerNotProven("the peer sends our own challenge back")
            self._peer_challenge = challenge
        envelope.learn_title(aare.title)
        agreed = self._agreed(aare)
        envelope.use_dedicated_key(self._dedicated_key)
        return AssociationAccepted(
            title=aare.title, max_pdu=pdu_limit(agreed.max_pdu), conformance=agreed.conformance
        )

    def _agreed(self, aare: Aare) -> InitiateResponse:
        """Return the initiate response inside the AARE."""
        opened = self._envelope.open(aare.user_information)
        if self._envelope.security.ciphered and opened.form is Form.PLAIN:
            raise Unprotected("the peer answers in plain where ciphering was agreed")
        return initiate_apdus.decode_initiate_response(opened.plain)

    @property
    def must_prove(self) -> bool:
        """Return whether HLS pass 3 follows."""
        return bool(self._peer_challenge)

    def proof(self) -> bytes:
        """Return the parameters of HLS pass 3."""
        return axdr.octet_string(proof(self._envelope, self._peer_challenge))

    def check(self, answer: axdr.Value) -> None:
        """
        Check HLS pass 4.

        :raises PeerNotProven: if the peer's answer is wrong.
        """
        if not proof_holds(self._envelope, answer, self._own_challenge):
            raise PeerNotProven(
                "the peer's answer to our challenge is wrong; it is not the meter, or has other keys"
            )


def _failure_inside(user_information: bytes) -> ServiceFailure | None:
    """Return the confirmed-service-error that a refusing AARE may hold."""
    if user_information[:1] == bytes((apdus.CONFIRMED_SERVICE_ERROR,)):
        apdu = xdlms.decode(user_information)
        if isinstance(apdu, apdus.ConfirmedServiceError):
            return service_failure(apdu)
    return None


class Refusal(PeerNotProven):
    """The server refuses the AARQ; `aare` tells the client."""

    def __init__(
        self, message: str, *, diagnostic: int, error: apdus.ConfirmedServiceError | None = None
    ) -> None:
        super().__init__(message)
        self.aare = Aare(
            result=1, diagnostic=diagnostic, user_information=b"" if error is None else error.encode()
        ).encode()


class PasswordRefusal(Refusal, WrongPassword):
    """The server refuses the AARQ because of its password."""


class ServerHandshake:
    """The server's side."""

    __slots__ = (
        "_control",
        "_envelope",
        "_form",
        "_initiate",
        "_own_challenge",
        "_peer_challenge",
        "_randomness",
        "_services",
    )

    def __init__(
        self,
        *,
        envelope: Envelope,
        randomness: Randomness,
        services: int = int(initiate_apdus.SUPPORTED),
    ) -> None:
        self._services = services
        self._envelope = envelope
        self._randomness = randomness
        self._own_challenge = b""
        self._peer_challenge = b""
        self._form = Form.PLAIN
        self._control = 0
        self._initiate = InitiateRequest()

    def request(self, aarq: Aarq) -> AssociationRequest:
        """
        Return what the client asks for, after context, mechanism, password and ciphering were checked.

        :raises Refusal: if the client is refused.
        :raises RemoteProtocolError: if the message is not good.
        """
        envelope = self._envelope
        security = envelope.security
        if aarq.context != (acse.CONTEXT_CIPHERED if security.ciphered else acse.CONTEXT_PLAIN):
            raise Refusal(
                f"application context {aarq.context} is not that of this client",
                diagnostic=acse.DIAGNOSTIC_CONTEXT_NOT_SUPPORTED,
            )
        self._check_mechanism(aarq, security)
        if security.mechanism is Mechanism.HLS5 or security.ciphered:
            envelope.learn_title(aarq.title)
            envelope.known_peer_title()
        opened = envelope.open(aarq.user_information)
        if security.ciphered and opened.form is Form.PLAIN:
            raise Unprotected("the initiate request is plain where ciphering is demanded")
        control = security.answer_control
        self._form, self._control = opened.form, opened.control if control is None else control
        initiate = initiate_apdus.decode_initiate_request(opened.plain)
        if initiate.version < initiate_apdus.DLMS_VERSION:
            raise Refusal(
                f"DLMS version {initiate.version} is too low",
                diagnostic=acse.DIAGNOSTIC_NO_REASON,
                error=_VERSION_TOO_LOW,
            )
        if pdu_limit(initiate.max_pdu) < PDU_OCTETS_MIN:
            raise Refusal(
                f"PDUs of {initiate.max_pdu} octets are too short",
                diagnostic=acse.DIAGNOSTIC_NO_REASON,
                error=_PDU_TOO_SHORT,
            )
        if security.ciphered:
            envelope.use_dedicated_key(initiate.dedicated_key)
        self._initiate = initiate
        return AssociationRequest(
            mechanism=security.mechanism,
            ciphered=security.ciphered,
            title=aarq.title,
            max_pdu=pdu_limit(initiate.max_pdu),
            conformance=initiate.conformance & self._services,
        )

    def _check_mechanism(self, aarq: Aarq, security: Security) -> None:
        """Check the mechanism, the password of LLS, the challenge of HLS."""
        if (aarq.mechanism or 0) != security.mechanism:
            raise Refusal(
                f"authentication mechanism {aarq.mechanism or 0} is not that of this client",
                diagnostic=acse.DIAGNOSTIC_MECHANISM_NOT_RECOGNISED
                if aarq.mechanism
                else acse.DIAGNOSTIC_AUTHENTICATION_REQUIRED,
            )
        if security.mechanism is Mechanism.LLS and not hmac.compare_digest(
            aarq.value or b"", security.secret
        ):
            raise PasswordRefusal("the password is wrong", diagnostic=acse.DIAGNOSTIC_AUTHENTICATION_FAILURE)
        if security.mechanism.is_high_level:
            self._peer_challenge = _checked_challenge(aarq.value)
            if len(self._peer_challenge) != (security.challenge_octets or len(self._peer_challenge)):
                raise Refusal(
                    f"a challenge has {security.challenge_octets} octets here, not {len(self._peer_challenge)}",
                    diagnostic=acse.DIAGNOSTIC_AUTHENTICATION_FAILURE,
                )

    def response(self, *, max_pdu: int) -> bytes:
        """Return the accepting AARE; with HLS it carries our challenge."""
        envelope = self._envelope
        security = envelope.security
        high = security.mechanism.is_high_level
        if high:
            self._own_challenge = self._randomness(security.challenge_octets or CHALLENGE_OCTETS)
            if hmac.compare_digest(self._own_challenge, self._peer_challenge):
                raise LocalProtocolError(
                    "the random challenge equals the client's; the randomness given is not random"
                )
        initiate = self.agreed(max_pdu=max_pdu)
        with_title = security.ciphered or security.mechanism is Mechanism.HLS5
        return Aare(
            context=acse.CONTEXT_CIPHERED if security.ciphered else acse.CONTEXT_PLAIN,
            diagnostic=acse.DIAGNOSTIC_AUTHENTICATION_REQUIRED if high else acse.DIAGNOSTIC_NULL,
            title=security.own_title if with_title else None,
            mechanism=int(security.mechanism) if high else None,
            value=self._own_challenge if high else None,
            user_information=envelope.seal(initiate, form=self._form, control=self._control),
        ).encode()

    def agreed(self, *, max_pdu: int) -> bytes:
        """Return the initiate response: what is agreed."""
        conformance = self._initiate.conformance & self._services
        return InitiateResponse(conformance=conformance, max_pdu=max_pdu).encode()

    def refusal(self, refused: AssociationRefused) -> bytes:
        """Return a refusing AARE."""
        return Aare(result=refused.result or 1, diagnostic=refused.diagnostic).encode()

    def answer(self, parameters: bytes | None) -> bytes:
        """
        Return what HLS pass 4 returns, after pass 3 was checked.

        :raises PeerNotProven: if the client's answer is wrong.
        """
        value = None if parameters is None else axdr.decode(parameters)
        if not proof_holds(self._envelope, value, self._own_challenge):
            raise PeerNotProven("the client's answer to our challenge is wrong")
        return axdr.octet_string(proof(self._envelope, self._peer_challenge))
