"""What a push says, by the push setup that sent it (IS 15959, class 40): pure reading, no storing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.dlms import axdr
from bijlighar.dlms import clock as cosem_clock
from bijlighar.dlms.axdr import BitString
from bijlighar.dlms.errors import Malformed
from bijlighar.dlms.event import DataNotification, Notification
from bijlighar.dlms.is15959 import FAMILY_NAMES, PUSH_ALERT, PUSH_PERIODIC
from bijlighar.dlms.is15959_events import STATUS_BITS, STATUS_BITS_COUNT, family_of, status_edges
from bijlighar.dlms.obis import Obis
from bijlighar.headend.push_store import PushState
from bijlighar.headend.quirks import ADVICE
from bijlighar.headend.quirks_access import StatusWordQuirk
from bijlighar.headend.registration import REGISTRATION_SETUP, Registration, read_registration
from bijlighar.readings.model import MeterEvent

#: The family of an event that stands in no log.
PUSH_FAMILY = "push"
#: The bits of long-invoke-id-and-priority that number a notification (IEC 62056-5-3 clause 9.3.2).
LONG_INVOKE_NUMBER = 0x00FF_FFFF
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class PushKind(StrEnum):
    """What a push is about."""

    ALERT = "alert"
    REGISTRATION = "registration"
    INSTANTANEOUS = "instantaneous"
    BLOCK_LOAD = "block-load"
    DAILY = "daily"
    BILLING = "billing"
    CURRENT_BILL = "current-bill"
    TAMPER = "tamper"
    OTHER = "other"


#: The push setups that are met in the field, and what they send.
KINDS: Mapping[bytes, PushKind] = MappingProxyType(
    {
        PUSH_ALERT.octets: PushKind.ALERT,
        REGISTRATION_SETUP.octets: PushKind.REGISTRATION,
        PUSH_PERIODIC.octets: PushKind.INSTANTANEOUS,
        Obis.parse("0.5.25.9.0.255").octets: PushKind.BLOCK_LOAD,
        Obis.parse("0.6.25.9.0.255").octets: PushKind.DAILY,
        Obis.parse("0.132.25.9.0.255").octets: PushKind.BILLING,
        Obis.parse("0.0.25.9.129.255").octets: PushKind.CURRENT_BILL,
        Obis.parse("0.134.25.9.0.255").octets: PushKind.TAMPER,
    }
)
SETUP_OCTETS = 6
#: The bits of the status word that mean nothing; bit 0 is the highest.
_UNKNOWN_BITS = sum(
    1 << STATUS_BITS_COUNT - 1 - bit for bit in range(STATUS_BITS_COUNT) if bit not in STATUS_BITS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """
    The body of an alert.

    `at` is when it was made, None if the meter's clock does not say; `number` is the meter's own number for it.
    """

    at: datetime | None
    number: int
    word: BitString


@dataclass(frozen=True, slots=True, kw_only=True)
class Periodic:
    """
    The body of any other push: `body` are its A-XDR octets.

    `rows` are the octets of a profile's rows, None if it brings no profile's buffer: a bare list of values does not
    say of which objects they are, so it is counted and not guessed at.
    """

    kind: PushKind
    body: bytes
    rows: bytes | None = None


Body = Alert | Registration | Periodic


def read_body(notification: Notification) -> Body:
    """
    Return what a push says: device, push setup, then what the setup sends.

    :raises RemoteProtocolError: if it is no push of IS 15959.
    """
    if not isinstance(notification, DataNotification):
        raise Malformed("a push is no data-notification")
    match notification.value:
        case (_, bytes() as setup, *rest) if len(setup) == SETUP_OCTETS:
            kind = KINDS.get(setup, PushKind.OTHER)
        case _:
            raise Malformed("a push must begin with its device and its push setup")
    if kind is PushKind.ALERT:
        match rest:
            case [bytes() as time, BitString() as word]:
                number = notification.long_invoke & LONG_INVOKE_NUMBER
                return Alert(at=cosem_clock.decode(time), number=number, word=word)
            case _:
                raise Malformed("an alert is device, push setup, clock and status word")
    if kind is PushKind.REGISTRATION:
        return read_registration(notification)
    return Periodic(kind=kind, body=notification.data, rows=_rows(notification.data))


def _rows(body: bytes) -> bytes | None:
    """Return the octets of the one array in a push's structure, None if there is none, or several."""
    parts = axdr.parse(body).value
    found = [
        axdr.write(part)
        for part in (parts if isinstance(parts, tuple) else ())
        if isinstance(part, axdr.Data) and part.tag == axdr.Tag.ARRAY
    ]
    return found[0] if len(found) == 1 else None


