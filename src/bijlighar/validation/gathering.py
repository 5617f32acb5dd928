"""Read what a judgement needs: who hung when, the registers beside the days, the past of the meters in question."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from bijlighar.base.period import day_number, local_date
from bijlighar.readings.model import (
    ABSENT,
    ENERGY_CHANNELS,
    DayBlock,
    Flags,
    Integers,
    Quality,
)
from bijlighar.readings.rules import rows_of
from bijlighar.validation import rules
from bijlighar.validation.beside import look_beside, see, with_runs
from bijlighar.validation.cases import (
    REGISTER_REACH_DAYS,
    Cases,
    Hangings,
    Registers,
    Standing,
    Window,
    joined,
    midnight_s,
)
from bijlighar.validation.edit_rules import standing
from bijlighar.validation.estimation import PROFILE_SCALE
from bijlighar.validation.hanging import FOREVER_S, NEVER_S
from bijlighar.validation.model import ReadingEdit, ValidationSettings
from bijlighar.validation.past import Past

#: How many days after a gap are looked at where there are none before it.
DAYS_AFTER = 7
#: Neighbours are followed where so many measured, and so many are asked at most.
NEIGHBOURS_MIN, NEIGHBOURS_MAX = 3, 60
BOTH_LENGTHS = 15 + 30


def due_day(*, now: datetime, settings: ValidationSettings) -> int:
    """Return the last day that is old enough to be estimated."""
    return day_number(local_date(now)) - settings.estimate_after_days


def gather(
    past: Past,
    *,
    block: DayBlock,
    hung: Hangings,
    now: datetime,
    settings: ValidationSettings,
    forced: bool,
) -> Cases:
    """
    Return what is to be judged: the block, and the days that share a register difference with its gaps.

    With `forced` what is missing is estimated at any age.
    """
    block, seen = with_runs(past, block, settings=settings)
    cases, registers = _gathered(past, block=block, hung=hung, now=now, settings=settings, forced=forced)
    if cases.block is not block:
        seen = see(past, cases.block, settings=settings)
    beside = look_beside(cases.block, hung=hung, seen=seen)
    cases = _with_registers(cases, registers)
    return replace(cases, beside=replace(beside, prior=_prior(past, cases, settings=settings)))


def _gathered(
    past: Past,
    *,
    block: DayBlock,
    hung: Hangings,
    now: datetime,
    settings: ValidationSettings,
    forced: bool,
) -> tuple[Cases, Registers]:
    cases = _bare(past, block=block, hung=hung, now=now, settings=settings, forced=forced)
    energy = block.values["wh_import"]
    spiky = rules.may_spike(values=energy, minutes=block.minutes, load=cases.load, settings=settings)
    gaps = rules.missing(values=energy, wanted=cases.wanted) | rules.negative(values=energy)
    gaps |= rules.negative_in(block, "wh_export") | cases.stands.taken_out
    open_rows = np.flatnonzero(cases.due & (gaps.any(axis=1) | spiky))
    registers = _registers(past, block=block, open_rows=open_rows)
    meters = sorted({block.meters[row] for row in (*open_rows.tolist(), *np.flatnonzero(spiky).tolist())})
    if not meters:
        return cases, registers
    around = [registers.around(block.meters[row], int(block.days[row])) for row in open_rows]
    beside = _days_beside(block, open_rows, around)
    if beside:
        cases = _extended(past, cases, beside, hung=hung, now=now, settings=settings)
    days = cases.block.days
    ends = [pair for pair in around if pair is not None]
    window = _window(
        past,
        meters=meters,
        minutes=block.minutes,
        first=min([int(days.min()), *(low for low, _ in ends)]) - settings.history_days,
        last=max([int(days.max()), *(high - 1 for _, high in ends)]) + DAYS_AFTER,
        registers=registers,
    )
    window = replace(window, neighbours=_neighbours(past, window, hung=hung, minutes=block.minutes))
    usual = _usual(cases, np.flatnonzero(spiky), window, settings)
    return replace(cases, window=window, usual=usual), registers


def _registers(past: Past, *, block: DayBlock, open_rows: Integers) -> Registers:
    """
    Return the registers at the ends of the block's days.

    Where an open row lacks one of its own, those of its meter are sought farther away.
    """
    if not block.rows:
        return Registers()
    first, last = int(block.days.min()), int(block.days.max()) + 1
    meters = tuple(dict.fromkeys(block.meters))
    near = Registers(past.registers(meters=meters, first=first, last=last))
    alone = sorted(
        {
            block.meters[row]
            for row in open_rows.tolist()
            if near.around(block.meters[row], int(block.days[row])) != (block.days[row], block.days[row] + 1)
        }
    )
    if not alone:
        return near
    reach = REGISTER_REACH_DAYS
    far = past.registers(meters=alone, first=first - reach, last=last + reach)
    return near.joined(far)


def _bare(
    past: Past,
    *,
    block: DayBlock,
    hung: Hangings,
    now: datetime,
    settings: ValidationSettings,
    forced: bool,
) -> Cases:
    unknown = np.full(block.rows, ABSENT, dtype=np.int64)
    own = hung.rows(block.meters)
    old = block.days <= due_day(now=now, settings=settings)
    stands = (block.quality == Quality.ESTIMATED).any(axis=1)
    over = block.days < day_number(local_date(now))
    return Cases(
        block=block,
        wanted=_wanted(past, block=block, own=own, hung=hung, now=now),
        due=hung.talks[own] & over & (old | stands | np.full(block.rows, forced)),
        opening=unknown,
        closing=unknown,
        load=rules.load_wh(sanctioned_w=hung.load_w[own], minutes=block.minutes),
        usual=np.zeros(block.rows, dtype=np.int64),
        window=None,
        stands=_standing(past, block=block),
    )


def _standing(past: Past, *, block: DayBlock) -> Standing:
    """Return the edits that stand over the rows of a block."""
    confirmed: Sequence[ReadingEdit] = ()
    if block.rows:
        confirmed = past.edits(meters=block.meters, first=int(block.days.min()), last=int(block.days.max()))
    measured = block
    if confirmed:
        keys = list(zip(block.meters, block.days.tolist(), strict=True))
        measured = past.measured(keys=keys, minutes=block.minutes)
    return standing(block, measured, confirmed)


def _wanted(past: Past, *, block: DayBlock, own: Integers, hung: Hangings, now: datetime) -> Flags:
    """
    Return which intervals should be there: the meter hung, and the day is over.

    Of a meter that does not communicate, or hangs since ever, only what lies between (after) its first and its last
    measured interval is expected. What rows of the other interval length hold is not missing.
    """
    low, high = _bounds(past, block=block, own=own, hung=hung, now=now)
    first = hung.first_span[own]
    wanted = rules.expected(
        days=block.days,
        minutes=block.minutes,
        from_s=np.maximum(first[:, 0], low),
        to_s=np.minimum(first[:, 1], high),
    )
    for row in np.flatnonzero(hung.again[own]).tolist():
        for begin, end in hung.spans[block.meters[row]][1:]:
            wanted[row] |= rules.expected(
                days=block.days[row : row + 1],
                minutes=block.minutes,
                from_s=np.maximum(low[row : row + 1], begin),
                to_s=np.minimum(high[row : row + 1], end),
            )[0]
    rows = np.flatnonzero((wanted & (block.values["wh_import"] == ABSENT)).any(axis=1))
    if len(rows):
        wanted[rows] &= ~_covered(past, block, rows)
    return wanted


def _bounds(
    past: Past, *, block: DayBlock, own: Integers, hung: Hangings, now: datetime
) -> tuple[Integers, Integers]:
    """Return between which moments [s] anything is expected of each row's meter."""
    low = np.full(block.rows, -FOREVER_S, dtype=np.int64)
    high = np.full(block.rows, midnight_s(day_number(local_date(now))), dtype=np.int64)
    vague = np.flatnonzero(~hung.talks[own] | hung.since_ever[own]).tolist()
    if vague:
        measured = past.spans(meters=sorted({block.meters[row] for row in vague}))
        for row in vague:
            meter = block.meters[row]
            low[row], last = measured.get(meter, NEVER_S)
            if meter not in hung.communicating or meter not in measured:
                high[row] = min(high[row], last)
    return low, high


