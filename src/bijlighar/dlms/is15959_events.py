"""
Event codes of IS 15959 and the bits of the event status word, as data.

`priority` is a suggestion for the control room (1 siren at once, 2 siren, 3 show, None quiet): even one false event a
meter and month is many an hour in a town, so the list is measured and overruled by configuration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from bijlighar.base.words import Words
from bijlighar.dlms.axdr import BitString

STATUS_BITS_COUNT = 128


class Family(IntEnum):
    """The log that an event stands in; PUSH are bits of the status word that have no log."""

    VOLTAGE = 0
    CURRENT = 1
    POWER = 2
    TRANSACTION = 3
    OTHER = 4
    NON_ROLLOVER = 5
    CONTROL = 6
    PUSH = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCode:
    """
    An event.

    restored_by -- the code that ends it; restores -- the code that it ends.
    priority -- 1, 2, 3, or None for quiet.
    security_log -- belongs into a security log.
    """

    code: int
    words: Words
    family: Family
    restored_by: int | None = None
    restores: int | None = None
    priority: int | None = None
    security_log: bool = False

    @property
    def is_restoration(self) -> bool:
        """Return whether it ends another event."""
        return self.restores is not None


_PAIRS: tuple[tuple[int, int, Family, str, str, int | None], ...] = (
    (1, 2, Family.VOLTAGE, "आर फेज वोल्टेज (पीटी) गायब", "R phase voltage (PT) missing", None),
    (3, 4, Family.VOLTAGE, "वाई फेज वोल्टेज (पीटी) गायब", "Y phase voltage (PT) missing", None),
    (5, 6, Family.VOLTAGE, "बी फेज वोल्टेज (पीटी) गायब", "B phase voltage (PT) missing", None),
    (7, 8, Family.VOLTAGE, "किसी फेज में अधिक वोल्टेज", "Over-voltage in any phase", None),
    (9, 10, Family.VOLTAGE, "किसी फेज में कम वोल्टेज", "Low voltage in any phase", None),
    (11, 12, Family.VOLTAGE, "वोल्टेज असंतुलन", "Voltage unbalance", None),
    (51, 52, Family.CURRENT, "आर फेज करंट (सीटी) उलटा", "R phase current (CT) reverse", 3),
    (53, 54, Family.CURRENT, "वाई फेज करंट (सीटी) उलटा", "Y phase current (CT) reverse", None),
    (55, 56, Family.CURRENT, "बी फेज करंट (सीटी) उलटा", "B phase current (CT) reverse", None),
    (57, 58, Family.CURRENT, "आर फेज सीटी खुली", "R phase CT open", None),
    (59, 60, Family.CURRENT, "वाई फेज सीटी खुली", "Y phase CT open", None),
    (61, 62, Family.CURRENT, "बी फेज सीटी खुली", "B phase CT open", None),
    (63, 64, Family.CURRENT, "करंट असंतुलन", "Current unbalance", None),
    (65, 66, Family.CURRENT, "करंट बाईपास / सीटी शॉर्ट", "Current bypass / CT short", 1),
    (67, 68, Family.CURRENT, "किसी फेज में अधिक करंट", "Over-current in any phase", None),
    (69, 70, Family.CURRENT, "अर्थ लोडिंग", "Earth loading", 2),
    (81, 82, Family.CURRENT, "करंट का मेल नहीं", "Current mismatch", None),
    (83, 84, Family.CURRENT, "न्यूट्रल में अधिक करंट", "High neutral current", None),
    (101, 102, Family.POWER, "बिजली गुल", "Power failure", None),
    (201, 202, Family.OTHER, "चुंबक से छेड़छाड़", "Magnet influence", 1),
    (203, 204, Family.OTHER, "न्यूट्रल में गड़बड़ी", "Neutral disturbance", 2),
    (205, 206, Family.OTHER, "बहुत कम पावर फैक्टर", "Very low power factor", None),
    (207, 208, Family.OTHER, "न्यूट्रल गायब (सिंगल वायर)", "Single-wire operation (neutral missing)", 1),
    (209, 210, Family.OTHER, "संचार मॉड्यूल निकाला गया", "Communication module removed", 1),
    (215, 216, Family.OTHER, "अधिभार (ओवरलोड)", "Overload", 3),
)

_SINGLES: tuple[tuple[int, Family, str, str, int | None, bool], ...] = (
    (151, Family.TRANSACTION, "मीटर की घड़ी बदली गई", "Clock set", None, True),
    (152, Family.TRANSACTION, "मांग समाकलन अवधि बदली गई", "Demand integration period changed", None, False),
    (153, Family.TRANSACTION, "प्रोफ़ाइल अंतराल बदला गया", "Profile capture period changed", None, False),
    (154, Family.TRANSACTION, "बिलिंग तिथि बदली गई", "Billing date schedule changed", None, False),
    (155, Family.TRANSACTION, "टीओडी कैलेंडर बदला गया", "Activity calendar changed", None, False),
    (157, Family.TRANSACTION, "नया फ़र्मवेयर चालू", "New firmware activated", None, False),
    (158, Family.TRANSACTION, "लोड सीमा बदली गई", "Load limit set", None, False),
    (159, Family.TRANSACTION, "लोड सीमा लागू", "Load limit function enabled", None, False),
    (160, Family.TRANSACTION, "लोड सीमा हटाई गई", "Load limit function disabled", None, False),
    (
        161,
        Family.TRANSACTION,
        "मीटर वाचक का पासवर्ड बदला गया",
        "LLS secret (meter reader) changed",
        None,
        True,
    ),
    (162, Family.TRANSACTION, "कंपनी की HLS कुंजी बदली गई", "HLS key (utility) changed", None, True),
    (163, Family.TRANSACTION, "फ़र्मवेयर की HLS कुंजी बदली गई", "HLS key (firmware) changed", None, True),
    (164, Family.TRANSACTION, "मुख्य कुंजी बदली गई", "Global key changed", None, True),
    (165, Family.TRANSACTION, "घटना फ़िल्टर बदला गया", "Event status word filter changed", None, True),
    (166, Family.TRANSACTION, "अधिकतम मांग रीसेट", "Maximum demand reset", None, False),
    (167, Family.TRANSACTION, "मीटरिंग मोड बदला गया", "Metering mode changed", None, False),
    (
        169,
        Family.TRANSACTION,
        "फ़र्मवेयर चालू करने का समय बदला गया",
        "Image activation schedule changed",
        None,
        False,
    ),
    (178, Family.TRANSACTION, "आयात-निर्यात मोड बदला गया", "Import-export mode changed", None, False),
    (182, Family.TRANSACTION, "रिले समय बदला गया", "Relay times changed", None, False),
    (183, Family.TRANSACTION, "अधिभार सीमा का समय बदला गया", "Overload limit schedule changed", None, False),
    (191, Family.TRANSACTION, "VAh गणना: लैग + लीड", "VAh from lag and lead", None, False),
    (192, Family.TRANSACTION, "VAh गणना: केवल लैग", "VAh from lag only", None, False),
    (211, Family.OTHER, "पोस्ट-पेड किया गया", "Changed to post-paid", None, False),
    (212, Family.OTHER, "प्री-पेड किया गया", "Changed to pre-paid", None, False),
    (213, Family.OTHER, "केवल आयात गणना", "Changed to forwarded only", None, False),
    (214, Family.OTHER, "आयात-निर्यात गणना", "Changed to import and export", None, False),
    (251, Family.NON_ROLLOVER, "मीटर का ढक्कन खोला गया", "Meter cover opened", 1, False),
    (252, Family.NON_ROLLOVER, "रिले चिपक गई", "Relay switch weld", 2, False),
    (253, Family.NON_ROLLOVER, "रिले चिपक गई", "Relay switch weld", 2, False),
    (301, Family.CONTROL, "सप्लाई काटी गई (रिले खुली)", "Load switch disconnected", None, False),
    (302, Family.CONTROL, "सप्लाई जोड़ी गई (रिले बंद)", "Load switch connected", None, False),
    (85, Family.PUSH, "बिजली जाने की अंतिम सूचना", "Last gasp", None, False),
    (86, Family.PUSH, "बिजली लौटने की पहली सूचना", "First breath", None, False),
    (87, Family.PUSH, "बिलिंग काउंटर बढ़ा (मांग रीसेट)", "Billing counter increment", None, False),
)


def _codes() -> Mapping[int, EventCode]:
    codes: dict[int, EventCode] = {}
    for occurs, restores, family, hi, en, priority in _PAIRS:
        codes[occurs] = EventCode(
            code=occurs, words=Words(hi=hi, en=en), family=family, restored_by=restores, priority=priority
        )
        codes[restores] = EventCode(
            code=restores,
            words=Words(hi=f"{hi}: समाप्त", en=f"{en}: restored"),
            family=family,
            restores=occurs,
        )
    for code, family, hi, en, priority, security_log in _SINGLES:
        codes[code] = EventCode(
            code=code, words=Words(hi=hi, en=en), family=family, priority=priority, security_log=security_log
        )
    return dict(sorted(codes.items()))


#: All events by code.
EVENTS: Mapping[int, EventCode] = _codes()

#: Events that must follow a command of ours; without one they are a cyber alarm.
COMMANDED = frozenset((151, *range(158, 166), 301, 302))

RELAY_OPENED, RELAY_CLOSED = 301, 302


def event_words(code: int) -> Words:
    """
    Return the words of an event code; one of the maker's own is named by its number.

    >>> event_words(201).en, event_words(603).en
    ('Magnet influence', 'Event 603 of the maker')
    """
    known = EVENTS.get(code)
    if known is not None:
        return known.words
    return Words(hi=f"निर्माता की घटना {code}", en=f"Event {code} of the maker")


def family_of(code: int) -> Family | None:
    """Return the log in which an event code stands (by the standard's ranges), None for one of the maker's own."""
    known = EVENTS.get(code)
    if known is not None:
        return known.family
    for first, last, family in (
        (1, 50, Family.VOLTAGE),
        (51, 100, Family.CURRENT),
        (101, 150, Family.POWER),
        (151, 200, Family.TRANSACTION),
        (201, 250, Family.OTHER),
        (251, 300, Family.NON_ROLLOVER),
        (301, 350, Family.CONTROL),
    ):
        if first <= code <= last:
            return family
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusBit:
    """
    A bit of the event status word (bit 0 leftmost), a standing state.

    occurs, restores -- the event codes of its rise and its fall (None: it means nothing).
    vendor -- used by some makers or utilities only.
    """

    bit: int
    words: Words
    occurs: int | None
    restores: int | None
    vendor: bool = False


_BIT_EVENTS: tuple[tuple[int, int | None, int | None, bool], ...] = (
    (0, 1, 2, False),
    (1, 3, 4, False),
    (2, 5, 6, False),
    (3, 7, 8, False),
    (4, 9, 10, False),
    (5, 11, 12, False),
    (6, 51, 52, False),
    (7, 53, 54, False),
    (8, 55, 56, False),
    (9, 63, 64, False),
    (10, 65, 66, False),
    (11, 67, 68, False),
    (12, 205, 206, False),
    (51, 69, 70, False),
    (81, 201, 202, False),
    (82, 203, 204, False),
    (83, 251, None, False),
    (84, 301, 302, False),
    (85, 85, None, False),
    (86, 86, None, False),
    (87, 87, None, False),
    (61, 210, None, True),
    (62, 207, 208, True),
    (79, 252, None, True),
    (89, 207, 208, True),
    (107, 57, 58, True),
    (108, 59, 60, True),
    (109, 61, 62, True),
    (110, 209, 210, True),
    (111, 215, 216, True),
    (123, 83, 84, True),
)
_BIT_WORDS: tuple[tuple[int, str, str], ...] = (
    (63, "बिना अनुमति निर्यात", "Unauthorised export"),
    (99, "पासवर्ड सत्यापन विफल", "Password authentication failure"),
    (103, "बैटरी", "Battery"),
    (106, "ESD / जैमर", "ESD or jammer"),
    (118, "टर्मिनल का ढक्कन खुला", "Terminal cover open"),
    (119, "बैटरी", "Battery"),
)

#: The bits of the event status word.
STATUS_BITS: Mapping[int, StatusBit] = {
    **{
        bit: StatusBit(
            bit=bit, words=event_words(occurs or 0), occurs=occurs, restores=restores, vendor=vendor
        )
        for bit, occurs, restores, vendor in _BIT_EVENTS
    },
    **{
        bit: StatusBit(bit=bit, words=Words(hi=hi, en=en), occurs=None, restores=None, vendor=True)
        for bit, hi, en in _BIT_WORDS
    },
}

#: The status bit of an event code (the standard's bit where there are two).
BIT_OF_EVENT: Mapping[int, int] = {
    bit.occurs: bit.bit
    for bit in sorted(STATUS_BITS.values(), key=lambda bit: bit.vendor, reverse=True)
    if bit.occurs is not None
}


def status_edges(
    before: BitString | None, after: BitString, *, with_vendor_bits: bool = False
) -> tuple[int, ...]:
    """
    Return the event codes of the bits that changed since the last word (None: no bit was set), in order of the bits.

    >>> word = status_word((81,))
    >>> status_edges(None, word), status_edges(word, word), status_edges(word, status_word(()))
    ((201,), (), (202,))
    """
    codes: list[int] = []
    for bit, meaning in sorted(STATUS_BITS.items()):
        was = before is not None and before.is_set(bit)
        now = after.is_set(bit)
        code = meaning.occurs if now else meaning.restores
        if was != now and code is not None and (with_vendor_bits or not meaning.vendor):
            codes.append(code)
    return tuple(codes)


def status_word(bits: "tuple[int, ...] | frozenset[int]") -> BitString:
    """
    Return the event status word of 128 bits in which `bits` are set.

    >>> status_word((0, 127)).octets.hex()
    '80000000000000000000000000000001'
    """
    octets = bytearray(STATUS_BITS_COUNT // 8)
    for bit in bits:
        octets[bit >> 3] |= 0x80 >> (bit & 7)
    return BitString(bytes(octets), STATUS_BITS_COUNT)
