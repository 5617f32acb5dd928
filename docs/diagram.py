"""Draw a life cycle, given as its table, as an SVG."""

from collections.abc import Mapping
from enum import Enum
from xml.sax.saxutils import escape

BOX_WIDTH = 132
BOX_HEIGHT = 34
COLUMN = 220
ROW = 78
MARGIN = 40
FONT = "font-family='Noto Sans, DejaVu Sans, sans-serif'"


def layers(table: Mapping[Enum, Mapping[Enum, Enum]]) -> dict[Enum, int]:
    """Return the column of each state: the fewest steps from the first one."""
    first = next(iter(table))
    depth = {first: 0}
    frontier = [first]
    while frontier:
        reached = []
        for state in frontier:
            for after in table[state].values():
                if after not in depth:
                    depth[after] = depth[state] + 1
                    reached.append(after)
        frontier = reached
    last = max(depth.values())
    return {state: depth.get(state, last + 1) for state in table}


def draw(table: Mapping[Enum, Mapping[Enum, Enum]]) -> str:
    """Return the SVG of a life cycle; states stand in columns by their distance from the first one."""
    depth = layers(table)
    columns: dict[int, list[Enum]] = {}
    for state, column in depth.items():
        columns.setdefault(column, []).append(state)
    height = MARGIN * 2 + ROW * max(len(states) for states in columns.values())
    width = MARGIN * 2 + COLUMN * max(columns) + BOX_WIDTH
    place = {}
    for column, states in columns.items():
        top = (height - ROW * len(states)) / 2
        for row, state in enumerate(states):
            place[state] = (MARGIN + COLUMN * column, top + ROW * row + (ROW - BOX_HEIGHT) / 2)
    arrows: dict[tuple[Enum, Enum], list[str]] = {}
    for state, steps in table.items():
        for event, after in steps.items():
            arrows.setdefault((state, after), []).append(event.name.lower().replace("_", " "))
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height:g}' width='{width}' height='{height:g}'>",
        "<defs><marker id='tip' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='8' markerHeight='8' orient='auto'>"
        "<path d='M0 0 10 5 0 10z' fill='#50565b'/></marker></defs>",
        f"<rect width='{width}' height='{height:g}' fill='#ffffff'/>",
    ]
    parts += [_arrow(place, pair, words, (pair[1], pair[0]) in arrows) for pair, words in arrows.items()]
    parts += [_box(place[state], state.name, final=not table[state]) for state in table]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _box(place: tuple[float, float], name: str, *, final: bool) -> str:
    x, y = place
    stroke = 3 if final else 1.5
    return (
        f"<rect x='{x:g}' y='{y:g}' width='{BOX_WIDTH}' height='{BOX_HEIGHT}' rx='6' fill='#eceded' "
        f"stroke='#17191b' stroke-width='{stroke}'/><text x='{x + BOX_WIDTH / 2:g}' y='{y + 22:g}' {FONT} "
        f"font-size='13' font-weight='bold' text-anchor='middle' fill='#17191b'>{escape(name)}</text>"
    )


def _arrow(
    place: Mapping[Enum, tuple[float, float]], pair: tuple[Enum, Enum], words: list[str], two_way: bool
) -> str:
    (x1, y1), (x2, y2) = place[pair[0]], place[pair[1]]
    half = BOX_HEIGHT / 2
    if pair[0] is pair[1]:
        path = f"M{x1 + 30:g} {y1:g} c-10 -34 60 -34 40 0"
        label = (x1 + 45, y1 - 26)
    elif x2 > x1:
        start, end = (x1 + BOX_WIDTH, y1 + half), (x2, y2 + half)
        lift = -14 if two_way else 0
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + lift)
        path = f"M{start[0]:g} {start[1]:g} Q{middle[0]:g} {middle[1]:g} {end[0]:g} {end[1]:g}"
        label = (start[0] + (end[0] - start[0]) * 0.42, start[1] + (end[1] - start[1]) * 0.42 - 5 + lift / 2)
    elif x2 == x1:
        down = y2 > y1
        side = BOX_WIDTH if down else 0
        bend = 40 if down else -40
        path = (
            f"M{x1 + side:g} {y1 + half:g} C{x1 + side + bend:g} {y1 + half:g} {x2 + side + bend:g} {y2 + half:g} "
            f"{x2 + side:g} {y2 + half:g}"
        )
        label = (x1 + side + bend * 0.75, (y1 + y2) / 2 + half)
    else:
        start, end = (x1 + BOX_WIDTH / 2, y1 + BOX_HEIGHT), (x2 + BOX_WIDTH / 2, y2 + BOX_HEIGHT)
        drop = max(start[1], end[1]) + 30
        path = f"M{start[0]:g} {start[1]:g} C{start[0]:g} {drop:g} {end[0]:g} {drop:g} {end[0]:g} {end[1]:g}"
        label = ((start[0] + end[0]) / 2, drop - 4)
    text = escape(", ".join(words))
    return (
        f"<path d='{path}' fill='none' stroke='#50565b' stroke-width='1.3' marker-end='url(#tip)'/>"
        f"<text x='{label[0]:g}' y='{label[1]:g}' {FONT} font-size='11' text-anchor='middle' fill='#1f4e79' "
        f"stroke='#ffffff' stroke-width='3' paint-order='stroke'>{text}</text>"
    )
