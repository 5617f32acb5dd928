"""Is what is stored what the meters measured, and is what the service levels say what the seed did?"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np

from bijlighar.base.money import round_half_up
from bijlighar.base.period import date_of, day_number
from bijlighar.headend import queries
from bijlighar.headend.contract import Target
from bijlighar.headend.operations import shipped_contract
from bijlighar.headend.rules import load_contract
from bijlighar.headend.service_report import ServiceReport
from bijlighar.readings import queries as readings
from bijlighar.readings.model import RegisterKind
from bijlighar.simulator.faults import REPEATED_EVERY, ROLLOVER
from tests.simulator.towns import FIRST_DAY
from tests.soak.plan import DAY, HOUR, Fate, Plan, fate
from tests.soak.world import World

PER_DAY = 48
MORNING_H, LATE_H, SILENT_H = 8, 24, 24
#: What the shipped contract deducts [%] below a share [%], the dearest first; its charge and cap.
STEPS = {Target.MORNING: ((90, 5), (95, 2)), Target.LATE: ((85, 15), (95, 8), (98, 3))}
METER_MONTH_PAISE, WORKING_PCT, CAP_PCT = 8_500, 50, 20


@dataclass(kw_only=True)
class Judgement:
    """What was compared, and in words what is wrong; nothing may be."""

    intervals: int = 0
    registers: int = 0
    events: int = 0
    levels: int = 0
    wrong: list[str] = field(default_factory=list)
    sla: list[dict[str, object]] = field(default_factory=list)
    payable_paise: int = 0
    silent_named: int = 0

    def same(self, what: str, found: object, true: object) -> None:
        """Note where what was found is not what is true."""
        if found != true:
            self.wrong.append(f"{what}: {found!r} instead of {true!r}"[:500])


def judge(world: World) -> Judgement:
    """Return how the books stand to the meters' truth and to the seed."""
    found, told = Judgement(), fate(world.plan)
    told.read_at.update(world.seen.read_at)
    told.heard_at.update(world.seen.heard_at)
    told.settled.update(dict.fromkeys(world.plan.watched, world.plan.days - 1))
    _judge_intervals(found, world, told)
    _judge_registers(found, world, told)
    _judge_events(found, world)
    for day in range(world.plan.days):
        _judge_day(found, world, told, day)
    return found


def _judge_intervals(found: Judgement, world: World, told: Fate) -> None:
    plan, first = world.plan, day_number(FIRST_DAY)
    stored: dict[tuple[str, int], tuple[np.ndarray, np.ndarray, int]] = {}
    with world.database.read() as connection:
        for block in readings.days(connection, meters=None, first=first, last=first + plan.days):
            energy = block.channel("wh_import")
            for row, (serial, day) in enumerate(zip(block.meters, block.days, strict=True)):
                assert (serial, int(day) - first) not in stored
                stored[serial, int(day) - first] = (
                    energy[row],
                    block.quality[row] != 0,
                    int(block.versions[row]),
                )
    for day in range(plan.days):
        truth = world.town.control.truth(date_of(first + day), date_of(first + day))
        for place, serial in enumerate(truth.serials):
            true = truth.registered_wh[place].copy()
            has = truth.present[place] & (day <= told.settled[serial])
            if plan.faulty.get(serial) == "repeated_rows" and told.read_at[serial, day] > _noon(plan):
                true[REPEATED_EVERY - 1 :: REPEATED_EVERY] = true[REPEATED_EVERY - 2 :: REPEATED_EVERY]
            energy, known, version = stored.pop((serial, day), (true, np.zeros(PER_DAY, dtype=bool), 1))
            found.same(f"intervals of {serial} on day {day}", int(known.sum()), int(has.sum()))
            if not (energy[has & known] == true[has & known]).all() or (known & ~has).any():
                found.wrong.append(f"{serial} on day {day}: {energy.tolist()} instead of {true.tolist()}")
            if serial not in plan.watched:
                found.same(f"writings of {serial} on day {day}", version, 1)
            found.intervals += int(known.sum())
    found.same("days of nobody", sorted(stored), [])
    found.same("intervals that were new", world.report.intervals, found.intervals)


def _judge_registers(found: Judgement, world: World, told: Fate) -> None:
    plan, control = world.plan, world.town.control
    with world.database.read() as connection:
        snapshots = readings.registers(connection, kind=RegisterKind.DAILY)
    stored = Counter((shot.meter, shot.at, shot.wh_import) for shot in snapshots)
    noon = _noon(plan)
    at_noon = control.registers(noon)
    true: Counter[tuple[str, datetime, int | None]] = Counter()
    for day in range(plan.days):
        at = plan.midnight + (day + 1) * DAY
        for serial, shown in control.registers(at).items():
            if day > told.settled[serial]:
                continue
            name, value = plan.faulty.get(serial), shown
            if name == "register_reset" and at > noon:
                value = shown - at_noon[serial]
            elif name == "register_rollover" and at > noon:
                value = shown % ROLLOVER
            true[serial, at, value] += 1
    found.registers = stored.total()
    found.same("registers that are missing", sorted((true - stored).elements())[:5], [])
    found.same("registers that are too many", sorted((stored - true).elements())[:5], [])


