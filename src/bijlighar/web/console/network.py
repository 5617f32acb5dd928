"""The network: every transformer on one screen, and one of them looked at closely."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.params import Body, Parameter, QueryParameter
from litestar.response import Redirect
from sqlalchemy import Connection

from bijlighar.alarms import queries as alarms
from bijlighar.alarms.model import Alarm, Priority
from bijlighar.balance import queries as balance
from bijlighar.balance.model import Level, Loss
from bijlighar.base.period import Period
from bijlighar.headend import queries as headend
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLES_OF_ACT, ROLES_OF_VIEW, Act, View
from bijlighar.registry import operations as registry_operations
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Installation, Transformer
from bijlighar.web.console import charts, schematic
from bijlighar.web.console.schematic import Spot
from bijlighar.web.language import Writer
from bijlighar.web.pages import is_partial, page, writer_of
from bijlighar.web.shared import line_of, signed_in

TEXT_MAX = 64
ROWS_PER_PAGE = 100
DAYS_SHOWN = 14
SHOWN = ("all", "tamper", "outage", "silent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What of the network is shown: one feeder, one kind of trouble, codes with a text in them."""

    feeder: str = ""
    show: str = "all"
    find: str = ""

    @property
    def query(self) -> str:
        """Return the filter as the query of a URL, with what is not the usual."""
        wishes = {"feeder": self.feeder, "show": "" if self.show == "all" else self.show, "find": self.find}
        return urlencode({name: wish for name, wish in wishes.items() if wish})


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerRow:
    """What is known of one transformer at a glance."""

    transformer: Transformer
    supply: headend.TransformerSupply
    tampers: int
    loss: Loss | None

    def fits(self, wish: Filter) -> bool:
        """Return whether the filter leaves it in."""
        kinds = {
            "all": True,
            "tamper": self.tampers > 0,
            "outage": self.supply.outage is not None,
            "silent": self.supply.has_many_silent,
        }
        is_found = wish.find.casefold() in self.transformer.code.casefold()
        return kinds[wish.show] and is_found and wish.feeder in ("", self.transformer.feeder)


@dataclass(frozen=True, slots=True)
class ShowConsumer:
    """The form that asks for one consumer's name."""

    account: str = ""


