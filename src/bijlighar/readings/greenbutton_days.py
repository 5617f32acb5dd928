"""
From the entries of a Green Button feed to what is stored: pure.

An IntervalBlock belongs to the MeterReading above it, that to a ReadingType and a UsagePoint, by their links; where
the feed has only one, to that. Energy forward is `wh_import`, in reverse `wh_export`; VA h, volt and ampere have a
channel too. Of a unit, a direction or a length that is not stored the whole file is refused.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from bijlighar.base.period import moment_of
from bijlighar.readings.arrange import DAY_MAX, DAY_MIN
from bijlighar.readings.greenbutton_codes import (
    AMPERE,
    DELTA_DATA,
    FORWARD,
    MEASURED_CODES,
    QUALITY_WORDS,
    REVERSE,
    VAH,
    VOLT,
    WH,
)
from bijlighar.readings.greenbutton_file import Block, Entry, Numbers, numbers, refuse, whole
from bijlighar.readings.model import (
    ABSENT,
    INTERVAL_MINUTES,
    IST_OFFSET_S,
    SECONDS_PER_DAY,
    Delivery,
    Finding,
    FindingKind,
    Origin,
)
from bijlighar.readings.readings_file import METER_LENGTH_MAX, VALUE_MAX, ParsedFile

#: Powers of ten beyond these belong to no meter.
MULTIPLIER_MAX = 12
#: Electricity, metered on either side of the transformer, or not told.
ELECTRIC = ("", "0", "1", "2")
QUALITY_LENGTH_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Type:
    """What a ReadingType says: the channel, what a value is multiplied by, the length [s], the quality by default."""

    channel: str
    scale: Decimal
    length_s: int | None
    quality: str


@dataclass(slots=True, kw_only=True)
class _Series:
    """The intervals of one meter and channel, as they come."""

    starts: Numbers = field(default_factory=numbers)
    lengths: Numbers = field(default_factory=numbers)
    values: Numbers = field(default_factory=numbers)
    qualities: list[str] = field(default_factory=list)
    lines: Numbers = field(default_factory=numbers)


def stored_form(entries: Sequence[Entry], *, known: Collection[str], meter: str | None = None) -> ParsedFile:
    """
    Return the deliveries of a feed, for the meters whose serial numbers are `known`.

    The meter is `meter` where the feed has only one usage point, else what a title or a link names.

    :raises BrokenFile: with its line, if anything belongs to no known meter or cannot be stored.
    """
    links = _Links(entries)
    if meter is not None and len(links.points) > 1:
        refuse(
            links.points[1].line, "the feed has more than one usage point; their titles must name the meters"
        )
    series: dict[tuple[str, str], _Series] = defaultdict(_Series)
    first_lines: dict[str, int] = {}
    types: dict[int, _Type] = {}
    deliveries: list[Delivery] = []
    flags: list[Finding] = []
    count = rounded = 0
    for entry in entries:
        if entry.kind != "IntervalBlock" or not entry.blocks:
            continue
        reading = links.reading_of(entry)
        told = links.type_of(entry, reading)
        kind = types.get(id(told)) or _type(told)
        types[id(told)] = kind
        serial = _meter(links.point_of(entry, reading), reading, known, meter, entry.line)
        first_lines.setdefault(serial, entry.line)
        for block in entry.blocks:
            rounded += _take(series[serial, kind.channel], block, kind)
            count += len(block.starts)
    by_meter: dict[str, dict[str, _Series]] = defaultdict(dict)
    for (serial, channel), own in series.items():
        by_meter[serial][channel] = own
        _check_overlap(serial, channel, own)
        flags += _flags(serial, channel, own)
    for serial, channels in by_meter.items():
        deliveries += _deliveries(serial, channels)
    return ParsedFile(
        lines=count,
        deliveries=tuple(deliveries),
        first_lines=first_lines,
        rounded=rounded,
        flags=tuple(flags),
    )


class _Links:
    """Who belongs to whom in a feed."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.points = [entry for entry in entries if entry.kind == "UsagePoint"]
        self.readings = [entry for entry in entries if entry.kind == "MeterReading"]
        self.types = [entry for entry in entries if entry.kind == "ReadingType"]
        self._reading_at = _places(self.readings)
        self._point_at = _places(self.points)
        self._type_at = {entry.own: entry for entry in self.types if entry.own}

    def reading_of(self, entry: Entry) -> Entry | None:
        """Return the MeterReading above a block, None where the feed has none."""
        found = _above(entry, self._reading_at)
        if found is None and len(self.readings) == 1:
            return self.readings[0]
        if found is None and self.readings:
            refuse(entry.line, "the interval block belongs to no meter reading of the feed")
        return found

    def type_of(self, entry: Entry, reading: Entry | None) -> Entry:
        """Return the ReadingType of a block."""
        for link in (*(reading.related if reading else ()), *entry.related):
            if link in self._type_at:
                return self._type_at[link]
        if len(self.types) != 1:
            refuse(
                entry.line, "the interval block belongs to no reading type of the feed; its unit is unknown"
            )
        return self.types[0]

    def point_of(self, entry: Entry, reading: Entry | None) -> Entry | None:
        """Return the UsagePoint of a block, None where the feed has none."""
        found = _above(entry if reading is None else reading, self._point_at)
        if found is None and len(self.points) == 1:
            return self.points[0]
        if found is None and self.points:
            refuse(entry.line, "the interval block belongs to no usage point of the feed")
        return found


