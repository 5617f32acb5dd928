"""One meter's load: what it measured and what stands, by interval or by day, and why; as a drawing, a table, CSV."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from litestar import Request, Response, get
from litestar.params import Parameter, QueryParameter
from sqlalchemy import Connection

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import IST, Period, date_of, local_date, moment_of, parse_day
from bijlighar.base.words import Words
from bijlighar.headend import queries as headend
from bijlighar.headend.rules import ORIGIN_WORDS, fact_words
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_VIEW, Act, Person, View
from bijlighar.readings import queries as readings
from bijlighar.readings.model import ABSENT, QUALITY_NAMES, Quality
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Installation
from bijlighar.validation import queries as validation
from bijlighar.validation.model import (
    EDIT_KIND_NAMES,
    EDIT_REASON_NAMES,
    EDIT_STATE_NAMES,
    EXCEPTION_STATE_NAMES,
    SEVERITY_NAMES,
    DayLoad,
    EditState,
    ExceptionFilter,
    ExceptionState,
    MeterLoad,
    ReadingEdit,
    ValidationException,
    ValidationFinding,
)
from bijlighar.web.console import meter_chart
from bijlighar.web.console.lists import may
from bijlighar.web.export import csv_response
from bijlighar.web.language import Writer
from bijlighar.web.pages import page, writer_of
from bijlighar.web.shared import line_of, signed_in

SERIAL_LENGTH = 64
DAY_LENGTH = 10
BACK_LENGTH = 2 * DAY_LENGTH + 1
#: How many days the page shows if it is not told.
DAYS_USUAL = 7
#: The lengths that are offered [days].
LENGTHS = (1, 7, 31, validation.LOAD_DAYS_MAX)
#: So many findings are told; a shorter range tells the others.
FINDINGS_SHOWN_MAX = 50

Serial = Annotated[str, Parameter(max_length=SERIAL_LENGTH)]
Day = Annotated[str, QueryParameter(max_length=DAY_LENGTH)]
FromDay = Annotated[str, QueryParameter(name="from", max_length=DAY_LENGTH)]
ToDay = Annotated[str, QueryParameter(name="to", max_length=DAY_LENGTH)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """
    What is looked at: a meter, some days of it.

    ends: the first and the last day that can be looked at, None where nothing is stored.
    back: the range from which somebody came closer.
    """

    serial: str
    first: date
    last: date
    ends: tuple[date, date] | None
    back: tuple[date, date] | None = None

    @property
    def days(self) -> int:
        """Return how many days are looked at."""
        return (self.last - self.first).days + 1

    @property
    def back_text(self) -> str:
        """Return the range from which somebody came closer, as it stands in an address."""
        return "" if self.back is None else _back_of(*self.back)

    def path(self, first: date, last: date, *, back: str = "") -> str:
        """Return the address of other days of the meter."""
        wishes = {"from": first.isoformat(), "to": last.isoformat(), **({"back": back} if back else {})}
        return f"/meters/{quote(self.serial, safe='')}?{urlencode(wishes)}"

    def closer(self, day: date) -> str:
        """Return the address of one of the days."""
        return self.path(day, day, back=_back_of(self.first, self.last))

    @property
    def earlier(self) -> str | None:
        """Return the address of as many days before, None where nothing is stored of them."""
        if self.ends is None or self.first <= self.ends[0]:
            return None
        return self._beside(-self.days)

    @property
    def later(self) -> str | None:
        """Return the address of as many days after, None where there are none yet."""
        if self.ends is None or self.last >= self.ends[1]:
            return None
        return self._beside(self.days)

    def _beside(self, days: int) -> str:
        by = timedelta(days=days)
        return self.path(self.first + by, self.last + by, back=self.back_text)

    @property
    def lengths(self) -> list[tuple[int, str]]:
        """Return the lengths that are offered, each with its address; the last day stays."""
        return [(days, self.path(self.last - timedelta(days=days - 1), self.last)) for days in LENGTHS]


@get("/meters/{serial:str}", sync_to_thread=True, opt={"view": View.NETWORK})
def show_meter(
    request: Request[Any, Any, Any],
    serial: Serial,
    first: FromDay = "",
    last: ToDay = "",
    back: Annotated[str, QueryParameter(max_length=BACK_LENGTH)] = "",
) -> Response[str]:
    """Show the load of a meter on some days: by interval where they are few, else by day."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    now = line.now()
    may_exceptions = bool(person.roles & ROLES_OF_VIEW[View.EXCEPTIONS])
    with line.database.read() as connection:
        hung = registry.installations_in_branch(connection, meter=serial, office=person.office)
        device = registry.end_device(connection, serial=serial)
        places = registry.installations(connection, meter=serial) if hung is None else hung
        look = _look(connection, serial=serial, hung=hung, first=first, last=last, back=back, now=now)
        load = _load(connection, look=look, places=places, is_whole=hung is None, now=now)
        facts = headend.meter_facts(connection, meters=[serial])
        queued = _exceptions(connection, look=look, person=person) if may_exceptions else ()
        edits = _edits(connection, look=look, person=person) if may_exceptions else ()
        people = {each.sign_in: each.name for each in offices.people(connection)}
    findings = load.findings[:FINDINGS_SHOWN_MAX]
    return page(
        request,
        "console/meter.html",
        look=look,
        device=device,
        place=_place(places, now=now),
        days=load.days,
        rows=list(interval_rows(load.days)) if look.days == 1 else [],
        totals=_totals(load.days),
        chart=meter_chart.drawn(load.days, first=look.first, last=look.last, labels=_labels(writer)),
        size=(meter_chart.WIDTH, meter_chart.HEIGHT),
        left=meter_chart.LEFT,
        top=meter_chart.TOP,
        base=meter_chart.BASE,
        strip=meter_chart.STRIP,
        quality_names=QUALITY_NAMES,
        qualities={each.name: each for each in Quality},
        findings=[(each, validation.reason(each), _matching(each, queued)) for each in findings],
        findings_more=len(load.findings) - len(findings),
        rule_name=validation.rule_name,
        severity_names=SEVERITY_NAMES,
        state_names=EXCEPTION_STATE_NAMES,
        may_exceptions=may_exceptions,
        facts=facts,
        fact_words=fact_words,
        origin_words=ORIGIN_WORDS,
        may_edit=may(person, Act.EDIT_READING),
        edits=edits,
        people=people,
        edit_names=(EDIT_STATE_NAMES, EDIT_KIND_NAMES, EDIT_REASON_NAMES),
        days_max=validation.LOAD_DAYS_MAX,
        quote=lambda text: quote(text, safe=""),
    )


