"""The codes of NAESB ESPI (Green Button) that the channels are told with."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bijlighar.readings.model import Quality

ATOM = "http://www.w3.org/2005/Atom"
ESPI = "http://naesb.org/espi"
FORWARD, REVERSE = 1, 19
WH, VAH, VOLT, AMPERE = 72, 71, 29, 5
ELECTRICITY = 1
DELTA_DATA, INDICATING = 4, 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeCodes:
    """How a channel is told: unit, direction, kind, and the power of ten of its stored whole numbers."""

    unit: int
    direction: int
    kind: int
    accumulation: int
    multiplier: int = 0
    commodity: int = ELECTRICITY

    @property
    def is_energy(self) -> bool:
        """Return whether the channel is energy that is estimated or edited."""
        return self.unit == WH


TYPES: Mapping[str, TypeCodes] = MappingProxyType(
    {
        "wh_import": TypeCodes(unit=WH, direction=FORWARD, kind=12, accumulation=DELTA_DATA),
        "vah_import": TypeCodes(unit=VAH, direction=FORWARD, kind=12, accumulation=DELTA_DATA),
        "wh_export": TypeCodes(unit=WH, direction=REVERSE, kind=12, accumulation=DELTA_DATA),
        "volt": TypeCodes(unit=VOLT, direction=0, kind=54, accumulation=INDICATING, multiplier=-2),
        "amp": TypeCodes(unit=AMPERE, direction=0, kind=4, accumulation=INDICATING, multiplier=-2),
    }
)
QUALITY_CODES: Mapping[Quality, str] = MappingProxyType(
    {
        Quality.ABSENT: "",
        Quality.MEASURED: "14",
        Quality.VALID: "17",
        Quality.SUSPECT: "10",
        Quality.ESTIMATED: "8",
        Quality.EDITED: "7",
    }
)
#: What a sender may say of a value; those of `MEASURED_CODES` are as good as measured.
QUALITY_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "0": "valid",
        "7": "manually edited",
        "8": "estimated from a reference day",
        "9": "estimated by linear interpolation",
        "10": "questionable",
        "11": "derived",
        "12": "projected",
        "13": "mixed",
        "14": "raw",
        "15": "normalised for weather",
        "16": "other",
        "17": "validated",
        "18": "verified",
        "19": "revenue quality",
    }
)
MEASURED_CODES = frozenset({"0", "14", "17", "18", "19"})