def _places(entries: Sequence[Entry]) -> dict[str, Entry]:
    """Return entries by their own link and by those under which their parts stand."""
    return {link: entry for entry in entries for link in (entry.own, *entry.related) if link}


def _above(entry: Entry, places: dict[str, Entry]) -> Entry | None:
    """Return the entry at one of whose places this one stands: at its upper link, or a folder of its own link."""
    for link in entry.up:
        for place in (link, link.rpartition("/")[0]):
            if place in places:
                return places[place]
    folder = entry.own.rpartition("/")[0]
    for place in (folder, folder.rpartition("/")[0]):
        if place in places:
            return places[place]
    return None


def _type(entry: Entry) -> _Type:
    codes, line = entry.codes, entry.line
    unit, direction = codes.get("uom", ""), codes.get("flowDirection", "0")
    if codes.get("commodity", "") not in ELECTRIC:
        refuse(line, f"the commodity is {codes['commodity'][:40]!r}; only electricity is taken in")
    if unit == str(WH):
        channel = {str(FORWARD): "wh_import", str(REVERSE): "wh_export"}.get(direction, "")
        if not channel:
            refuse(
                line,
                f"the direction is {direction[:40]!r}; {FORWARD} (forward) and {REVERSE} (reverse) are known",
            )
    else:
        channel = {str(VAH): "vah_import", str(VOLT): "volt", str(AMPERE): "amp"}.get(unit, "")
        if not channel:
            refuse(line, f"the unit is {unit[:40]!r}; {WH} (Wh), {VAH}, {VOLT} and {AMPERE} are known")
        if channel == "vah_import" and direction not in ("0", str(FORWARD)):
            refuse(line, f"apparent energy of direction {direction[:40]!r} is not stored")
    behaviour = codes.get("accumulationBehaviour", "0")
    if channel not in ("volt", "amp") and behaviour not in ("0", str(DELTA_DATA)):
        refuse(line, f"accumulation {behaviour[:40]!r} is no energy of intervals; {DELTA_DATA} is")
    power = whole(line, "powerOfTenMultiplier", codes.get("powerOfTenMultiplier") or "0")
    if abs(power) > MULTIPLIER_MAX:
        refuse(line, f"powerOfTenMultiplier is {power}, beyond what any meter counts")
    length = codes.get("intervalLength")
    return _Type(
        channel=channel,
        scale=Decimal(1).scaleb(power + (2 if channel in ("volt", "amp") else 0)),
        length_s=whole(line, "intervalLength", length) if length else None,
        quality=codes.get("defaultQuality", ""),
    )


def _meter(
    point: Entry | None, reading: Entry | None, known: Collection[str], given: str | None, line: int
) -> str:
    names = [given] if given is not None else []
    if given is None:
        for entry in (point, reading):
            if entry is not None:
                names += [entry.title, entry.own.rpartition("/")[2]]
    named = [name for name in names if name]
    found = [name for name in named if name in known and len(name) <= METER_LENGTH_MAX]
    if found:
        return found[0]
    return refuse(
        line,
        f"no meter has one of the serial numbers {', '.join(name[:64] for name in named) or 'of the feed'}; import "
        "it first with `bijlighar registry import`, or name it with --meter",
    )


