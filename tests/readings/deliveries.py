"""Deliveries for tests, in the words of the grid: a day, a slot, values."""

from datetime import UTC, datetime

import numpy as np

from bijlighar.readings.model import ABSENT, Delivery, interval_start

NOW = datetime(2026, 4, 3, 6, 0, tzinfo=UTC)
DAY = 20_544  # 2026-04-01


def values_of(values: list[int | None]) -> np.ndarray:
    return np.array([ABSENT if value is None else value for value in values], dtype=np.int64)


def delivery(
    values: list[int | None],
    *,
    meter: str = "M1",
    day: int = DAY,
    slot: int = 0,
    minutes: int = 30,
    **channels: object,
) -> Delivery:
    """Consecutive intervals of wh_import from a slot of a day, and further channels of the same length."""
    starts = interval_start(day, slot, minutes) + minutes * 60 * np.arange(len(values))
    others = {name: values_of(other) for name, other in channels.items() if isinstance(other, list)}
    return Delivery(
        meter=meter, minutes=minutes, starts=starts, values={"wh_import": values_of(values), **others}
    )


def rows(
    pairs: list[tuple[int, int | None]], *, meter: str = "M1", day: int = DAY, minutes: int = 30
) -> Delivery:
    """Intervals as (slot, wh_import) in the order in which they came."""
    starts = np.array([interval_start(day, slot, minutes) for slot, _ in pairs], dtype=np.int64)
    return Delivery(
        meter=meter, minutes=minutes, starts=starts, values={"wh_import": values_of([v for _, v in pairs])}
    )
