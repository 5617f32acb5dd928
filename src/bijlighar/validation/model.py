"""Frozen values of the validation: rules, findings, settings, the report, and the exceptions' life cycle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.base.period import Period
from bijlighar.base.words import Words
from bijlighar.readings.model import ABSENT, EditKind, Flags, Integers, Qualities, Quality


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
    EDITED = "edited"


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


SEVERITY_NAMES: Mapping[Severity, Words] = MappingProxyType(
    {
        Severity.ERROR: Words(hi="त्रुटि", en="error"),
        Severity.WARNING: Words(hi="चेतावनी", en="warning"),
        Severity.INFO: Words(hi="सूचना", en="for information"),
    }
)


class Method(IntEnum):
    """
    How an interval was estimated, from measured intervals at the same time of day.

    LIKE_WEEKDAY: of the days before, the same weekday above all; LIKE_DAY: of the days before; DAYS_AFTER: of the
    days after; FLAT: the mean of all these days and all times of day; LINEAR: from the intervals beside the gap, and
    the days before; NEIGHBOURS: of the meters under the same transformer at that very time, where the meter has no
    such day of its own.
    """

    NONE = 0
    LIKE_WEEKDAY = 1
    LIKE_DAY = 2
    DAYS_AFTER = 3
    FLAT = 4
    LINEAR = 5
    NEIGHBOURS = 6


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


class ExceptionState(StrEnum):
    """How far a finding that calls for a person has come."""

    OPEN = "open"
    TAKEN = "taken"
    SETTLED = "settled"
    CLOSED = "closed"


class ExceptionEvent(StrEnum):
    """What may happen to it: by a person, or by what is found."""

    APPEAR = "appear"
    TAKE = "take"
    GIVE_BACK = "give_back"
    SETTLE = "settle"
    GROW = "grow"
    VANISH = "vanish"
    RETURN = "return"


EXCEPTION_STEPS: LifeCycle[ExceptionState, ExceptionEvent] = MappingProxyType(
    {
        ExceptionState.OPEN: {
            ExceptionEvent.TAKE: ExceptionState.TAKEN,
            ExceptionEvent.VANISH: ExceptionState.CLOSED,
        },
        ExceptionState.TAKEN: {
            ExceptionEvent.GIVE_BACK: ExceptionState.OPEN,
            ExceptionEvent.SETTLE: ExceptionState.SETTLED,
            ExceptionEvent.VANISH: ExceptionState.CLOSED,
        },
        ExceptionState.SETTLED: {
            ExceptionEvent.GROW: ExceptionState.OPEN,
            ExceptionEvent.VANISH: ExceptionState.CLOSED,
        },
        ExceptionState.CLOSED: {ExceptionEvent.RETURN: ExceptionState.OPEN},
    }
)
#: Those in which somebody has still to do something.
WAITING = (ExceptionState.OPEN, ExceptionState.TAKEN)

EXCEPTION_STATE_NAMES: Mapping[ExceptionState, Words] = MappingProxyType(
    {
        ExceptionState.OPEN: Words(hi="खुला", en="open"),
        ExceptionState.TAKEN: Words(hi="किसी ने लिया है", en="taken"),
        ExceptionState.SETTLED: Words(hi="निपटाया गया", en="settled"),
        ExceptionState.CLOSED: Words(hi="अपने आप बंद", en="closed by itself"),
    }
)
EXCEPTION_EVENT_NAMES: Mapping[ExceptionEvent, Words] = MappingProxyType(
    {
        ExceptionEvent.APPEAR: Words(hi="पाया गया", en="found"),
        ExceptionEvent.TAKE: Words(hi="लिया", en="taken"),
        ExceptionEvent.GIVE_BACK: Words(hi="वापस कतार में रखा", en="given back to the queue"),
        ExceptionEvent.SETTLE: Words(hi="निपटाया", en="settled"),
        ExceptionEvent.GROW: Words(hi="बढ़ गया, फिर खुला", en="grew, open again"),
        ExceptionEvent.VANISH: Words(
            hi="नई रीडिंग से अब नहीं पाया जाता", en="not found any more in the readings"
        ),
        ExceptionEvent.RETURN: Words(hi="फिर पाया गया", en="found again"),
    }
)


class Outcome(StrEnum):
    """How a person settled what was found."""

    ACCEPTED = "accepted"
    ESTIMATED = "estimated"
    FIELD = "field"
    RECORDS = "records"


OUTCOME_NAMES: Mapping[Outcome, Words] = MappingProxyType(
    {
        Outcome.ACCEPTED: Words(hi="जैसा है वैसा स्वीकार", en="accepted as it is"),
        Outcome.ESTIMATED: Words(hi="आंकलित मान रहेगा", en="the estimate stays"),
        Outcome.FIELD: Words(hi="मौके पर जाँच हेतु भेजा", en="sent to the field"),
        Outcome.RECORDS: Words(hi="अभिलेख ठीक किए गए", en="the records were put right"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationException:
    """
    A finding that calls for a person, and what was done about it.

    office: where the meter hung when it began; None if that is not known.
    revision: counts what the finding has said; a form that names an older one is refused.
    settled_intervals: how long it was when it was settled [intervals].
    """

    number: int
    finding: ValidationFinding
    office: str | None
    state: ExceptionState
    revision: int
    opened_at: datetime
    changed_at: datetime
    taken_by: str | None = None
    taken_at: datetime | None = None
    settled_by: str | None = None
    settled_at: datetime | None = None
    settled_intervals: int | None = None
    outcome: Outcome | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionStep:
    """One thing that happened to an exception; `person` is None where nobody did it."""

    exception: int
    at: datetime
    event: ExceptionEvent
    person: str | None = None
    outcome: Outcome | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionFilter:
    """
    Which exceptions are asked for: an empty text leaves all in.

    offices: None is the whole company; period: what overlaps it.
    """

    states: tuple[ExceptionState, ...] = WAITING
    rule: Rule | None = None
    severity: Severity | None = None
    office: str = ""
    meter: str = ""
    taken_by: str = ""
    offices: tuple[str, ...] | None = None
    period: Period | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DayLoad:
    """
    One IST day of a meter: what it measured (`raw_wh`), what stands (`wh`) and why, by interval, as the meter counts.

    version: that of the stored row, 0 where there is none.
    shown: the intervals that are over, or known, while the meter hung; elsewhere every value is `ABSENT`.
    methods: how an estimated or corrected interval came about, None elsewhere.
    opening_wh, closing_wh: the import registers at its midnights, None where not known.
    """

    day: date
    minutes: int
    version: int
    starts: Integers
    shown: Flags
    raw_wh: Integers
    wh: Integers
    raw_export_wh: Integers
    export_wh: Integers
    quality: Qualities
    methods: tuple[Words | None, ...]
    opening_wh: int | None
    closing_wh: int | None

    @property
    def sum_wh(self) -> int | None:
        """Return what stands, summed; None where nothing is known."""
        return self._sum(self.wh)

    @property
    def raw_sum_wh(self) -> int | None:
        """Return what was measured, summed; None where nothing was."""
        return self._sum(self.raw_wh)

    @property
    def register_wh(self) -> int | None:
        """Return by how much the register rose over the day, None where a midnight's is not known."""
        if self.opening_wh is None or self.closing_wh is None:
            return None
        return self.closing_wh - self.opening_wh

    @property
    def differs(self) -> Flags:
        """Return where something else stands than was measured."""
        differs: Flags = self.shown & (self.raw_wh != ABSENT) & (self.wh != self.raw_wh)
        return differs

    def count(self, quality: Quality) -> int:
        """Return how many of the intervals have a quality."""
        return int((self.shown & (self.quality == quality)).sum())

    def _sum(self, values: Integers) -> int | None:
        known = values[values != ABSENT]
        return int(known.sum()) if len(known) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeterLoad:
    """The days of a meter and what was found on them; days on which it neither hung nor counted are left out."""

    days: tuple[DayLoad, ...]
    findings: tuple[ValidationFinding, ...]