def _take(own: _Series, block: Block, kind: _Type) -> int:
    """Add the intervals of a block; return how many values were rounded."""
    rounded = 0
    for start, length, value, quality, line in zip(
        block.starts, block.durations, block.values, block.qualities, block.lines, strict=True
    ):
        _check_time(start, length, line, kind)
        if block.start is not None and block.duration is not None:
            inside = block.start <= start and start + length <= block.start + block.duration
            if not inside:
                refuse(line, f"the interval lies outside its block, which begins at {block.start}")
        stored, is_exact = _scaled(value, kind.scale, line)
        rounded += not is_exact and kind.channel not in ("volt", "amp")
        own.starts.append(start)
        own.lengths.append(length)
        own.values.append(stored)
        own.qualities.append((quality or kind.quality)[:QUALITY_LENGTH_MAX])
        own.lines.append(line)
    return rounded


def _scaled(value: int | Decimal, scale: Decimal, line: int) -> tuple[int, bool]:
    """Return a value in the unit that is stored, half up, and whether it was exact."""
    if isinstance(value, int) and scale == 1 and abs(value) <= VALUE_MAX:
        return value, True
    if abs(Decimal(value).adjusted()) > 2 * MULTIPLIER_MAX or abs(exact := value * scale) > VALUE_MAX:
        refuse(line, f"the value is {str(value)[:40]}, beyond what any meter counts")
    stored = exact.quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return int(stored), stored == exact


def _check_time(start: int, length: int, line: int, kind: _Type) -> None:
    if length % 60 or length // 60 not in INTERVAL_MINUTES:
        refuse(line, f"intervals of {length} s cannot be stored; those of 900 and 1800 s can")
    if kind.length_s is not None and length != kind.length_s:
        refuse(line, f"the interval has {length} s, and its reading type says {kind.length_s}")
    local = start + IST_OFFSET_S
    if not DAY_MIN < local // SECONDS_PER_DAY < DAY_MAX:
        refuse(line, f"{start} is beyond the calendar of any meter")
    if local % length:
        refuse(line, f"{start} is not on the grid of {length} s")


def _check_overlap(serial: str, channel: str, own: _Series) -> None:
    starts, lengths = np.array(own.starts, dtype=np.int64), np.array(own.lengths, dtype=np.int64)
    order = np.argsort(starts, kind="stable")
    over = np.flatnonzero(starts[order][1:] < (starts + lengths)[order][:-1])
    if len(over):
        place = int(order[over[0] + 1])
        refuse(
            own.lines[place],
            f"the interval at {own.starts[place]} overlaps another one of meter {serial}, {channel}",
        )


def _deliveries(serial: str, channels: dict[str, _Series]) -> Iterator[Delivery]:
    for minutes in INTERVAL_MINUTES:
        chosen = {
            channel: {
                start: value
                for start, value, length in zip(own.starts, own.values, own.lengths, strict=True)
                if length == minutes * 60
            }
            for channel, own in channels.items()
        }
        starts = sorted({start for own in chosen.values() for start in own})
        if starts:
            yield Delivery(
                meter=serial,
                minutes=minutes,
                starts=np.array(starts, dtype=np.int64),
                values={
                    channel: np.array([own.get(start, ABSENT) for start in starts], dtype=np.int64)
                    for channel, own in chosen.items()
                    if own
                },
                origin=Origin.IMPORT,
            )


def _flags(serial: str, channel: str, own: _Series) -> Iterator[Finding]:
    """Yield a finding for each run of intervals that the sender does not call as good as measured."""
    rows = sorted(
        (start, length, quality)
        for start, length, quality in zip(own.starts, own.lengths, own.qualities, strict=True)
        if quality and quality not in MEASURED_CODES
    )
    begin = 0
    for place in range(1, len(rows) + 1):
        last = rows[place - 1]
        if place < len(rows) and rows[place][0] == last[0] + last[1] and rows[place][2] == last[2]:
            continue
        told = {"quality": last[2], "reason": QUALITY_WORDS.get(last[2], "")}
        yield Finding(
            meter=serial,
            channel=channel,
            kind=FindingKind.FLAGGED,
            start=moment_of(rows[begin][0]),
            end=moment_of(last[0] + last[1]),
            intervals=place - begin,
            detail={"flags": [told]},
        )
        begin = place