@get("/meters/{serial:str}/load.csv", sync_to_thread=True, opt={"view": View.NETWORK})
def export_load(
    request: Request[Any, Any, Any], serial: Serial, first: FromDay = "", last: ToDay = ""
) -> Response[bytes]:
    """Give every interval of some days of a meter as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    text, now = writer.text, line.now()
    with line.database.read() as connection:
        hung = registry.installations_in_branch(connection, meter=serial, office=person.office)
        places = registry.installations(connection, meter=serial) if hung is None else hung
        look = _look(connection, serial=serial, hung=hung, first=first, last=last, back="", now=now)
        load = _load(connection, look=look, places=places, is_whole=hung is None, now=now)
    return csv_response(
        "load",
        header=[
            text("Meter"), text("Start"), text("Minutes"), text("Raw Wh"), text("Validated Wh"),
            text("Quality"), text("Method"), text("Version"), text("Raw export Wh"),
            text("Validated export Wh"),
        ],
        rows=[
            (
                serial,
                row.start.astimezone(IST).isoformat(),
                row.day.minutes,
                row.raw_wh,
                row.wh,
                writer.words(QUALITY_NAMES[row.quality]),
                None if row.method is None else writer.words(row.method),
                row.day.version or None,
                _known(int(row.day.raw_export_wh[row.place])),
                _known(int(row.day.export_wh[row.place])),
            )
            for row in interval_rows(load.days)
        ],
    )  # fmt: skip


@get("/meters/{serial:str}/facts.csv", sync_to_thread=True, opt={"view": View.NETWORK})
def export_facts(request: Request[Any, Any, Any], serial: Serial) -> Response[bytes]:
    """Give what is known of a meter beside its readings as a table for spreadsheets."""
    line, person, writer = line_of(request), signed_in(request).person, writer_of(request)
    with line.database.read() as connection:
        registry.installations_in_branch(connection, meter=serial, office=person.office)
        registry.end_device(connection, serial=serial)
        facts = headend.meter_facts(connection, meters=[serial])
    return csv_response(
        "facts",
        header=[
            writer.words(fact_words(name))
            for name in ("meter", "fact", "value", "origin", "since", "trusted")
        ],
        rows=[
            (
                fact.meter,
                writer.words(fact_words(fact.kind.value)),
                fact.value,
                writer.words(fact_words(ORIGIN_WORDS[fact.origin])),
                fact.since.astimezone(IST).isoformat(),
                None if fact.trusted_at is None else fact.trusted_at.astimezone(IST).isoformat(),
            )
            for fact in facts
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRow:
    """One interval as a row; None where there is no value."""

    day: DayLoad
    place: int
    start: datetime
    raw_wh: int | None
    wh: int | None
    quality: Quality
    method: Words | None


def interval_rows(days: Sequence[DayLoad]) -> Iterator[IntervalRow]:
    """Yield the intervals that are shown, by time."""
    for day in days:
        for place in day.shown.nonzero()[0].tolist():
            yield IntervalRow(
                day=day,
                place=place,
                start=moment_of(int(day.starts[place])),
                raw_wh=_known(int(day.raw_wh[place])),
                wh=_known(int(day.wh[place])),
                quality=Quality(int(day.quality[place])),
                method=day.methods[place],
            )


def _totals(days: Sequence[DayLoad]) -> dict[str, Any]:
    """Return what the days sum to; the register's rise only where both ends of the range are known."""
    sums = [day.sum_wh for day in days if day.sum_wh is not None]
    raw = [day.raw_sum_wh for day in days if day.raw_sum_wh is not None]
    rise = None
    if sums and days[0].opening_wh is not None and days[-1].closing_wh is not None:
        rise = days[-1].closing_wh - days[0].opening_wh
    return {
        "wh": sum(sums) if sums else None,
        "raw_wh": sum(raw) if raw else None,
        "register_wh": rise,
        "counts": {quality: sum(day.count(quality) for day in days) for quality in Quality},
        "intervals": sum(int(day.shown.sum()) for day in days),
    }