def _covered(past: Past, block: DayBlock, rows: Integers) -> Flags:
    """Return which intervals of the rows are held by rows of the other interval length."""
    keys = [(block.meters[row], int(block.days[row])) for row in rows.tolist()]
    other = past.rows(keys=keys, minutes=BOTH_LENGTHS - block.minutes)
    present = other.values["wh_import"] != ABSENT
    if block.minutes == 30:
        return np.asarray(present[:, 0::2] & present[:, 1::2])
    return np.repeat(present, 2, axis=1)


def _with_registers(cases: Cases, registers: Registers) -> Cases:
    """Return the cases with the registers at the ends of their days."""
    block = cases.block
    return replace(
        cases,
        opening=registers.at(meters=block.meters, days=block.days, channel="wh_import"),
        closing=registers.at(meters=block.meters, days=block.days + 1, channel="wh_import"),
    )


def _prior(past: Past, cases: Cases, *, settings: ValidationSettings) -> Integers:
    """Return the register at the midnight before the opening one, of the rows whose sum is not what registers say."""
    block = cases.block
    prior = np.full(block.rows, ABSENT, dtype=np.int64)
    sums = rules.sum_check(
        values=block.values["wh_import"],
        wanted=cases.wanted,
        sum_wh=rules.day_sums(block.values["wh_import"]),
        opening=cases.opening,
        closing=cases.closing,
        settings=settings,
    )
    rows = np.flatnonzero(sums.failed)
    if len(rows):
        meters = tuple(dict.fromkeys(block.meters[row] for row in rows.tolist()))
        days = block.days[rows] - 1
        found = Registers(past.registers(meters=meters, first=int(days.min()), last=int(days.max())))
        prior[rows] = found.at(
            meters=[block.meters[row] for row in rows.tolist()], days=days, channel="wh_import"
        )
    return prior