@get("/network", sync_to_thread=True, opt={"view": View.NETWORK})
def show_network(
    request: Request[Any, Any, Any],
    feeder: Annotated[str, QueryParameter(max_length=TEXT_MAX)] = "",
    show: Annotated[str, QueryParameter(max_length=TEXT_MAX)] = "all",
    find: Annotated[str, QueryParameter(max_length=TEXT_MAX)] = "",
    at: Annotated[int, QueryParameter(name="page", ge=1)] = 1,
) -> Response[Any]:
    """Show the schematic and the same as a table; a meter or an account that is found leads to its transformer."""
    wish = Filter(feeder=feeder, show=show if show in SHOWN else "all", find=find.strip())
    line = line_of(request)
    office = signed_in(request).person.office
    with line.database.read() as connection:
        place = _place_of(connection, find=wish.find, office=office)
        if place is not None:
            return Redirect(_path_of(place), status_code=303)
        rows = _rows(connection, office=office, now=line.now())
    fitting = [row for row in rows if row.fits(wish)]
    pages = max(-(-len(fitting) // ROWS_PER_PAGE), 1)
    at = min(at, pages)
    return page(
        request,
        "console/network.html",
        **_facts(writer_of(request), rows=rows, wish=wish),
        rows=sorted(fitting, key=_urgency)[(at - 1) * ROWS_PER_PAGE : at * ROWS_PER_PAGE],
        fitting=len(fitting),
        at=at,
        pages=pages,
        feeders=sorted({row.transformer.feeder for row in rows if row.transformer.feeder is not None}),
        quote=_quoted,
    )


@get("/network/live/schematic", sync_to_thread=True, opt={"view": View.NETWORK})
def show_schematic(
    request: Request[Any, Any, Any],
    feeder: Annotated[str, QueryParameter(max_length=TEXT_MAX)] = "",
    show: Annotated[str, QueryParameter(max_length=TEXT_MAX)] = "all",
    find: Annotated[str, QueryParameter(max_length=TEXT_MAX)] = "",
) -> Response[str]:
    """Show the schematic alone, as it stands now."""
    wish = Filter(feeder=feeder, show=show if show in SHOWN else "all", find=find.strip())
    line = line_of(request)
    with line.database.read() as connection:
        rows = _rows(connection, office=signed_in(request).person.office, now=line.now())
    return page(
        request,
        "console/network_schematic.html",
        **_facts(writer_of(request), rows=rows, wish=wish),
        quote=_quoted,
    )


@get("/network/{code:str}", sync_to_thread=True, opt={"view": View.NETWORK})
def show_transformer(
    request: Request[Any, Any, Any], code: Annotated[str, Parameter(max_length=TEXT_MAX)]
) -> Response[str]:
    """Show one transformer: its meters, its loads, its losses; no consumer's name."""
    return _transformer_page(request, code=code, names={})


@post("/network/{code:str}/consumer", sync_to_thread=True, status_code=200, opt={"act": Act.VIEW_CONSUMER})
def show_consumer(
    request: Request[Any, Any, Any],
    code: Annotated[str, Parameter(max_length=TEXT_MAX)],
    data: Annotated[ShowConsumer, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[str]:
    """Show the name of one consumer, which the audit keeps."""
    line, person = line_of(request), signed_in(request).person
    with line.database.write() as connection:
        if all(each.code != code for each in registry.transformers(connection, office=person.office)):
            raise NotFoundException(f"there is no transformer {code}")
        account = registry_operations.show_account(
            connection, number=data.account, person=person.sign_in, now=line.now()
        )
    if is_partial(request):
        return page(request, "console/network_name.html", name=account.name)
    return _transformer_page(request, code=code, names={account.number: account.name})


def _transformer_page(
    request: Request[Any, Any, Any], *, code: str, names: Mapping[str, str]
) -> Response[str]:
    line, person, now = line_of(request), signed_in(request).person, line_of(request).now()
    with line.database.read() as connection:
        row = next(
            (
                row
                for row in _rows(connection, office=person.office, now=now, code=code)
                if row.transformer.code == code
            ),
            None,
        )
        if row is None:
            raise NotFoundException(f"there is no transformer {code}")
        facts = _close_facts(connection, writer_of(request), row=row, office=person.office, now=now)
    return page(
        request,
        "console/network_transformer.html",
        row=row,
        names=names,
        may_open=bool(person.roles & ROLES_OF_ACT[Act.VIEW_CONSUMER]),
        may_exceptions=bool(person.roles & ROLES_OF_VIEW[View.EXCEPTIONS]),
        may_losses=bool(person.roles & ROLES_OF_VIEW[View.LOSSES]),
        quote=_quoted,
        **facts,
    )


def _rows(
    connection: Connection, *, office: str, now: datetime, code: str | None = None
) -> tuple[TransformerRow, ...]:
    """Return every transformer (or one) of a branch as it stands."""
    supplies = {each.transformer: each for each in headend.supply(connection, now=now, transformer=code)}
    tampers = _tampers(connection, now=now, code=code)
    days = balance.usual_range(connection, now=now)
    losses = (
        {}
        if days is None
        else {
            loss.code: loss
            for loss in balance.losses(connection, level=Level.TRANSFORMER, first=days[0], last=days[1])
        }
    )
    return tuple(
        TransformerRow(
            transformer=transformer,
            supply=supplies.get(
                transformer.code,
                headend.TransformerSupply(
                    transformer=transformer.code, meters=0, communicating=0, silent=0, gasped=0
                ),
            ),
            tampers=len(tampers.get(transformer.code, ())),
            loss=losses.get(transformer.code),
        )
        for transformer in registry.transformers(connection, office=office)
        if code is None or transformer.code == code
    )


def _tampers(connection: Connection, *, now: datetime, code: str | None) -> Mapping[str, list[Alarm]]:
    """Return the open tamper alarms by transformer: the most urgent alarms that a hanging meter raised."""
    by_meter: dict[str, list[Alarm]] = {}
    for alarm in alarms.open_alarms(connection):
        if alarm.priority is Priority.P1:
            by_meter.setdefault(alarm.source, []).append(alarm)
    found: dict[str, list[Alarm]] = {}
    if by_meter:
        for place in registry.installations(connection, period=Period(start=now, end=now), transformer=code):
            if place.transformer is not None and place.meter in by_meter:
                found.setdefault(place.transformer, []).extend(by_meter[place.meter])
    return found


def _facts(writer: Writer, *, rows: tuple[TransformerRow, ...], wish: Filter) -> dict[str, Any]:
    in_feeder = [row for row in rows if wish.feeder in ("", row.transformer.feeder)]
    spots = [
        Spot(
            code=row.transformer.code,
            feeder=row.transformer.feeder,
            label=label_of(writer, row),
            tampers=row.tampers,
            is_out=row.supply.outage is not None,
            has_many_silent=row.supply.has_many_silent,
            loss_pct=None if row.loss is None else row.loss.loss_pct,
            is_certain=row.loss is not None and row.loss.is_certain,
            is_dim=not row.fits(wish),
        )
        for row in in_feeder
    ]
    return {
        "wish": wish,
        "drawing": schematic.drawn(spots),
        "high": schematic.LOSS_PCT_HIGH,
        "full": schematic.LOSS_PCT_FULL,
        "silent_pct": headend.SILENT_PCT_MAX,
        "certain_pct": balance.COVERAGE_PCT_MIN,
        "counts": {
            "feeders": len({row.transformer.feeder for row in in_feeder} - {None}),
            "transformers": len(in_feeder),
            "meters": sum(row.supply.meters for row in in_feeder),
            "tampers": sum(row.tampers for row in in_feeder),
            "out": sum(row.supply.outage is not None for row in in_feeder),
            "silent": sum(row.supply.silent for row in in_feeder),
        },
    }


def label_of(writer: Writer, row: TransformerRow) -> str:
    """Return in words what the box of a transformer shows."""
    supply = row.supply
    parts: list[str] = []
    if row.tampers:
        parts.append(writer.text("tampers open: {count}", count=row.tampers))
    if supply.outage is not None:
        parts.append(writer.text("without supply"))
    if supply.has_many_silent:
        parts.append(
            writer.text("{silent} of {meters} silent", silent=supply.silent, meters=supply.communicating)
        )
    if not parts:
        parts.append(writer.text("normal"))
    if row.loss is not None and row.loss.loss_pct is not None:
        parts.append(writer.text("loss {pct} %", pct=writer.number(row.loss.loss_pct, 1)))
    return f"{row.transformer.code}: {', '.join(parts)}"


def _close_facts(
    connection: Connection, writer: Writer, *, row: TransformerRow, office: str, now: datetime
) -> dict[str, Any]:
    code = row.transformer.code
    below = set(offices.offices_below(connection, code=office))
    places = registry.installations(connection, transformer=code, period=Period(start=now, end=now))
    ours = [
        place for place in places if place.account is None or place.office is None or place.office in below
    ]
    days = balance.usual_range(connection, now=now)
    by_day = (
        ()
        if days is None
        else balance.losses_by_day(
            connection,
            level=Level.TRANSFORMER,
            code=code,
            first=max(days[0], days[1] - timedelta(days=DAYS_SHOWN - 1)),
            last=days[1],
        )
    )
    readings = [
        charts.Reading(
            size=day.loss_pct,
            value=writer.number(day.loss_pct, 0),
            name=str(day.day.day),
            label=f"{writer.day(day.day)}: "
            + (
                writer.text("loss not known")
                if day.loss_pct is None
                else writer.text("loss {pct} %", pct=writer.number(day.loss_pct, 1))
            ),
            kind="" if (day.coverage_pct or 0) >= balance.COVERAGE_PCT_MIN else "doubtful",
        )
        for day in by_day
    ]
    return {
        "certain_pct": balance.COVERAGE_PCT_MIN,
        "bars": charts.bars(readings, full=schematic.LOSS_PCT_FULL),
        "by_day": by_day,
        "phases": ()
        if days is None
        else balance.phases(connection, transformer=code, first=days[0], last=days[1], now=now),
        "load": balance.newest_load(connection, transformer=code, now=now),
        "days": days,
        "meters": _meters(connection, places=ours, below=below),
        "elsewhere": len(places) - len(ours),
    }


def _meters(
    connection: Connection, *, places: list[Installation], below: set[str]
) -> list[dict[str, object]]:
    contacts = headend.last_contact(connection)
    silent = {each.meter: each for each in headend.silent_meters(connection)}
    beliefs = headend.relay_belief(connection)
    devices = registry.end_devices_of(connection, serials={place.meter for place in places})
    open_alarms: dict[str, list[Alarm]] = {}
    for alarm in alarms.open_alarms(connection):
        open_alarms.setdefault(alarm.source, []).append(alarm)
    return [
        {
            "place": place,
            "is_ours": place.account is None or place.office in below,
            "device": devices[place.meter],
            "contact": contacts.get(place.meter),
            "silent": silent.get(place.meter),
            "relay": beliefs.get(place.meter),
            "alarms": open_alarms.get(place.meter, []),
        }
        for place in sorted(places, key=lambda place: (place.account is not None, place.meter))
    ]


def _place_of(connection: Connection, *, find: str, office: str) -> Installation | None:
    """Return where a meter or an account hangs that is called exactly so, if that is in the person's branch."""
    if not find:
        return None
    below = set(offices.offices_below(connection, code=office))
    for places in (
        registry.installations(connection, meter=find),
        registry.installations(connection, account=find),
    ):
        for place in places:
            if (
                place.to_at is None
                and place.transformer is not None
                and (place.office in below or place.account is None)
            ):
                return place
    return None


def _path_of(place: Installation) -> str:
    return f"/network/{_quoted(place.transformer or '')}#m-{_quoted(place.meter)}"


def _quoted(code: str) -> str:
    return quote(code, safe="")


def _urgency(row: TransformerRow) -> tuple[object, ...]:
    """Return by what the table is ordered: what needs an answer first, then as the schematic."""
    trouble = (row.supply.outage is not None, row.tampers > 0, row.supply.has_many_silent)
    return (tuple(not each for each in trouble), row.transformer.feeder or "", row.transformer.code)


ROUTES = (show_network, show_schematic, show_transformer, show_consumer)
