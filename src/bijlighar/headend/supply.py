"""Which transformers are without supply, judged from last gasps and from silence. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: What a meter tells when its supply goes, and when it is back: pushed (last gasp, first breath) or from its log.
SUPPLY_FAILED = (85, 101)
SUPPLY_BACK = (86, 102)
#: How long a last gasp is believed without any other word.
GASP_BELIEVED = timedelta(hours=72)
#: A transformer is out when so many of its meters, and so large a share of them [%], said that their supply went.
GASPS_MIN = 2
GASPS_PCT_MIN = 30
#: A transformer all of whose meters are silent is out, if they are so many: one or two may be broken themselves.
SILENT_METERS_MIN = 3
#: Above this share [%] of silent meters a transformer is hatched.
SILENT_PCT_MAX = 10


class Outage(StrEnum):
    """From what it is believed that a transformer is without supply."""

    LAST_GASPS = "last_gasps"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSigns:
    """
    What is known of one hanging meter.

    is_silent: it was asked last without success.
    failed_at, back_at: when it last said that its supply went, or is back.
    """

    transformer: str
    communicates: bool
    is_silent: bool
    last_contact: datetime | None = None
    failed_at: datetime | None = None
    back_at: datetime | None = None

    @property
    def gasped(self) -> bool:
        """Return whether it said that its supply went, and has given no sign of life since."""
        signs = [at for at in (self.back_at, self.last_contact) if at is not None]
        return self.failed_at is not None and all(at < self.failed_at for at in signs)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerSupply:
    """
    How a transformer stands: its hanging meters, those that communicate, of these the silent ones and last gasps.

    since: when the first of those that gasped did, None where the outage is judged from silence.
    """

    transformer: str
    meters: int
    communicating: int
    silent: int
    gasped: int
    outage: Outage | None = None
    since: datetime | None = None

    @property
    def has_many_silent(self) -> bool:
        """Return whether more than the tolerated share of its meters is silent."""
        return self.silent * 100 > self.communicating * SILENT_PCT_MAX


def judge_supply(meters: Iterable[MeterSigns]) -> tuple[TransformerSupply, ...]:
    """
    Return how the transformers of some meters stand, by code.

    >>> at = datetime.fromisoformat("2026-04-01T10:00:00+05:30")
    >>> dark = MeterSigns(transformer="T1", communicates=True, is_silent=False, failed_at=at)
    >>> lit = MeterSigns(transformer="T1", communicates=True, is_silent=False, failed_at=at, last_contact=at)
    >>> [(found.gasped, found.outage) for found in judge_supply((dark, dark, lit))]
    [(2, <Outage.LAST_GASPS: 'last_gasps'>)]
    """
    by_code: dict[str, list[MeterSigns]] = {}
    for meter in meters:
        by_code.setdefault(meter.transformer, []).append(meter)
    return tuple(_judged(code, found) for code, found in sorted(by_code.items()))


def _judged(code: str, meters: list[MeterSigns]) -> TransformerSupply:
    reached = [meter for meter in meters if meter.communicates]
    silent = sum(meter.is_silent for meter in reached)
    gasps = [meter.failed_at for meter in reached if meter.gasped and meter.failed_at is not None]
    outage = None
    if len(gasps) >= GASPS_MIN and len(gasps) * 100 >= GASPS_PCT_MIN * len(reached):
        outage = Outage.LAST_GASPS
    elif silent == len(reached) >= SILENT_METERS_MIN:
        outage = Outage.SILENCE
    return TransformerSupply(
        transformer=code,
        meters=len(meters),
        communicating=len(reached),
        silent=silent,
        gasped=len(gasps),
        outage=outage,
        since=min(gasps) if outage is Outage.LAST_GASPS else None,
    )
