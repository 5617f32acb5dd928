"""Where the boxes of the schematic stand: feeders below each other, their transformers in order. Pure geometry."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

WIDTH = 1400
LEFT = 150
#: How many transformers stand in one row; a longer feeder goes on in a row below.
COLUMNS_MIN = 8
COLUMNS_MAX = 40
ROW_HEIGHT = 40
TOP = 24
GAP = 8
BOX_HEIGHT = 19
BOX_WIDTH_MAX = 84
#: From this width on a box has room for the transformer's code.
CODE_WIDTH_MIN = 52
CODE_HEIGHT = 16
BAR_HEIGHT = 5
#: The bar under a box is full at this loss [%], and dark from this one on.
LOSS_PCT_FULL = 40
LOSS_PCT_HIGH = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A transformer as it is to be drawn; `label` says in words what its colours mean."""

    code: str
    feeder: str | None
    label: str
    tampers: int
    is_out: bool
    has_many_silent: bool
    loss_pct: float | None
    is_certain: bool
    is_dim: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A transformer with its place; `bar` is the width of the bar of its loss."""

    spot: Spot
    x: int
    y: int
    width: int
    bar: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeederRow:
    """A feeder: its name, its lines (y, from, to), its boxes, how many of its transformers are out."""

    feeder: str | None
    y: int
    lines: tuple[tuple[int, int, int], ...]
    boxes: tuple[Box, ...]
    out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Schematic:
    """The whole drawing."""

    width: int
    height: int
    box_height: int
    has_codes: bool
    feeders: tuple[FeederRow, ...]


def drawn(spots: Iterable[Spot]) -> Schematic:
    """Return the places of transformers, which stand by feeder and in their order there; no feeder comes last."""
    by_feeder = [
        (feeder, list(group))
        for feeder, group in groupby(
            sorted(spots, key=lambda spot: (spot.feeder is None, spot.feeder or "")),
            key=lambda spot: spot.feeder,
        )
    ]
    longest = max((len(group) for _, group in by_feeder), default=0)
    columns = min(max(longest, COLUMNS_MIN), COLUMNS_MAX)
    pitch = (WIDTH - LEFT) // columns
    width = min(pitch - GAP, BOX_WIDTH_MAX)
    has_codes = width >= CODE_WIDTH_MIN
    height = ROW_HEIGHT + (CODE_HEIGHT if has_codes else 0)
    rows: list[FeederRow] = []
    top = TOP
    for feeder, group in by_feeder:
        count = -(-len(group) // columns)
        rows.append(_row(feeder, group, top=top, columns=columns, pitch=pitch, width=width, height=height))
        top += count * height
    return Schematic(width=WIDTH, height=top, box_height=BOX_HEIGHT, has_codes=has_codes, feeders=tuple(rows))


def _row(
    feeder: str | None, group: Sequence[Spot], *, top: int, columns: int, pitch: int, width: int, height: int
) -> FeederRow:
    boxes: list[Box] = []
    lines: list[tuple[int, int, int]] = []
    for place, spot in enumerate(group):
        line, column = divmod(place, columns)
        x, y = LEFT + column * pitch, top + line * height
        boxes.append(Box(spot=spot, x=x, y=y, width=width, bar=_bar(spot.loss_pct, width=width)))
        if column == 0:
            last = min(len(group) - line * columns, columns) - 1
            lines.append(
                (y + BOX_HEIGHT // 2, 12 if line == 0 else LEFT - GAP, LEFT + last * pitch + width + 4)
            )
    return FeederRow(
        feeder=feeder,
        y=top,
        lines=tuple(lines),
        boxes=tuple(boxes),
        out=sum(spot.is_out for spot in group),
    )


def _bar(loss_pct: float | None, *, width: int) -> int:
    """Return the width of the bar of a loss."""
    if loss_pct is None:
        return 0
    return round(width * min(max(loss_pct, 0), LOSS_PCT_FULL) / LOSS_PCT_FULL)
