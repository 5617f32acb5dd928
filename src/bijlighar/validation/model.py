"""Frozen values of the validation: rules, findings, settings, the report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any


class Rule(StrEnum):
    """What a finding is about."""

    MISSING = "missing"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    UNREADABLE = "unreadable"
    FLAGGED = "flagged"
    NEGATIVE = "negative"
    SPIKE = "spike"
    SUM_CHECK = "sum_check"
    ROLLOVER = "rollover"
    RESET = "reset"
    ZERO_RUN = "zero_run"
    FLAT_RUN = "flat_run"
    REPEATED = "repeated"
    DRIFT = "drift"
    EXPORT = "export"
    PHYSICS = "physics"
    EXCHANGE = "exchange"
    MULTIPLIER = "multiplier"


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Method(IntEnum):
    """
    How an interval was estimated, from measured intervals at the same time of day.

    LIKE_WEEKDAY: of the days before, the same weekday above all; LIKE_DAY: of the days before; DAYS_AFTER: of the
    days after; FLAT: the mean of all these days and all times of day; LINEAR: from the intervals beside the gap, and
    the days before.
    """

    NONE = 0
    LIKE_WEEKDAY = 1
    LIKE_DAY = 2
    DAYS_AFTER = 3
    FLAT = 4
    LINEAR = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationSettings:
    """
    The numbers of the rules.

    estimate_after_days: how old a day is before what is missing in it is estimated [days].
    history_days: how far back a meter's own past is looked at [days]; at least `history_days_min` of them count.
    spike_floor_w: below this no interval is a spike [W].
    spike_load_times: an interval above this multiple of the sanctioned load may be a spike.
    spike_load_alone_times: and is one, above this multiple, where the meter has no past.
    spike_history_times: where it has one, the interval must be above this multiple of its usual daily peak.
    fine_step_wh, coarse_step_wh: the steps in which registers count [Wh]; a register is taken for a coarse one when
        both its readings are multiples of the coarse step.
    rounding_wh_per_two: what rounding each interval by itself may add up to, for two intervals [Wh].
    zero_run_hours, flat_run_hours: how long nothing, or one and the same value, may be counted [h].
    zero_run_gap_hours: how long a gap may be that does not end a run of nothing [h].
    repeated_min_by_channels: how many intervals must repeat the day before, by the number of channels beside energy.
    repeated_values_min: how many different values there must be among them where energy alone is told.
    volt_max: beyond this no voltage of one phase is right [V].
    physics_floor_w, physics_margin_divisor: what rounding and averaging may add to a power: so many W, and a part.
    idle_amp_min: a current from here on counts energy [A].
    export_floor_wh: what a meter may show as fed in on a day without meaning it [Wh].
    multiplier_floor_wh, multiplier_closeness: a ratio is looked for in sums from here on, within one part in so many.
    """

    estimate_after_days: int = 3
    history_days: int = 28
    history_days_min: int = 7
    spike_floor_w: int = 1_000
    spike_load_times: int = 2
    spike_load_alone_times: int = 5
    spike_history_times: int = 4
    fine_step_wh: int = 1
    coarse_step_wh: int = 10
    rounding_wh_per_two: int = 1
    zero_run_hours: int = 7 * 24
    flat_run_hours: int = 48
    zero_run_gap_hours: int = 24
    repeated_min_by_channels: tuple[int, ...] = (12, 4, 2)
    repeated_values_min: int = 6
    volt_max: int = 320
    physics_floor_w: int = 80
    physics_margin_divisor: int = 10
    idle_amp_min: int = 1
    export_floor_wh: int = 100
    multiplier_floor_wh: int = 500
    multiplier_closeness: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationFinding:
    """
    One thing found about a meter over [start, end).

    day: the IST day number it was found on; `facts` are the numbers that its reason is told with.
    """

    rule: Rule
    meter: str
    day: int
    channel: str
    start: datetime
    end: datetime
    intervals: int
    severity: Severity
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    """What a run over a range found, and what it wrote."""

    findings: tuple[ValidationFinding, ...]
    meter_days: int
    estimated_intervals: int
