"""
Draw a life cycle, given as its table, as an SVG.

Each state is a line from top to bottom, each step an arrow on a row of its own: so no two labels can meet, however
many steps a table has, and the picture is the same on every machine.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import pairwise
from xml.sax.saxutils import escape

Table = Mapping[Enum, Mapping[Enum, Enum]]

MARGIN = 16
GUTTER = 14
BOX_HEIGHT = 30
TOP = MARGIN + 14
ROW = 30
BAND_PADDING = 8
NAME_LETTER = 10.2
STEP_LETTER = 6.9
LOOP = 26
FONT = "font-family='Noto Sans, DejaVu Sans, Arial, sans-serif'"
INK, LINE, WORD, PALE, BOX = "#17191b", "#50565b", "#1f4e79", "#f6f7f7", "#e6eaee"


def draw(table: Table) -> str:
    """Return the SVG of a life cycle: states from left to right as the table has them, steps from top to bottom."""
    states = list(table)
    rows = [(state, after, words) for state in states for after, words in steps_of(table, state).items()]
    places = columns(states, rows)
    width = round(right_edge(states, rows, places))
    bottom = TOP + BOX_HEIGHT + BAND_PADDING
    bands, arrows = [], []
    for shade, state in enumerate(source for source in states if table[source]):
        own = [row for row in rows if row[0] is state]
        height = ROW * len(own) + BAND_PADDING
        if shade % 2 == 0:
            bands.append(f"<rect x='0' y='{bottom}' width='{width}' height='{height}' fill='{PALE}'/>")
        for index, (source, target, words) in enumerate(own):
            y = bottom + ROW * index + ROW - 6
            arrows += _step(places[source], places[target], y, ", ".join(words))
        bottom += height
    height = bottom + MARGIN
    reached = {after for steps in table.values() for after in steps.values()}
    first = states[0]
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>",
        "<defs><marker id='tip' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='9' markerHeight='9' orient='auto'>"
        f"<path d='M0 1 10 5 0 9z' fill='{LINE}'/></marker></defs>",
        f"<rect width='{width}' height='{height}' fill='#ffffff'/>",
        *bands,
        *(_line(places[state], bottom) for state in states),
        *arrows,
        *(
            _box(
                places[state],
                state.name,
                begins=state is first or state not in reached,
                ends=not table[state],
            )
            for state in states
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def steps_of(table: Table, state: Enum) -> dict[Enum, list[str]]:
    """Return the words of the steps from `state`, gathered by the state that they lead to."""
    gathered: dict[Enum, list[str]] = {}
    for event, after in table[state].items():
        gathered.setdefault(after, []).append(event.name.lower().replace("_", " "))
    return gathered


def columns(states: list[Enum], rows: list[tuple[Enum, Enum, list[str]]]) -> dict[Enum, float]:
    """Return the x of each state's line: far enough apart for the names and for every label between two of them."""
    widths = [_name_width(state.name) for state in states]
    gaps = [(left + right) / 2 + GUTTER for left, right in pairwise(widths)]
    position = {state: index for index, state in enumerate(states)}
    for source, target, words in rows:
        left, right = sorted((position[source], position[target]))
        needed = _label_width(words) + 26
        if left == right:
            right, needed = left + 1, needed + LOOP
        if right >= len(states):
            continue
        missing = needed - sum(gaps[left:right])
        if missing > 0:
            gaps[left] += missing
    x = MARGIN + widths[0] / 2
    places = {states[0]: x}
    for state, gap in zip(states[1:], gaps, strict=True):
        x += gap
        places[state] = x
    return places


def right_edge(
    states: list[Enum], rows: list[tuple[Enum, Enum, list[str]]], places: Mapping[Enum, float]
) -> float:
    """Return the width that takes in the last box and every loop's label."""
    edges = [places[states[-1]] + _name_width(states[-1].name) / 2]
    edges += [
        places[source] + LOOP + 8 + _label_width(words) for source, target, words in rows if source is target
    ]
    return max(edges) + MARGIN


def _name_width(name: str) -> float:
    return max(76.0, len(name) * NAME_LETTER + 18)


def _label_width(words: Iterable[str]) -> float:
    return len(", ".join(words)) * STEP_LETTER


def _line(x: float, bottom: float) -> str:
    return (
        f"<line x1='{x:g}' y1='{TOP + BOX_HEIGHT}' x2='{x:g}' y2='{bottom:g}' stroke='#aab0b6' stroke-width='1' "
        "stroke-dasharray='2 3'/>"
    )


def _box(x: float, name: str, *, begins: bool, ends: bool) -> str:
    width = _name_width(name)
    stroke = 3 if ends else 1.2
    box = (
        f"<rect x='{x - width / 2:g}' y='{TOP}' width='{width:g}' height='{BOX_HEIGHT}' rx='6' fill='{BOX}' "
        f"stroke='{INK}' stroke-width='{stroke}'/><text x='{x:g}' y='{TOP + 20}' {FONT} font-size='13' "
        f"font-weight='bold' text-anchor='middle' fill='{INK}'>{escape(name.replace('_', ' '))}</text>"
    )
    if not begins:
        return box
    return (
        f"<circle cx='{x:g}' cy='8' r='5' fill='{INK}'/><path d='M{x:g} 8 V{TOP - 1}' stroke='{LINE}' "
        f"stroke-width='1.4' marker-end='url(#tip)'/>" + box
    )


def _step(source: float, target: float, y: float, words: str) -> list[str]:
    start = f"<circle cx='{source:g}' cy='{y:g}' r='3.2' fill='{LINE}'/>"
    if source == target:
        path = f"M{source:g} {y:g} h{LOOP} v-14 h-{LOOP - 2}"
        label = _label(source + LOOP + 6, y - 3, words, anchor="start")
    else:
        path = f"M{source:g} {y:g} H{target - 1 if target > source else target + 1:g}"
        label = _label((source + target) / 2, y - 6, words, anchor="middle")
    return [
        start,
        f"<path d='{path}' fill='none' stroke='{LINE}' stroke-width='1.4' marker-end='url(#tip)'/>",
        label,
    ]


def _label(x: float, y: float, words: str, *, anchor: str) -> str:
    return (
        f"<text x='{x:g}' y='{y:g}' {FONT} font-size='12' text-anchor='{anchor}' fill='{WORD}' stroke='#ffffff' "
        f"stroke-width='4' paint-order='stroke'>{escape(words)}</text>"
    )
