"""From the TOML text of a contract with the operator of the meters to its values; what is wrong is one clear line."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import parse_day
from bijlighar.headend.errors import BrokenContract

MAX_HOURS = 31 * 24
MAX_FIRST_DAYS = 366
MAX_CHARGE_PAISE = 100_000_000
MAX_ITEMS = 100_000
MAX_STEPS = 100
HUNDRED = Decimal(100)


class Target(StrEnum):
    """What a contract wants of the day's readings."""

    MORNING = "morning"
    LATE = "late"


@dataclass(frozen=True, slots=True, kw_only=True)
class PenaltyStep:
    """A month's share below which a part of the charge is deducted [%]."""

    target: Target
    below_pct: Decimal
    deduct_pct: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """
    What is owed and what is paid; shares are percent, times IST, money integer paise.

    first_days: days from the one a meter was hung on that do not count, that day included.
    working_pct: the share of its days a meter must be read on to be paid for.
    """

    id: str
    complete_pct: Decimal
    morning_by: time
    morning_pct: Decimal
    late_hours: int
    late_pct: Decimal
    silent_hours: int
    excludes_power_failure: bool
    first_days: int
    days: frozenset[date]
    meters: frozenset[str]
    gateways: frozenset[str]
    meter_month_paise: int
    working_pct: Decimal
    cap_pct: Decimal
    steps: tuple[PenaltyStep, ...]

    def target_pct(self, target: Target) -> Decimal:
        """Return the share that a target wants [%]."""
        return self.morning_pct if target is Target.MORNING else self.late_pct

    def deduct_pct(self, target: Target, reached_pct: Decimal | None) -> Decimal:
        """Return what is deducted [%] where a month reached a share; nothing where nothing counted."""
        if reached_pct is None:
            return Decimal(0)
        missed = [
            step.deduct_pct for step in self.steps if step.target is target and reached_pct < step.below_pct
        ]
        return max(missed, default=Decimal(0))


def load_contract(text: str) -> Contract:
    """
    Return the contract written in `text` (TOML).

    :raises BrokenContract: if it is not TOML, a name is unknown or missing, or a value cannot be meant.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BrokenContract(f"the contract is not valid TOML: {problem}") from None
    whole = _Part(document, "the contract")
    named = whole.part("contract")
    targets, exclusions = whole.part("targets"), whole.part("exclusions")
    charge, cap = whole.part("charge"), whole.part("cap")
    contract = Contract(
        id=named.text("id"),
        complete_pct=targets.percent("complete_pct"),
        morning_by=targets.time("morning_by"),
        morning_pct=targets.percent("morning_pct"),
        late_hours=targets.whole("late_hours", low=1, high=MAX_HOURS),
        late_pct=targets.percent("late_pct"),
        silent_hours=targets.whole("silent_hours", low=1, high=MAX_HOURS),
        excludes_power_failure=exclusions.flag("power_failure"),
        first_days=exclusions.whole("first_days", low=0, high=MAX_FIRST_DAYS),
        days=exclusions.days("days"),
        meters=frozenset(exclusions.texts("meters")),
        gateways=frozenset(exclusions.texts("gateways")),
        meter_month_paise=charge.whole("meter_month_paise", low=0, high=MAX_CHARGE_PAISE),
        working_pct=charge.percent("working_pct"),
        cap_pct=cap.percent("pct"),
        steps=_steps(whole.take("step") if "step" in document else []),
    )
    for part in (whole, named, targets, exclusions, charge, cap):
        part.finish()
    return contract


def _steps(table: object) -> tuple[PenaltyStep, ...]:
    if not isinstance(table, list) or len(table) > MAX_STEPS:
        raise BrokenContract(f"[[step]]: at most {MAX_STEPS} tables are expected here")
    steps: list[PenaltyStep] = []
    for number, entry in enumerate(table, start=1):
        part = _Part(entry, f"[[step]] {number}")
        name = part.text("target")
        try:
            target = Target(name)
        except ValueError:
            raise BrokenContract(f"[[step]] {number}: target is morning or late, not {name!r}") from None
        steps.append(
            PenaltyStep(
                target=target, below_pct=part.percent("below_pct"), deduct_pct=part.percent("deduct_pct")
            )
        )
        part.finish()
    return tuple(steps)


class _Part:
    """A table of the contract: takes keys, names the place of what is wrong, knows which keys nobody asked for."""

    def __init__(self, table: object, place: str) -> None:
        if not isinstance(table, Mapping):
            raise BrokenContract(f"{place}: a table is expected here")
        self._table = table
        self._place = place
        self._asked: set[str] = set()

    def take(self, key: str) -> object:
        self._asked.add(key)
        if key not in self._table:
            raise BrokenContract(f"{self._place}: {key} is missing")
        return self._table[key]

    def part(self, key: str) -> "_Part":
        return _Part(self.take(key), f"[{key}]")

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "a text", value)
        return value

    def percent(self, key: str) -> Decimal:
        value = self.take(key)
        try:
            found = Decimal(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
        except InvalidOperation:
            found = None
        if found is None or not found.is_finite() or not 0 <= found <= HUNDRED:
            raise self._wrong(key, 'a percentage from 0 to 100, written like "97.5"', value)
        return found

    def whole(self, key: str, *, low: int, high: int) -> int:
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, f"a whole number from {low} to {high}", value)
        return value

    def flag(self, key: str) -> bool:
        value = self.take(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def time(self, key: str) -> time:
        value = self.take(key)
        if not isinstance(value, time):
            raise self._wrong(key, "a time of day like 08:00:00", value)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.take(key)
        if (
            not isinstance(value, list)
            or len(value) > MAX_ITEMS
            or not all(isinstance(v, str) for v in value)
        ):
            raise self._wrong(key, 'a list of texts like ["A", "B"]', value)
        return tuple(value)

    def days(self, key: str) -> frozenset[date]:
        try:
            return frozenset(parse_day(text) for text in self.texts(key))
        except InvalidValue as problem:
            raise BrokenContract(f"{self._place}: {key}: {problem}") from None

    def finish(self) -> None:
        unknown = sorted(set(self._table) - self._asked)
        if unknown:
            raise BrokenContract(
                f"{self._place}: unknown name {unknown[0]} (known here: {', '.join(sorted(self._asked))})"
            )

    def _wrong(self, key: str, wanted: str, value: object) -> BrokenContract:
        return BrokenContract(f"{self._place}: {key} must be {wanted}, not {value!r}")
