"""Bars of a chart that the server draws: places only, the template writes the SVG. Pure geometry."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 700
HEIGHT = 190
BASE = 150
TOP = 22
BAR_WIDTH_MAX = 44
GAP = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: its place, its text above and below, and what it is in words."""

    x: int
    y: int
    width: int
    height: int
    middle: int
    value: str
    name: str
    label: str
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One value to be drawn; None is drawn as a gap."""

    size: float | None
    value: str
    name: str
    label: str
    kind: str = ""


def bars(readings: Sequence[Reading], *, full: float | None = None) -> tuple[Bar, ...]:
    """Return the bars of some values beside each other; the highest, or `full`, reaches the top."""
    if not readings:
        return ()
    pitch = WIDTH // max(len(readings), 4)
    width = min(pitch - GAP, BAR_WIDTH_MAX)
    top = max(full or 0, *(reading.size or 0 for reading in readings)) or 1
    found: list[Bar] = []
    for place, reading in enumerate(readings):
        height = round((BASE - TOP) * max(reading.size or 0, 0) / top)
        x = place * pitch + (pitch - width) // 2
        found.append(
            Bar(
                x=x,
                y=BASE - height,
                width=width,
                height=height,
                middle=x + width // 2,
                value=reading.value,
                name=reading.name,
                label=reading.label,
                kind=reading.kind,
            )
        )
    return tuple(found)


def pairs(
    readings: Sequence[tuple[Reading, Reading]],
) -> tuple[tuple[Bar, Bar], ...]:
    """Return bars in pairs, both to the same scale: what was to be, and what is."""
    if not readings:
        return ()
    pitch = WIDTH // max(len(readings), 4)
    width = min((pitch - 2 * GAP) // 2, BAR_WIDTH_MAX)
    top = max((reading.size or 0) for pair in readings for reading in pair) or 1
    found: list[tuple[Bar, Bar]] = []
    for place, pair in enumerate(readings):
        begin = place * pitch + (pitch - 2 * width) // 2
        made = []
        for offset, reading in enumerate(pair):
            height = round((BASE - TOP) * max(reading.size or 0, 0) / top)
            x = begin + offset * width
            made.append(
                Bar(
                    x=x,
                    y=BASE - height,
                    width=width - 2,
                    height=height,
                    middle=x + width // 2,
                    value=reading.value,
                    name=reading.name,
                    label=reading.label,
                    kind=reading.kind,
                )
            )
        found.append((made[0], made[1]))
    return tuple(found)
