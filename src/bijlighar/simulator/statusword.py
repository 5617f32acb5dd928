"""What an event does to a meter's event status word, and in which log it stands."""

from bijlighar.dlms.is15959_events import BIT_OF_EVENT, EVENTS, family_of
from bijlighar.simulator.errors import ControlRefused

LAST_GASP, FIRST_BREATH = 85, 86
#: A power failure and its end show in the status word as last gasp and first breath.
_SHOWN_AS = {101: LAST_GASP, 102: FIRST_BREATH}
#: What ends where something begins, without a code of its own.
_ENDED_BY = {LAST_GASP: FIRST_BREATH, FIRST_BREATH: LAST_GASP}
_LOGS = 7


def log_of(code: int) -> int:
    """
    Return the family of the log in which an event stands.

    >>> log_of(201), log_of(251), log_of(302)
    (4, 5, 6)

    :raises ControlRefused: if no log takes it.
    """
    family = family_of(code)
    if family is None or family >= _LOGS:
        raise ControlRefused(f"no event log of a meter takes event {code}")
    return int(family)


def restores(code: int) -> int | None:
    """
    Return the event that an event ends, None if it begins something.

    >>> restores(202), restores(201)
    (201, None)
    """
    known = EVENTS.get(code)
    return None if known is None else known.restores


def with_event(word: bytes, code: int) -> bytes:
    """
    Return the status word after an event: its bit stands from its beginning to its end.

    >>> with_event(bytes(16), 201).hex(), with_event(with_event(bytes(16), 201), 202) == bytes(16)
    ('00000000000000000000400000000000', True)
    """
    shown = _SHOWN_AS.get(code, code)
    word = _with_bit(word, _ENDED_BY.get(shown), up=False)
    ended = restores(shown)
    return _with_bit(word, shown if ended is None else ended, up=ended is None)


def _with_bit(word: bytes, code: int | None, *, up: bool) -> bytes:
    bit = None if code is None else BIT_OF_EVENT.get(code)
    if bit is None:
        return word
    octets = bytearray(word)
    mask = 0x80 >> (bit & 7)
    octets[bit >> 3] = octets[bit >> 3] | mask if up else octets[bit >> 3] & ~mask
    return bytes(octets)
