"""Loads without a meter: what each is assessed at a day, between which limits. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.words import Words


class FlatRateKind(StrEnum):
    """What a load without a meter is."""

    PUMP = "pump"
    STREET_LIGHT = "street_light"
    OTHER = "other"


FLAT_RATE_NAMES: Mapping[FlatRateKind, Words] = MappingProxyType(
    {
        FlatRateKind.PUMP: Words(hi="बिना मीटर पंप", en="pumps without a meter"),
        FlatRateKind.STREET_LIGHT: Words(hi="बिना मीटर सड़क बत्ती", en="street lights without a meter"),
        FlatRateKind.OTHER: Words(hi="अन्य बिना मीटर भार", en="other load without a meter"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatRate:
    """
    A load without a meter below a transformer, from the day `first` to `last` (None: until further notice).

    likely_wh: what it is assessed at a day [Wh]; nine times of ten it lies between low_wh and high_wh.
    basis: how that was reckoned, in words (lamps times hours, horse power times hours of supply).
    """

    code: str
    transformer: str
    kind: FlatRateKind
    low_wh: int
    likely_wh: int
    high_wh: int
    basis: str
    first: date
    last: date | None = None