def _days_beside(
    block: DayBlock, rows: Integers, around: Sequence[tuple[int, int] | None]
) -> list[tuple[str, int]]:
    """Return the days, not of the block, that share a register difference with its open rows."""
    have = set(zip(block.meters, block.days.tolist(), strict=True))
    beside = {
        (block.meters[row], day)
        for row, pair in zip(rows.tolist(), around, strict=True)
        if pair is not None
        for day in range(pair[0], pair[1])
    }
    return sorted(beside - have)


def _extended(
    past: Past,
    cases: Cases,
    beside: Sequence[tuple[str, int]],
    *,
    hung: Hangings,
    now: datetime,
    settings: ValidationSettings,
) -> Cases:
    """Return the cases with those of the days beside that have gaps."""
    block = past.rows(keys=beside, minutes=cases.block.minutes)
    more = _bare(past, block=block, hung=hung, now=now, settings=settings, forced=True)
    gaps = rules.missing(values=block.values["wh_import"], wanted=more.wanted) | more.stands.taken_out
    rows = np.flatnonzero(gaps.any(axis=1) & more.due)
    if not len(rows):
        return cases
    return Cases(
        block=joined(cases.block, block, rows),
        wanted=np.concatenate((cases.wanted, more.wanted[rows])),
        due=np.concatenate((cases.due, more.due[rows])),
        opening=np.concatenate((cases.opening, more.opening[rows])),
        closing=np.concatenate((cases.closing, more.closing[rows])),
        load=np.concatenate((cases.load, more.load[rows])),
        usual=np.concatenate((cases.usual, more.usual[rows])),
        window=None,
        stands=Standing(
            numbers=np.concatenate((cases.stands.numbers, more.stands.numbers[rows])),
            taken_out=np.concatenate((cases.stands.taken_out, more.stands.taken_out[rows])),
            late=np.concatenate((cases.stands.late, more.stands.late[rows])),
        ),
    )