def _known(value: int) -> int | None:
    return None if value == ABSENT else value


def _look(
    connection: Connection,
    *,
    serial: str,
    hung: Sequence[Installation] | None,
    first: str,
    last: str,
    back: str,
    now: datetime,
) -> Look:
    """
    Return what is asked for, else the last days of which something is stored, else the last ones.

    :raises InvalidValue: if a day is none.
    :raises UnusableRange: if they are no range, or too long.
    """
    stored = _stored(connection, serial=serial, hung=hung)
    usual = timedelta(days=DAYS_USUAL - 1)
    begin, end = (parse_day(first) if first else None), (parse_day(last) if last else None)
    if end is None:
        newest = local_date(now) if stored is None else stored[1]
        end = newest if begin is None else max(min(begin + usual, newest), begin)
    if begin is None:
        begin = end - usual if stored is None else min(max(end - usual, stored[0]), end)
    validation.check_days(first=begin, last=end)
    hangs = hung is None or any(each.to_at is None for each in hung)
    ends = None if stored is None else (stored[0], max(stored[1], local_date(now)) if hangs else stored[1])
    return Look(serial=serial, first=begin, last=end, ends=ends, back=_back(back))


def _stored(
    connection: Connection, *, serial: str, hung: Sequence[Installation] | None
) -> tuple[date, date] | None:
    """Return the first and the last day that are stored of a meter, as far as they are in sight."""
    ends = readings.stored_ends(connection, meter=serial)
    if ends is None:
        return None
    first, last = date_of(ends[0]), date_of(ends[1])
    if hung is not None:
        first = max(first, min(local_date(each.from_at) for each in hung))
        last = min(last, max(last if each.to_at is None else local_date(each.to_at) for each in hung))
    return (first, last) if first <= last else None


