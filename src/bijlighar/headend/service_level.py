"""Service levels: who was read in time, who is silent, and what a month is worth by the contract. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from bijlighar.base.money import round_half_up
from bijlighar.base.period import Month, Period, date_of, day_number, local_date, local_midnight, local_time
from bijlighar.headend.contract import Contract, Target
from bijlighar.headend.supply import GASP_BELIEVED, SUPPLY_FAILED

ONE_DAY = timedelta(days=1)
ONE_MICROSECOND = timedelta(microseconds=1)
UNKNOWN = "?"
#: The ages of meters since they were hung, by their upper ends [days].
AGES = ((30, "under 30 days"), (90, "30 to 89 days"), (365, "90 to 364 days"))
OLD = "365 days and more"
CENT = Decimal("0.01")


class Exclusion(StrEnum):
    """Why a meter-day does not count."""

    DAY = "day"
    METER = "meter"
    GATEWAY = "gateway"
    FIRST_DAYS = "first_days"
    POWER_FAILURE = "power_failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class HungMeter:
    """A meter that answers, where it hangs in the network of messages, and when it hung."""

    serial: str
    gateway: str | None
    model: str | None
    spans: tuple[tuple[datetime, datetime | None], ...]

    def hung_all(self, day: int) -> bool:
        """Return whether it hung through a whole day (day number)."""
        whole = Period.of_local_day(date_of(day))
        return any(start <= whole.start and (end is None or end >= whole.end) for start, end in self.spans)

    @property
    def hung_from(self) -> datetime:
        """Return when it was first hung."""
        return min(start for start, _ in self.spans)

    @property
    def firmware(self) -> str:
        """Return the firmware that its name plate told."""
        return self.model.rpartition(" / ")[2] if self.model and " / " in self.model else UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """The sessions with one meter while a day was fetched."""

    sessions: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """
    What the books hold for the days `first` to `last` (day numbers).

    read_at: when a meter-day was first stored whole. power: (meter, code, time) of failures and returns of supply.
    tries: the sessions while the last day was fetched. last_ok: the last session that went well, up to `as_of`.
    """

    first: int
    last: int
    as_of: datetime
    meters: tuple[HungMeter, ...]
    read_at: Mapping[tuple[str, int], datetime]
    power: Sequence[tuple[str, int, datetime]]
    tries: Mapping[str, Tries]
    last_ok: Mapping[str, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """How much of what counts a target found read."""

    counted: int
    read: int

    @property
    def pct(self) -> Decimal | None:
        """Return the share read [%], cut (not rounded up) to hundredths; None where nothing counted."""
        if not self.counted:
            return None
        return Decimal(self.read * 10_000 // self.counted) * CENT

    def __add__(self, other: "Reached") -> "Reached":
        """Return both together."""
        return Reached(counted=self.counted + other.counted, read=self.read + other.read)


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentGroup:
    """The meters of one gateway, model, firmware or age, and how many of them are silent."""

    name: str
    meters: int
    silent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLevel:
    """One day: `unread` counted and were not read within the contract's hours, `late` after the morning."""

    day: int
    meters: int
    excluded: Mapping[str, Exclusion]
    reached: Mapping[Target, Reached]
    unread: tuple[str, ...]
    late: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deduction:
    """What one target costs in a month."""

    target: Target
    reached: Reached
    deduct_pct: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthLevel:
    """
    What a month is worth, up to its last day that can be judged; `is_final` once that is the month's last.

    meter_days: the days that meters hung which worked, of which `days` make one meter-month.
    """

    month: Month
    last: int | None
    is_final: bool
    working: int
    not_working: tuple[str, ...]
    meter_days: int
    days: int
    gross_paise: int
    deductions: tuple[Deduction, ...]
    deduct_pct: Decimal
    is_capped: bool
    deducted_paise: int
    payable_paise: int


def deadline(target: Target, day: int, *, contract: Contract) -> datetime:
    """Return the moment by which a target wants a day (day number) read."""
    after = date_of(day) + ONE_DAY
    if target is Target.MORNING:
        return local_time(after, contract.morning_by)
    return local_midnight(after) + timedelta(hours=contract.late_hours)


def last_judged(now: datetime, *, contract: Contract) -> int:
    """Return the newest day (day number) whose time is over."""
    day = day_number(local_date(now)) - 1
    while deadline(Target.LATE, day, contract=contract) > now:
        day -= 1
    return day


def dark_days(facts: Facts) -> frozenset[tuple[str, int]]:
    """Return the (meter, day) on which a meter's own log says that its supply was off at any time."""
    found: set[tuple[str, int]] = set()
    off: dict[str, datetime] = {}
    for meter, code, at in sorted(facts.power, key=lambda event: event[2]):
        if code in SUPPLY_FAILED:
            off.setdefault(meter, at)
        elif meter in off:
            found.update(_days(meter, off.pop(meter), at))
    for meter, since in off.items():
        found.update(_days(meter, since, min(since + GASP_BELIEVED, facts.as_of)))
    return frozenset(found)


def _days(meter: str, start: datetime, end: datetime) -> Iterable[tuple[str, int]]:
    last = max(start, end - ONE_MICROSECOND)
    return ((meter, day) for day in range(day_number(local_date(start)), day_number(local_date(last)) + 1))


