"""
What is known of a meter beside its readings: maker, firmware, SIM and the like, as dated facts. Pure.

A vendor's word is a claim. It is trusted once the meter, in an association that held, has said the same; what it says
otherwise stands beside the claim as a fact of its own. A model is on no name plate of IS 15959, so it stays a claim.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.errors import InvalidValue
from bijlighar.base.words import Words
from bijlighar.headend.quirks import LONE_MODEL, SEPARATOR
from bijlighar.headend.registration import IMEI, SIM

#: How long a maker, a model, a firmware or an address may be [letters].
TEXT_MAX = 200
MODEL_PARTS = 3
TITLE = re.compile(r"[0-9A-Fa-f]{16}")
YEAR = re.compile(r"[0-9]{4}")
YEAR_MIN, YEAR_MAX = 1990, 2100


class MeterFactKind(StrEnum):
    """What is known of a meter."""

    MAKER = "maker"
    MODEL = "model"
    FIRMWARE = "firmware"
    YEAR = "year"
    SYSTEM_TITLE = "system_title"
    IMEI = "imei"
    SIM = "sim"
    ADDRESS = "address"


class FactOrigin(StrEnum):
    """Who said it."""

    SHIPMENT = "shipment"
    METER = "meter"
    MODEM = "modem"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterFact:
    """What was said of a meter at `since`; trusted from when an association held, None: a claim."""

    meter: str
    kind: MeterFactKind
    value: str
    origin: FactOrigin
    since: datetime
    trusted_at: datetime | None


#: What is known of meters, by serial number.
MeterFacts = Mapping[str, Mapping[MeterFactKind, str]]


def read_fact(kind: MeterFactKind, text: str) -> str:
    """
    Return a vendor's word as it is kept.

    >>> read_fact(MeterFactKind.SYSTEM_TITLE, "424a484142434431")
    '424A484142434431'

    :raises InvalidValue: if it is none of its kind.
    """
    return _READERS[kind](text)


def told_facts(
    *, model: str | None, year: int | None, system_title: bytes | None, url: str
) -> Mapping[MeterFactKind, str]:
    """
    Return what an association that held has told of its meter: its name plate, its title, where it answered.

    >>> told_facts(model="ACME / 1 / 2.0", year=None, system_title=None, url="tcp://h")["firmware"]
    '2.0'
    """
    found = {MeterFactKind.ADDRESS: url[:TEXT_MAX]}
    if system_title is not None:
        found[MeterFactKind.SYSTEM_TITLE] = system_title.hex().upper()
    if model is not None and not model.startswith(LONE_MODEL):
        parts = model.split(SEPARATOR)
        if len(parts) >= MODEL_PARTS:
            found[MeterFactKind.MAKER] = storable(SEPARATOR.join(parts[:-2]))
            found[MeterFactKind.FIRMWARE] = storable(parts[-1])
    if year is not None and YEAR_MIN <= year <= YEAR_MAX:
        found[MeterFactKind.YEAR] = str(year)
    return {kind: value for kind, value in found.items() if value}


def storable(text: str) -> str:
    """Return what a meter says without signs that no table shows; a meter's text may hold anything."""
    return "".join(sign for sign in text if sign.isprintable()).strip()[:TEXT_MAX]


def fact_words(name: str) -> Words:
    """
    Return what something of the facts of a meter is called.

    >>> fact_words("firmware").en
    'firmware'
    """
    return _WORDS[name]


def _text(what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not 0 < len(text) <= TEXT_MAX or not text.isprintable():
            raise InvalidValue(f"{what} must be 1 to {TEXT_MAX} letters without control signs")
        return text

    return read


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not text.isascii() or not pattern.fullmatch(text):
            raise InvalidValue(f"{what} is needed")
        return text.upper()

    return read


def _year(text: str) -> str:
    if not text.isascii() or not YEAR.fullmatch(text) or not YEAR_MIN <= int(text) <= YEAR_MAX:
        raise InvalidValue(f"a year from {YEAR_MIN} to {YEAR_MAX} is needed")
    return text


_READERS: Mapping[MeterFactKind, Callable[[str], str]] = MappingProxyType(
    {
        MeterFactKind.MAKER: _text("a maker"),
        MeterFactKind.MODEL: _text("a model"),
        MeterFactKind.FIRMWARE: _text("a firmware"),
        MeterFactKind.YEAR: _year,
        MeterFactKind.SYSTEM_TITLE: _matching(TITLE, "a system title of 16 hex digits"),
        MeterFactKind.IMEI: _matching(IMEI, "an IMEI of 14 to 17 digits"),
        MeterFactKind.SIM: _matching(SIM, "a SIM's number (ICCID) of 10 to 22 digits"),
        MeterFactKind.ADDRESS: _text("an address"),
    }
)

_WORDS: Mapping[str, Words] = MappingProxyType(
    {
        "title": Words(hi="मीटरों के बारे में", en="What is known of meters"),
        "meter": Words(hi="मीटर", en="meter"),
        "fact": Words(hi="तथ्य", en="fact"),
        "value": Words(hi="मान", en="value"),
        "origin": Words(hi="किसने बताया", en="who says so"),
        "since": Words(hi="कब से", en="since"),
        "trusted": Words(hi="विश्वसनीय, कब से", en="trusted since"),
        "claim": Words(hi="केवल दावा", en="a claim"),
        "maker": Words(hi="निर्माता", en="maker"),
        "model": Words(hi="मॉडल", en="model"),
        "firmware": Words(hi="फ़र्मवेयर", en="firmware"),
        "year": Words(hi="निर्माण वर्ष", en="year of manufacture"),
        "system_title": Words(hi="सिस्टम टाइटल", en="system title"),
        "imei": Words(hi="IMEI", en="IMEI"),
        "sim": Words(hi="सिम (ICCID)", en="SIM (ICCID)"),
        "address": Words(hi="पता", en="address"),
        "shipment": Words(hi="आपूर्ति की सूची", en="as shipped"),
        "meter_said": Words(hi="मीटर ने बताया", en="the meter"),
        "modem_said": Words(hi="मॉडम ने बताया", en="its modem"),
        "session": Words(hi="वहाँ से उत्तर मिला", en="it answered there"),
    }
)

#: The name of the words of an origin.
ORIGIN_WORDS: Mapping[FactOrigin, str] = MappingProxyType(
    {
        FactOrigin.SHIPMENT: "shipment",
        FactOrigin.METER: "meter_said",
        FactOrigin.MODEM: "modem_said",
        FactOrigin.SESSION: "session",
    }
)
