"""What a writer does at each step, made from a seed alone, so that a test can tell afterwards what must stand."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from tests.readings.deliveries import DAY, values_of

from bijlighar.base.period import date_of, local_midnight
from bijlighar.readings.model import (
    Delivery,
    EditKind,
    MeterEvent,
    RegisterKind,
    RegisterSnapshot,
    interval_start,
)

METERS = tuple(f"M{number}" for number in range(6))
DAYS = (DAY, DAY + 1, DAY + 2)
MINUTES = 30
SLOTS = 48
WH_MAX = 70_000
KINDS = {"bulk": 3, "late": 6, "collected": 3, "events": 1, "validated": 3, "edited": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One transaction of a writer; `target` is the meter-day that it validates or edits."""

    kind: str
    deliveries: tuple[Delivery, ...] = ()
    snapshots: tuple[RegisterSnapshot, ...] = ()
    events: tuple[MeterEvent, ...] = ()
    target: tuple[str, int] = ("", 0)
    edit: EditKind = EditKind.SET
    channel: str = "wh_import"
    run: tuple[int, int] = (0, 0)
    values: tuple[int, ...] = ()


def step_of(*, seed: int, writer: str, number: int) -> Step:
    """Return the step of a number."""
    dice = random.Random(f"{seed}/{writer}/{number}")
    kind = dice.choices(list(KINDS), weights=list(KINDS.values()))[0]
    if kind == "bulk":
        return Step(kind=kind, deliveries=tuple(_days(dice, meter) for meter in METERS))
    if kind == "late":
        return Step(kind=kind, deliveries=_late(dice))
    if kind == "collected":
        return Step(
            kind=kind, deliveries=_late(dice), snapshots=_snapshots(dice), events=_events(dice, number)
        )
    if kind == "events":
        return Step(kind=kind, events=_events(dice, number))
    first = dice.randrange(SLOTS)
    last = dice.randint(first + 1, min(SLOTS, first + 8))
    return Step(
        kind=kind,
        target=(dice.choice(METERS), dice.choice(DAYS)),
        edit=dice.choice(list(EditKind)),
        channel=dice.choice(("wh_import", "wh_export")),
        run=(first, last),
        values=tuple(dice.randrange(WH_MAX) for _ in range(SLOTS)),
    )


def _days(dice: random.Random, meter: str) -> Delivery:
    """Two whole days of a meter, some intervals left out."""
    first = dice.choice(DAYS[:-1])
    starts = interval_start(first, 0, MINUTES) + MINUTES * 60 * np.arange(2 * SLOTS, dtype=np.int64)
    values: dict[str, list[int | None]] = {
        channel: [None if dice.random() < 0.1 else dice.randrange(WH_MAX) for _ in range(2 * SLOTS)]
        for channel in ("wh_import", "volt")
    }
    return _delivery(meter, starts, values)


def _late(dice: random.Random) -> tuple[Delivery, ...]:
    """Some intervals of a few meters: new ones, and others than were known."""
    made = []
    for meter in dice.sample(METERS, dice.randint(1, 3)):
        first, count = dice.randrange(SLOTS), dice.randint(1, 30)
        starts = interval_start(dice.choice(DAYS), first, MINUTES) + MINUTES * 60 * np.arange(
            min(count, SLOTS - first), dtype=np.int64
        )
        channel = dice.choice(("wh_import", "wh_import", "wh_export"))
        made.append(_delivery(meter, starts, {channel: [dice.randrange(WH_MAX) for _ in starts]}))
    return tuple(made)


def _delivery(meter: str, starts: np.ndarray, values: Mapping[str, list[int | None]]) -> Delivery:
    channels = {channel: values_of(list(row)) for channel, row in values.items()}
    return Delivery(meter=meter, minutes=MINUTES, starts=starts, values=channels)


def _snapshots(dice: random.Random) -> tuple[RegisterSnapshot, ...]:
    return tuple(
        RegisterSnapshot(
            meter=meter,
            at=local_midnight(date_of(dice.choice(DAYS))),
            kind=RegisterKind.DAILY,
            wh_import=dice.choice((None, dice.randrange(10**9))),
            wh_export=dice.choice((None, dice.randrange(10**9))),
        )
        for meter in dice.sample(METERS, 2)
    )


def _events(dice: random.Random, number: int) -> tuple[MeterEvent, ...]:
    at = datetime(2026, 4, 1, tzinfo=UTC) + timedelta(minutes=number)
    return tuple(
        MeterEvent(meter=meter, code=code, at=at, family="power", origin="meter", received_at=at)
        for meter, code in ((dice.choice(METERS), 101), (dice.choice(METERS), dice.choice((101, 102))))
    )