def judge_day(facts: Facts, *, day: int, contract: Contract, dark: frozenset[tuple[str, int]]) -> DayLevel:
    """Return what was reached of a day (day number)."""
    hung = [meter for meter in facts.meters if meter.hung_all(day)]
    excluded: dict[str, Exclusion] = {}
    for meter in hung:
        reason = exclusion(meter, day=day, contract=contract, dark=dark)
        if reason is not None:
            excluded[meter.serial] = reason
    counted = [meter.serial for meter in hung if meter.serial not in excluded]
    in_time: dict[Target, frozenset[str]] = {}
    for target in Target:
        until = deadline(target, day, contract=contract)
        in_time[target] = frozenset(
            serial
            for serial in counted
            if (at := facts.read_at.get((serial, day))) is not None and at <= until
        )
    return DayLevel(
        day=day,
        meters=len(hung),
        excluded=excluded,
        reached={target: Reached(counted=len(counted), read=len(read)) for target, read in in_time.items()},
        unread=tuple(serial for serial in counted if serial not in in_time[Target.LATE]),
        late=tuple(
            serial
            for serial in counted
            if serial in in_time[Target.LATE] and serial not in in_time[Target.MORNING]
        ),
    )


def exclusion(
    meter: HungMeter, *, day: int, contract: Contract, dark: frozenset[tuple[str, int]]
) -> Exclusion | None:
    """Return why a meter's day does not count, None if it does."""
    if date_of(day) in contract.days:
        return Exclusion.DAY
    if meter.serial in contract.meters:
        return Exclusion.METER
    if meter.gateway is not None and meter.gateway in contract.gateways:
        return Exclusion.GATEWAY
    if day < day_number(local_date(meter.hung_from)) + contract.first_days:
        return Exclusion.FIRST_DAYS
    if contract.excludes_power_failure and (meter.serial, day) in dark:
        return Exclusion.POWER_FAILURE
    return None


def judge_month(
    facts: Facts, *, month: Month, last: int, contract: Contract, dark: frozenset[tuple[str, int]]
) -> MonthLevel:
    """Return what a month is worth by its days up to `last` (day number), which the facts hold."""
    first, month_end = day_number(month.first), day_number(month.last)
    days = [judge_day(facts, day=day, contract=contract, dark=dark) for day in range(first, last + 1)]
    unread = Counter(serial for day in days for serial in day.unread)
    not_counted = Counter(serial for day in days for serial in day.excluded)
    hung = {meter.serial: sum(meter.hung_all(day.day) for day in days) for meter in facts.meters}
    working = {
        serial: count
        for serial, count in hung.items()
        if count and _works(count - not_counted[serial], unread[serial], contract.working_pct)
    }
    meter_days = sum(working.values())
    gross_paise = round_half_up(Fraction(contract.meter_month_paise * meter_days, month.days))
    deductions = tuple(_deduction(target, days, contract) for target in Target)
    asked = sum((each.deduct_pct for each in deductions), Decimal(0))
    deduct_pct = min(asked, contract.cap_pct)
    deducted_paise = round_half_up(Fraction(deduct_pct) * gross_paise / 100)
    return MonthLevel(
        month=month,
        last=last if days else None,
        is_final=last >= month_end,
        working=len(working),
        not_working=tuple(
            sorted(serial for serial, count in hung.items() if count and serial not in working)
        ),
        meter_days=meter_days,
        days=month.days,
        gross_paise=gross_paise,
        deductions=deductions,
        deduct_pct=deduct_pct,
        is_capped=asked > contract.cap_pct,
        deducted_paise=deducted_paise,
        payable_paise=gross_paise - deducted_paise,
    )


def _works(counted: int, unread: int, working_pct: Decimal) -> bool:
    """Return whether enough of a meter's days was read; a meter none of whose days counts is not held guilty."""
    return (counted - unread) * 100 >= working_pct * counted


def _deduction(target: Target, days: Sequence[DayLevel], contract: Contract) -> Deduction:
    reached = sum((day.reached[target] for day in days), Reached(counted=0, read=0))
    return Deduction(target=target, reached=reached, deduct_pct=contract.deduct_pct(target, reached.pct))


def silent_meters(facts: Facts, *, contract: Contract) -> tuple[HungMeter, ...]:
    """Return the meters hanging at the end with which no session went well for the contract's hours."""
    since = facts.as_of - timedelta(hours=contract.silent_hours)
    return tuple(
        meter
        for meter in facts.meters
        if _hangs(meter, facts.as_of) and ((at := facts.last_ok.get(meter.serial)) is None or at < since)
    )


def silent_groups(
    facts: Facts, *, silent: Sequence[HungMeter], by: Callable[[HungMeter], str]
) -> tuple[SilentGroup, ...]:
    """Return all hanging meters by a property, those with most silent ones first."""
    every = Counter(by(meter) for meter in facts.meters if _hangs(meter, facts.as_of))
    still = Counter(by(meter) for meter in silent)
    groups = [SilentGroup(name=name, meters=count, silent=still[name]) for name, count in every.items()]
    return tuple(sorted(groups, key=lambda group: (-group.silent, group.name)))


def age_of(meter: HungMeter, *, as_of: datetime) -> str:
    """Return for how long a meter has hung, as the name of its group."""
    days = (as_of - meter.hung_from) // ONE_DAY
    return next((name for limit, name in AGES if days < limit), OLD)


def _hangs(meter: HungMeter, moment: datetime) -> bool:
    return any(start <= moment and (end is None or moment < end) for start, end in meter.spans)