class EditState(StrEnum):
    """How far an edit of readings has come."""

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class EditEvent(StrEnum):
    """What may happen to it: another person decides, or the proposer takes it back."""

    CONFIRM = "confirm"
    REFUSE = "refuse"
    WITHDRAW = "withdraw"


EDIT_STEPS: LifeCycle[EditState, EditEvent] = MappingProxyType(
    {
        EditState.PROPOSED: {
            EditEvent.CONFIRM: EditState.CONFIRMED,
            EditEvent.REFUSE: EditState.REFUSED,
            EditEvent.WITHDRAW: EditState.WITHDRAWN,
        },
        EditState.CONFIRMED: {},
        EditState.REFUSED: {},
        EditState.WITHDRAWN: {},
    }
)
EDIT_STATE_NAMES: Mapping[EditState, Words] = MappingProxyType(
    {
        EditState.PROPOSED: Words(hi="प्रस्तावित", en="proposed"),
        EditState.CONFIRMED: Words(hi="पुष्टि हुई", en="confirmed"),
        EditState.REFUSED: Words(hi="अस्वीकृत", en="refused"),
        EditState.WITHDRAWN: Words(hi="वापस लिया", en="withdrawn"),
    }
)
EDIT_KIND_NAMES: Mapping[EditKind, Words] = MappingProxyType(
    {
        EditKind.SET: Words(hi="मान बदलें", en="other values"),
        EditKind.TAKE_OUT: Words(hi="मान हटाएँ, आंकलन होगा", en="taken out, to be estimated"),
        EditKind.RESTORE: Words(hi="मीटर का मान फिर लें", en="the meter's own values again"),
    }
)