def _window(
    past: Past,
    *,
    meters: Sequence[str],
    minutes: int,
    first: int,
    last: int,
    registers: Registers,
) -> Window:
    place = {meter: row for row, meter in enumerate(meters)}
    shape = (len(meters), last - first + 1)
    known = {
        channel: np.full((*shape, 24 * 60 // minutes), ABSENT, dtype=np.int64) for channel in ENERGY_CHANNELS
    }
    elsewhere = {channel: np.zeros(shape, dtype=np.int64) for channel in ENERGY_CHANNELS}
    found = past.days(meters=meters, first=first, last=last, channels=ENERGY_CHANNELS)
    for block in found:
        rows = np.array([place[meter] for meter in block.meters], dtype=np.int64)
        columns = block.days - first
        for channel in ENERGY_CHANNELS:
            values = block.channel(channel)
            if block.minutes == minutes:
                known[channel][rows, columns] = np.where(values < 0, ABSENT, values)
            else:
                elsewhere[channel][rows, columns] = np.sum(values, axis=1, where=values != ABSENT, initial=0)
    registered = {
        channel: registers.matrix(meters=meters, first=first, last=last + 1, channel=channel)
        for channel in ENERGY_CHANNELS
    }
    return Window(
        meters=tuple(meters), first_day=first, known=known, elsewhere=elsewhere, registers=registered
    )


def _neighbours(past: Past, window: Window, *, hung: Hangings, minutes: int) -> Integers | None:
    """Return the mean import beside each meter that has no past of its own at some time of day, None of no such."""
    known = window.known["wh_import"]
    alone = np.flatnonzero(~(known != ABSENT).any(axis=1).all(axis=1)).tolist()
    places: dict[str, list[int]] = {}
    for row in alone:
        transformer = hung.transformer.get(window.meters[row])
        if transformer is not None and len(hung.under.get(transformer, ())) > NEIGHBOURS_MIN:
            places.setdefault(transformer, []).append(row)
    if not places:
        return None
    found = np.full(known.shape, ABSENT, dtype=np.int64)
    for transformer, rows in places.items():
        beside = hung.under[transformer][:NEIGHBOURS_MAX]
        total, count = _sums_under(past, window, meters=beside, minutes=minutes)
        for row in rows:
            own = (known[row] != ABSENT) & (window.meters[row] in beside)
            others, theirs = count - own, total - np.where(own, known[row], 0)
            mean = theirs * PROFILE_SCALE // np.maximum(others, 1)
            found[row] = np.where(others >= NEIGHBOURS_MIN, mean, ABSENT)
    return found


def _sums_under(
    past: Past, window: Window, *, meters: Sequence[str], minutes: int
) -> tuple[Integers, Integers]:
    """Return what some meters measured together in each interval of the window [Wh], and how many they were."""
    shape = window.known["wh_import"].shape[1:]
    total, count = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    last = window.first_day + shape[0] - 1
    for block in past.days(meters=meters, first=window.first_day, last=last, channels=("wh_import",)):
        if block.minutes == minutes:
            values = block.channel("wh_import")
            there = values >= 0
            np.add.at(total, block.days - window.first_day, np.where(there, values, 0))
            np.add.at(count, block.days - window.first_day, there)
    return total, count


def _usual(cases: Cases, rows: Integers, window: Window, settings: ValidationSettings) -> Integers:
    usual = cases.usual.copy()
    place = {meter: row for row, meter in enumerate(window.meters)}
    for row in rows.tolist():
        column = int(cases.block.days[row]) - window.first_day
        history = window.known["wh_import"][
            place[cases.block.meters[row]], max(column - settings.history_days, 0) : column
        ]
        usual[row] = rules.usual_peak_wh(history=history[None], days_min=settings.history_days_min)[0]
    return usual


def open_days(
    past: Past,
    *,
    meters: Sequence[str],
    first: int,
    last: int,
    hung: Hangings,
    now: datetime,
    without: Mapping[str, Collection[int]] | None = None,
) -> list[DayBlock]:
    """
    Return the meter-days `first` to `last` as measured, those of which nothing is stored too (version 0).

    The latter are of meters that hung on the day, which is over. Days named by `without` are left out.
    """
    left_out = without or {}
    found = past.days(meters=meters, first=first, last=last)
    stored = {key for block in found for key in zip(block.meters, block.days.tolist(), strict=True)}
    today = day_number(local_date(now))
    empty: dict[int, list[tuple[str, int]]] = {}
    for meter in meters:
        for day in range(first, min(last, today - 1) + 1):
            if (meter, day) not in stored and hung.hung_on(meter, day):
                empty.setdefault(hung.minutes[meter], []).append((meter, day))
    blocks: dict[int, DayBlock] = {}
    for block in found:
        keep = [
            row
            for row, key in enumerate(zip(block.meters, block.days.tolist(), strict=True))
            if key[1] not in left_out.get(key[0], ())
        ]
        blocks[block.minutes] = rows_of(block, np.array(keep, dtype=np.int64))
    for minutes, keys in empty.items():
        more = past.rows(keys=keys, minutes=minutes)
        every = np.arange(more.rows)
        blocks[minutes] = joined(blocks[minutes], more, every) if minutes in blocks else more
    return list(blocks.values())