def alert_events(
    *, meter: str, alert: Alert, state: PushState, now: datetime, quirk: StatusWordQuirk | None = None
) -> tuple[MeterEvent, ...]:
    """
    Return the events that an alert tells: the edges of its status word against the word before.

    The bits are standing states, so a bit that stays set is no new event, and an alert that is older than the word
    we have (a meter sends again what it was not thanked for) tells nothing. Words are kept as the meter sends them
    and numbered by `quirk` when they are compared: a quirk file that is written later makes no edges by itself.
    """
    word = _numbered(alert.word, quirk)
    if word is None or _order(alert.at, alert.number, now) <= _order_of(state):
        return ()
    return tuple(
        MeterEvent(
            meter=meter,
            code=code,
            at=alert.at or now,
            family=_family(code),
            origin="push",
            received_at=now,
            detail={"status_word": alert.word.octets.hex()},
        )
        for code in status_edges(_word_before(state, quirk), word)
    )


def wrong_length(alert: Alert, quirk: StatusWordQuirk | None = None) -> str:
    """Return that an alert's status word cannot be read, with advice; empty if it can."""
    if _numbered(alert.word, quirk) is not None:
        return ""
    bits = STATUS_BITS_COUNT if quirk is None else quirk.bits
    return f"the status word has {alert.word.bits} bits, not {bits}; {ADVICE}"


def strange_bits(*, alert: Alert, state: PushState, quirk: StatusWordQuirk | None = None) -> str:
    """Return which bits an alert has set anew that the standard does not know, with advice; empty if none."""
    word, before = _numbered(alert.word, quirk), _word_before(state, quirk)
    risen = 0 if word is None else _as_number(word) & ~(0 if before is None else _as_number(before))
    strange = risen & _UNKNOWN_BITS
    if not strange:
        return ""
    bits = [str(bit) for bit in range(STATUS_BITS_COUNT) if strange >> STATUS_BITS_COUNT - 1 - bit & 1]
    return f"bits {', '.join(bits)} of the status word mean nothing by the standard; {ADVICE}"


def _as_number(word: BitString) -> int:
    return int.from_bytes(word.octets, "big")


def _word_before(state: PushState, quirk: StatusWordQuirk | None) -> BitString | None:
    if not state.word_bits:
        return None
    return _numbered(BitString(octets=state.word, bits=state.word_bits), quirk)


def _numbered(word: BitString, quirk: StatusWordQuirk | None) -> BitString | None:
    """Return a word as the standard numbers its bits, None if it is not as long as it must be."""
    if word.bits != (STATUS_BITS_COUNT if quirk is None else quirk.bits):
        return None
    return word if quirk is None else quirk.standard(word)


def state_after(*, alert: Alert, counter: int, state: PushState) -> PushState:
    """Return what is known of a meter's pushes after an alert; the same alert again is counted as repeated."""
    state = replace(state, counter=counter)
    if state.word_bits and (alert.at, alert.number) == (state.word_at, state.word_number):
        return replace(state, repeated=state.repeated + 1)
    state = replace(state, received=state.received + 1)
    if alert.at is not None and _order(alert.at, alert.number, alert.at) < _order_of(state):
        return state
    return replace(
        state,
        word=alert.word.octets,
        word_bits=alert.word.bits,
        word_at=alert.at,
        word_number=alert.number,
    )


def _order_of(state: PushState) -> tuple[datetime, int]:
    if not state.word_bits or state.word_at is None:
        return (BEFORE_ALL, -1)
    return (state.word_at, state.word_number)


def _order(at: datetime | None, number: int, now: datetime) -> tuple[datetime, int]:
    return (at or now, number)


def _family(code: int) -> str:
    family = family_of(code)
    return FAMILY_NAMES[family] if family is not None and family < len(FAMILY_NAMES) else PUSH_FAMILY