class EditReason(StrEnum):
    """Why readings are edited."""

    METER_FAULT = "meter_fault"
    CLOCK = "clock"
    EXCHANGE = "exchange"
    SITE_READING = "site_reading"
    COMPLAINT = "complaint"
    TEST_LOAD = "test_load"
    RECORDS = "records"


EDIT_REASON_NAMES: Mapping[EditReason, Words] = MappingProxyType(
    {
        EditReason.METER_FAULT: Words(hi="मीटर में ख़राबी", en="the meter is faulty"),
        EditReason.CLOCK: Words(hi="मीटर की घड़ी ग़लत थी", en="the meter's clock was wrong"),
        EditReason.EXCHANGE: Words(hi="मीटर बदला गया", en="the meter was exchanged"),
        EditReason.SITE_READING: Words(hi="मौके पर रीडिंग ली गई", en="read on site"),
        EditReason.COMPLAINT: Words(hi="शिकायत सही पाई गई", en="a complaint was upheld"),
        EditReason.TEST_LOAD: Words(hi="जाँच का लोड", en="load of a test"),
        EditReason.RECORDS: Words(hi="अभिलेख ग़लत थे", en="the records were wrong"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingEdit:
    """
    A correction of a run of intervals of one meter, over [start, end), and who stands for it.

    values: what shall stand [Wh], one for each interval; empty unless the kind is `SET`.
    before, measured: what stood, and what the meter had said, when it was proposed [Wh]; None where nothing was.
    versions: the version of each meter-day that it was proposed on, by IST day number.
    office: where the meter hung at the start; None if that is not known.
    revision: counts the steps; a form that names an older one is refused.
    """

    number: int
    meter: str
    start: datetime
    end: datetime
    minutes: int
    kind: EditKind
    channel: str
    values: tuple[int, ...]
    before: tuple[int | None, ...]
    measured: tuple[int | None, ...]
    versions: Mapping[int, int]
    office: str | None
    reason: EditReason
    note: str
    state: EditState
    revision: int
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_note: str = ""
