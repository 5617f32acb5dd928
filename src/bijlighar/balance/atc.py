"""The AT&C loss of an office in a month: frozen values, integers until the last division."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from bijlighar.base.money import round_half_up
from bijlighar.base.period import Month
from bijlighar.base.words import Words

PERCENT_DECIMALS = 4


def per_cent(part: int, whole: int) -> float | None:
    """
    Return `part` in per cent of `whole`, None where there is no whole.

    >>> per_cent(1, 8), per_cent(-1, 3), per_cent(1, 0)
    (12.5, -33.3333, None)
    """
    if not whole:
        return None
    scale: int = 10**PERCENT_DECIMALS
    return round_half_up(Fraction(100 * scale * part, whole)) / scale


class Doubt(StrEnum):
    """Why an AT&C loss is not told."""

    NOT_FINAL = "not_final"
    NO_INPUT = "no_input"
    INPUT_GAPS = "input_gaps"
    TOO_FEW_COVERED = "too_few_covered"
    TOO_LITTLE_READ = "too_little_read"
    NOTHING_BILLED = "nothing_billed"


DOUBT_NAMES: Mapping[Doubt, Words] = MappingProxyType(
    {
        Doubt.NOT_FINAL: Words(
            hi="बिलों के भुगतान का महीना अभी पूरा नहीं हुआ", en="the month in which the bills are paid is not over"
        ),
        Doubt.NO_INPUT: Words(
            hi="केवल इस कार्यालय के किसी फीडर या ट्रांसफॉर्मर पर इनपुट मीटर नहीं",
            en="no feeder or transformer of this office alone has an input meter",
        ),
        Doubt.INPUT_GAPS: Words(
            hi="कुछ दिनों की इनपुट ऊर्जा ज्ञात नहीं", en="the energy in is not known on every day"
        ),
        Doubt.TOO_FEW_COVERED: Words(
            hi="बहुत से उपभोक्ता किसी इनपुट मीटर के नीचे नहीं", en="too many accounts hang below no input meter"
        ),
        Doubt.TOO_LITTLE_READ: Words(
            hi="बहुत कुछ आंकलित है या पढ़ा नहीं गया", en="too much is assessed or was not read"
        ),
        Doubt.NOTHING_BILLED: Words(hi="इस महीने का कोई बिल नहीं", en="nothing of this month was billed"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AtcLoss:
    """
    The AT&C loss of an office (and those below it) in a month: its inputs as integers, and the queries behind them.

    points: the feeders and transformers whose input is counted; points_incomplete: those with days of unknown input.
    accounts: all of the office; accounts_covered: those below a point, of which billed and collected speak.
    collected_first, collected_last: the days on which the bills of the month were paid, both included.
    coverage_pct: the share of the expected consumer intervals that was really read.
    flat_rate_wh: what the loads without a meter below the points are assessed at; it is in no sum that was billed.
    """

    month: Month
    office: str
    input_wh: int
    points: tuple[str, ...]
    points_incomplete: tuple[str, ...]
    accounts: int
    accounts_covered: int
    accounts_billed: int
    billed_wh: int
    billed_paise: int
    collected_paise: int
    collected_first: date
    collected_last: date
    coverage_pct: float | None
    flat_rate_wh: int
    doubts: tuple[Doubt, ...]
    queries: Mapping[str, str]

    @property
    def billing_efficiency_pct(self) -> float | None:
        """Return the energy billed over the energy in [%]."""
        return per_cent(self.billed_wh, self.input_wh)

    @property
    def collection_efficiency_pct(self) -> float | None:
        """Return the money collected over the money billed [%]; above 100 where old dues were paid too."""
        return per_cent(self.collected_paise, self.billed_paise)

    @property
    def loss_pct(self) -> float | None:
        """Return 1 less the product of both [%], None where anything is doubtful; one division, at the end."""
        if self.doubts:
            return None
        whole = self.input_wh * self.billed_paise
        return per_cent(whole - self.billed_wh * self.collected_paise, whole)