def _judge_events(found: Judgement, world: World) -> None:
    true: Counter[tuple[str, int, datetime]] = Counter()
    for change in world.plan.changes:
        if change.what.isdecimal():
            true[change.serial, int(change.what), change.at] += 1
        elif change.what == "power_failure":
            true[change.serial, 101 if change.on else 102, change.at] += 1
        elif change.what == "reversed_ct":
            true[change.serial, 51, change.at] += 1
    with world.database.read() as connection:
        events = readings.events(connection, after=0, limit=1_000_000)
    stored = Counter((event.meter, event.code, event.at) for _, event in events)
    found.events = stored.total()
    found.same("events that are missing", sorted((true - stored).elements())[:5], [])
    found.same("events that are too many", sorted((stored - true).elements())[:5], [])


def _judge_day(found: Judgement, world: World, told: Fate, day: int) -> None:
    plan, first = world.plan, day_number(FIRST_DAY)
    now = plan.runs[-1]
    with world.database.read() as connection:
        report = queries.service_report(
            connection, contract=load_contract(shipped_contract()), now=now, day=date_of(first + day)
        )
    excluded = _excluded(plan, day)
    counted = set(plan.serials) - excluded
    morning, late = _in_time(plan, told, day, counted)
    found.same(f"meters of day {day}", report.day.meters, len(plan.serials))
    found.same(f"excluded on day {day}", set(report.day.excluded), excluded)
    for target, read in ((Target.MORNING, morning), (Target.LATE, late)):
        reached = report.day.reached[target]
        found.same(f"{target} of day {day}", (reached.counted, reached.read), (len(counted), len(read)))
    found.same(f"unread of day {day}", set(report.day.unread), counted - late)
    found.same(f"late of day {day}", set(report.day.late), late - morning)
    as_of = min(now, plan.midnight + (day + 1) * DAY + LATE_H * HOUR)
    silent = set(_silent(plan, told, as_of))
    found.same(f"silent after day {day}", {meter.serial for meter in report.silent}, silent)
    found.levels += 6
    found.sla.append(
        {
            "day": day,
            "counted": len(counted),
            "morning": len(morning),
            "late": len(late),
            "silent": len(silent),
        }
    )
    if day == plan.days - 1:  # judged at this very moment: here the dead are named
        found.silent_named = len(report.silent)
        found.same("dead that are not named", sorted(plan.dead - {one.serial for one in report.silent}), [])
        _judge_month(found, report, plan, told)


def _judge_month(found: Judgement, report: ServiceReport, plan: Plan, told: Fate) -> None:
    days = range(plan.days - 1)  # the time of the last one is not over
    counts, misses, sums = Counter[str](), Counter[str](), Counter[Target]()
    for day in days:
        counted = set(plan.serials) - _excluded(plan, day)
        morning, late = _in_time(plan, told, day, counted)
        counts.update(counted)
        misses.update(counted - late)
        sums.update({Target.MORNING: len(morning), Target.LATE: len(late)})
    working = [
        serial
        for serial in plan.serials
        if (counts[serial] - misses[serial]) * 100 >= WORKING_PCT * counts[serial]
    ]
    gross = round_half_up(Fraction(METER_MONTH_PAISE * len(working) * len(days), 30))
    asked = 0
    for each in report.month.deductions:
        reached = (each.reached.counted, each.reached.read)
        found.same(f"{each.target} of the month", reached, (counts.total(), sums[each.target]))
        steps = STEPS[each.target]
        asked += next(
            (deduct for below, deduct in steps if sums[each.target] * 100 < below * counts.total()), 0
        )
    deduct = min(asked, CAP_PCT)
    found.same("deducted [%]", report.month.deduct_pct, Decimal(deduct))
    found.same("working meters", report.month.working, len(working))
    payable = gross - round_half_up(Fraction(gross * deduct, 100))
    found.same("payable [paise]", report.month.payable_paise, payable)
    found.payable_paise = report.month.payable_paise
    found.levels += 5


def _noon(plan: Plan) -> datetime:
    """Return when the faults began."""
    return next(change.at for change in plan.changes if change.what in plan.faulty.values())


def _excluded(plan: Plan, day: int) -> set[str]:
    """Return whose day does not count: the first one of all, and those on which a meter logged itself dark."""
    return set(plan.serials) if day == 0 else set(_dark(plan, day))


def _dark(plan: Plan, day: int) -> Iterator[str]:
    start, end = plan.midnight + day * DAY, plan.midnight + (day + 1) * DAY
    for serial, name in plan.faulty.items():
        since = plan.time_of(serial, name, on=True)
        until = plan.time_of(serial, name, on=False)
        if (
            name == "power_failure"
            and since is not None
            and until is not None
            and since < end
            and until > start
        ):
            yield serial


def _in_time(plan: Plan, told: Fate, day: int, counted: set[str]) -> tuple[set[str], set[str]]:
    """Return who was read by the morning, and who within the hours of the contract."""
    end, found = plan.midnight + (day + 1) * DAY, []
    for hours in (MORNING_H, LATE_H):
        until = end + timedelta(hours=hours)
        found.append(
            {serial for serial in counted if (at := told.read_at.get((serial, day))) and at <= until}
        )
    return found[0], found[1]


def _silent(plan: Plan, told: Fate, as_of: datetime) -> Iterator[str]:
    for serial in plan.serials:
        heard = [at for at in told.heard_at.get(serial, []) if at <= as_of]
        if not heard or heard[-1] < as_of - SILENT_H * HOUR:
            yield serial