def _load(
    connection: Connection, *, look: Look, places: Sequence[Installation], is_whole: bool, now: datetime
) -> MeterLoad:
    return validation.meter_load(
        connection,
        meter=look.serial,
        hung=places,
        is_whole=is_whole,
        first=look.first,
        last=look.last,
        now=now,
    )


def _exceptions(connection: Connection, *, look: Look, person: Person) -> tuple[ValidationException, ...]:
    wish = ExceptionFilter(
        states=tuple(ExceptionState),
        meter=look.serial,
        period=Period.of_local_days(look.first, look.last),
    )
    return validation.exceptions(connection, wish=wish, person=person.sign_in, limit=FINDINGS_SHOWN_MAX)


def _edits(connection: Connection, *, look: Look, person: Person) -> tuple[ReadingEdit, ...]:
    """Return the edits of the days that are looked at, in whatever state, the newest first."""
    period = Period.of_local_days(look.first, look.last)
    found = validation.edits(connection, person=person.sign_in, states=tuple(EditState), meter=look.serial)
    return tuple(each for each in found if each.start < period.end and period.start < each.end)


def _matching(
    finding: ValidationFinding, queued: Sequence[ValidationException]
) -> ValidationException | None:
    """Return the exception that a finding is part of."""
    for each in queued:
        other = each.finding
        is_same = (other.rule, other.channel) == (finding.rule, finding.channel)
        if is_same and other.start < finding.end and finding.start < other.end:
            return each
    return None


def _place(places: Sequence[Installation], *, now: datetime) -> Installation | None:
    """Return where a meter hangs, else where it hung last."""
    hanging = [each for each in places if each.hangs_at(now)]
    return next(iter(hanging or sorted(places, key=lambda each: each.from_at, reverse=True)), None)


def _back_of(first: date, last: date) -> str:
    return f"{first.isoformat()}_{last.isoformat()}"


def _back(text: str) -> tuple[date, date] | None:
    """Return the range from which somebody came; nonsense counts as none."""
    first, _, last = text.partition("_")
    try:
        return parse_day(first), parse_day(last)
    except InvalidValue:
        return None


def _labels(writer: Writer) -> meter_chart.Labels:
    def interval(day: DayLoad, place: int) -> str:
        said = f"{writer.time(moment_of(int(day.starts[place])))}: {writer.number(int(day.wh[place]))} Wh"
        said += f", {writer.words(QUALITY_NAMES[Quality(int(day.quality[place]))])}"
        method = day.methods[place]
        if method is not None:
            said += f" ({writer.words(method)})"
        if day.differs[place]:
            said += "; " + writer.text("measured: {wh} Wh", wh=writer.number(int(day.raw_wh[place])))
        return said

    def run(day: DayLoad, begin: int, end: int, quality: Quality) -> str:
        start, last = moment_of(int(day.starts[begin])), int(day.starts[end - 1]) + day.minutes * 60
        said = writer.words(QUALITY_NAMES[quality])
        return f"{writer.time(start)} – {writer.time(moment_of(last))}: {said}"

    def of_day(day: DayLoad) -> str:
        parts = [f"{writer.day(day.day)}: {writer.energy(day.sum_wh, 1)} kWh"]
        for quality in (Quality.ESTIMATED, Quality.EDITED, Quality.SUSPECT, Quality.ABSENT):
            count = day.count(quality)
            if count:
                parts.append(f"{writer.words(QUALITY_NAMES[quality])}: {count}")
        return ", ".join(parts)

    return meter_chart.Labels(
        interval=interval, day=of_day, run=run, tick=lambda day: writer.day(day, short=True)
    )


ROUTES = (show_meter, export_load, export_facts)
