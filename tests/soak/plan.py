"""What the seed does to the meters of a soak, and what a head-end then can and cannot have read. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

SILENT_SHARE, FAULTY_SHARE, TAMPERED_SHARE = 0.30, 0.05, 0.05
#: Of the silent these never speak again.
DEAD_SHARE = 0.2
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: When a run asks, after each midnight: as soon as the day is due, five hours after the first failure and six after
#: the second. A failure is tried again by these delays, then at the next day's `FROM`.
RUNS = (timedelta(minutes=30), timedelta(hours=6), timedelta(hours=12, minutes=30))
RETRY_DELAYS = (timedelta(hours=5), timedelta(hours=6))
FROM = timedelta(minutes=15)
#: When silences and faults begin, and when they end.
NIGHT, NOON = 23 * HOUR, 13 * HOUR
ENDS = (timedelta(minutes=10), 3 * HOUR, 9 * HOUR)
TAMPERED_AT = 15 * HOUR
TAMPERS = (201, 203, 251)
#: Faults under which no session can go well; under which one may by luck; under which each must.
DEAF = ("silent", "mute", "garbage", "wrong_key", "drop", "reboot", "power_failure")
UNLUCKY = ("lossy_link", "garbled", "shared_modem")
LIVING = (
    "slow_link",
    "delay",
    "counter_jump",
    "clock_drift",
    "clock_step",
    "duplicated_rows",
    "repeated_rows",
    "register_reset",
    "register_rollover",
    "stuck_relay",
    "weld",
    "reversed_ct",
    "other_firmware",
)
#: Nobody can tell from the seed when these are read: a clock may not have closed its newest rows, luck is luck.
WATCHED = frozenset({*UNLUCKY, "clock_step", "power_failure"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that begins or ends at a meter: a silence, a fault, or an event that its log shows."""

    at: datetime
    serial: str
    what: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the seed does, in order: `silent` meters, `faulty` ones by their fault, and `tampered` ones."""

    midnight: datetime
    days: int
    serials: tuple[str, ...]
    silent: frozenset[str]
    dead: frozenset[str]
    faulty: dict[str, str]
    changes: tuple[Change, ...]

    @property
    def watched(self) -> frozenset[str]:
        """Return the meters whose fate the seed alone does not tell."""
        return frozenset(serial for serial, name in self.faulty.items() if name in WATCHED)

    @property
    def runs(self) -> tuple[datetime, ...]:
        """Return when the head-end asks."""
        return tuple(self.midnight + day * DAY + after for day in range(1, self.days + 1) for after in RUNS)

    def time_of(self, serial: str, what: str, *, on: bool) -> datetime | None:
        """Return when something began or ended at a meter, None if it did not."""
        return next(
            (each.at for each in self.changes if (each.serial, each.what, each.on) == (serial, what, on)),
            None,
        )


def plan(serials: Sequence[str], *, midnight: datetime, days: int, seed: int) -> Plan:
    """Return what befalls the meters on `days` days from `midnight`; on the last, all but the dead are well again."""
    dice = random.Random(seed)
    order = list(serials)
    dice.shuffle(order)
    silent = order[: round(SILENT_SHARE * len(order))]
    faulty = order[len(silent) : len(silent) + round(FAULTY_SHARE * len(order))]
    healthy = order[len(silent) + len(faulty) :]
    changes: list[Change] = []
    dead = set(silent[: round(DEAD_SHARE * len(silent))])
    for serial in silent:
        first = dice.randrange(days - 2)
        changes.append(Change(at=midnight + first * DAY + NIGHT, serial=serial, what="", on=True))
        if serial not in dead:
            end = midnight + dice.randrange(first + 2, days) * DAY + dice.choice(ENDS)
            changes.append(Change(at=end, serial=serial, what="", on=False))
    names = dice.sample((*DEAF, *UNLUCKY, *LIVING), k=len((*DEAF, *UNLUCKY, *LIVING)))
    faults = {serial: names[number % len(names)] for number, serial in enumerate(faulty)}
    begin = midnight + DAY + NOON
    for serial, name in faults.items():
        changes.append(Change(at=begin, serial=serial, what=name, on=True))
        if name in UNLUCKY:
            changes.append(Change(at=midnight + (days - 1) * DAY + NOON, serial=serial, what=name, on=False))
        elif name == "power_failure" or (name in DEAF and dice.random() < 0.5):
            end = midnight + dice.randrange(2, days) * DAY + dice.choice(ENDS)
            changes.append(Change(at=end, serial=serial, what=name, on=False))
        elif name in DEAF:
            dead.add(serial)
    for serial in dice.sample(healthy, round(TAMPERED_SHARE * len(serials))):
        at = midnight + dice.randrange(1, days) * DAY + TAMPERED_AT
        changes.append(Change(at=at, serial=serial, what=str(dice.choice(TAMPERS)), on=True))
    return Plan(
        midnight=midnight,
        days=days,
        serials=tuple(serials),
        silent=frozenset(silent),
        dead=frozenset(dead),
        faulty=faults,
        changes=tuple(sorted(changes, key=lambda change: (change.at, change.serial, change.what))),
    )


@dataclass(slots=True)
class _Asked:
    settled: int = -1
    failures: int = 0
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """When each meter-day (serial, day from 0) was read, when each meter was heard, up to which day it was read."""

    read_at: dict[tuple[str, int], datetime] = field(default_factory=dict)
    heard_at: dict[str, list[datetime]] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)


def fate(of: Plan) -> Fate:
    """
    Return what a head-end that keeps to its schedule has read of the meters that are not watched.

    Told from the rule in words: whoever owes a day is asked in each run; after its first failures again by the
    delays, then once a day; who answers gives all that it owes.
    """
    told = Fate()
    turns: dict[str, list[Change]] = {}
    for change in of.changes:
        if change.what in ("", *DEAF):
            turns.setdefault(change.serial, []).append(change)
    for serial in of.serials:
        if serial in of.watched:
            continue
        mutes = turns.get(serial, [])
        state = _Asked()
        for now in of.runs:
            newest = (now - FROM - of.midnight) // DAY - 1
            if state.settled >= newest or (state.next_at is not None and now < state.next_at):
                continue
            before = [each for each in mutes if each.at <= now]
            if before and before[-1].on:
                state.failures += 1
                state.next_at = _next_day(of, now)
                if state.failures <= len(RETRY_DELAYS):
                    state.next_at = min(state.next_at, now + RETRY_DELAYS[state.failures - 1])
                continue
            for day in range(state.settled + 1, newest + 1):
                told.read_at[serial, day] = now
            told.heard_at.setdefault(serial, []).append(now)
            state = _Asked(settled=newest)
        told.settled[serial] = state.settled
    return told


def _next_day(of: Plan, now: datetime) -> datetime:
    return of.midnight + ((now - FROM - of.midnight) // DAY + 1) * DAY + FROM
