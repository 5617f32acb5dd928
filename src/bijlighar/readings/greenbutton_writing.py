"""
Readings as Green Button XML (NAESB ESPI, an Atom feed): written meter by meter.

A meter is a UsagePoint whose title is its serial number; each channel of it is a MeterReading with the ReadingType
of its unit, direction and length, and an IntervalBlock for each day. Times are UTC.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import TextIO
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape, quoteattr

from sqlalchemy import Connection

from bijlighar.readings.exporting import Progress, Run, Wish, runs_of
from bijlighar.readings.greenbutton_codes import (
    ATOM,
    ESPI,
    QUALITY_CODES,
    TYPES,
    TypeCodes,
)
from bijlighar.readings.model import ABSENT, CHANNELS, IST_OFFSET_S, SECONDS_PER_DAY, Quality

_ROOT = "/espi/1_1/resource"
_POINT = (
    "<espi:UsagePoint><espi:ServiceCategory><espi:kind>0</espi:kind></espi:ServiceCategory></espi:UsagePoint>"
)


def write_greenbutton(
    connection: Connection, *, file: TextIO, wish: Wish, progress: Progress, now: datetime
) -> int:
    """Write the intervals as a Green Button feed and return how many they are; each counts once."""
    stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    file.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="{ATOM}" xmlns:espi="{ESPI}">\n')
    file.write(f"<id>{_urn(_ROOT)}</id>\n<title>Bijlighar</title>\n<updated>{stamp}</updated>\n")
    for channel in CHANNELS:
        for minutes in (15, 30):
            file.write(_entry(_type_of(channel, minutes), (), _type_xml(TYPES[channel], minutes), stamp))
    count = number = 0
    meter = None
    for run in runs_of(connection, wish=wish, progress=progress):
        if run.meter != meter:
            meter, number = run.meter, number + 1
            point = f"{_ROOT}/UsagePoint/{number}"
            related = (("related", f"{point}/MeterReading"),)
            file.write(_entry(point, related, _POINT, stamp, title=run.meter))
        for text in _readings(run, f"{_ROOT}/UsagePoint/{number}", stamp):
            file.write(text)
        count += run.rows
    file.write("</feed>\n")
    return count


def _readings(run: Run, point: str, stamp: str) -> Iterator[str]:
    for channel in CHANNELS:
        values = run.values[channel]
        present = values != ABSENT
        if not present.any():
            continue
        reading = f"{point}/MeterReading/{channel}-{run.minutes}"
        related = (
            ("up", f"{point}/MeterReading"),
            ("related", f"{reading}/IntervalBlock"),
            ("related", _type_of(channel, run.minutes)),
        )
        yield _entry(reading, related, "<espi:MeterReading/>", stamp)
        is_energy = TYPES[channel].is_energy
        rows = zip(
            run.starts[present].tolist(), values[present].tolist(), run.quality[present].tolist(), strict=True
        )
        for day, own in groupby(rows, key=lambda row: (row[0] + IST_OFFSET_S) // SECONDS_PER_DAY):
            block = f"{reading}/IntervalBlock/{day}"
            content = _block_xml(day, run.minutes * 60, own, is_energy=is_energy)
            yield _entry(block, (("up", f"{reading}/IntervalBlock"),), content, stamp)


def _block_xml(day: int, length_s: int, rows: Iterator[tuple[int, int, int]], *, is_energy: bool) -> str:
    parts = [
        f"<espi:IntervalBlock>{_period('interval', day * SECONDS_PER_DAY - IST_OFFSET_S, SECONDS_PER_DAY)}"
    ]
    for start, value, quality in rows:
        code = QUALITY_CODES[Quality(quality)] if is_energy else ""
        told = (
            f"<espi:ReadingQuality><espi:quality>{code}</espi:quality></espi:ReadingQuality>" if code else ""
        )
        parts.append(
            f"<espi:IntervalReading>{told}{_period('timePeriod', start, length_s)}"
            f"<espi:value>{value}</espi:value></espi:IntervalReading>"
        )
    return "\n".join([*parts, "</espi:IntervalBlock>"])


def _period(name: str, start: int, duration: int) -> str:
    return f"<espi:{name}><espi:duration>{duration}</espi:duration><espi:start>{start}</espi:start></espi:{name}>"


def _type_of(channel: str, minutes: int) -> str:
    return f"{_ROOT}/ReadingType/{channel}-{minutes}"


def _type_xml(codes: TypeCodes, minutes: int) -> str:
    told = {
        "accumulationBehaviour": codes.accumulation,
        "commodity": codes.commodity,
        "flowDirection": codes.direction,
        "intervalLength": minutes * 60,
        "kind": codes.kind,
        "powerOfTenMultiplier": codes.multiplier,
        "uom": codes.unit,
    }
    inner = "".join(f"<espi:{name}>{value}</espi:{name}>" for name, value in told.items())
    return f"<espi:ReadingType>{inner}</espi:ReadingType>"


def _entry(
    path: str, links: tuple[tuple[str, str], ...], content: str, stamp: str, *, title: str = ""
) -> str:
    shown = "".join(sign for sign in title if sign.isprintable())
    told = "".join(f'<link rel="{rel}" href={quoteattr(href)}/>' for rel, href in (("self", path), *links))
    return (
        f"<entry><id>{_urn(path)}</id>{told}<title>{escape(shown)}</title>\n<content>{content}</content>\n"
        f"<published>{stamp}</published><updated>{stamp}</updated></entry>\n"
    )


def _urn(path: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, path)}"
