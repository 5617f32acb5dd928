"""The dated facts of meters: what a shipment claimed, what meters and their modems have told since."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Index, String, Table, delete, select, tuple_, update

from bijlighar.headend.meter_facts import TEXT_MAX, FactOrigin, MeterFact, MeterFactKind, MeterFacts
from bijlighar.storage.schema import Moment, Whole, metadata

#: How many values of one fact of one meter are kept, the oldest go first.
FACTS_KEPT = 100
METERS_PER_SELECT = 500
ROWS_PER_PAGE = 5_000

_fact = Table(
    "headend_meter_fact",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("meter", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("value", String(TEXT_MAX), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("since", Moment, nullable=False),
    Column("trusted_at", Moment),
    Index(None, "meter", "id"),
)

_Key = tuple[str, MeterFactKind]
_Item = TypeVar("_Item")


def claim(connection: Connection, *, facts: MeterFacts, now: datetime) -> int:
    """Keep what a shipment says of meters where it says something new, and return how many facts are new."""
    added: list[dict[str, Any]] = []
    full: set[str] = set()
    for serials in _some(sorted(facts), METERS_PER_SELECT):
        rows = list(_rows(connection, serials))
        full |= _full(rows)
        newest = {
            (row.meter, MeterFactKind(row.kind)): row.value
            for row in rows
            if row.origin == FactOrigin.SHIPMENT
        }
        added += [
            _row(meter, kind, value, FactOrigin.SHIPMENT, now, trusted_at=None)
            for meter in serials
            for kind, value in facts[meter].items()
            if newest.get((meter, kind)) != value
        ]
    _add(connection, added, full=full)
    return len(added)


def prove(connection: Connection, *, told: MeterFacts, origin: FactOrigin, now: datetime) -> None:
    """
    Keep what associations that held have told: a claim of the same is trusted from now on, what is new is added.

    An address is told by nobody: that the meter answered there has SESSION as its origin.
    """
    added: list[dict[str, Any]] = []
    trusted: list[int] = []
    full: set[str] = set()
    for serials in _some(sorted(told), METERS_PER_SELECT):
        known_rows = list(_rows(connection, serials))
        full |= _full(known_rows)
        rows: dict[_Key, list[Any]] = {}
        for row in known_rows:
            rows.setdefault((row.meter, MeterFactKind(row.kind)), []).append(row)
        for meter in serials:
            for kind, value in told[meter].items():
                known = rows.get((meter, kind), ())
                same = [row.id for row in known if row.trusted_at is None and row.value == value]
                trusted += same
                last = max(
                    (row for row in known if row.trusted_at is not None),
                    key=lambda row: (row.trusted_at, row.id),
                    default=None,
                )
                if (last is None and same) or (last is not None and last.value == value):
                    continue
                if same and last is not None and last.trusted_at < now:
                    continue
                source = FactOrigin.SESSION if kind is MeterFactKind.ADDRESS else origin
                at = now if last is None else max(now, last.trusted_at)
                added.append(_row(meter, kind, value, source, now, trusted_at=at))
    for ids in _some(trusted, METERS_PER_SELECT):
        connection.execute(update(_fact).where(_fact.c.id.in_(ids)).values(trusted_at=now))
    _add(connection, added, full=full)


def facts_of(connection: Connection, *, meters: Sequence[str]) -> tuple[MeterFact, ...]:
    """Return what is known of some meters, by serial number, oldest first."""
    found: list[MeterFact] = []
    for serials in _some(sorted(set(meters)), METERS_PER_SELECT):
        found += [_fact_of(row) for row in _rows(connection, serials)]
    return tuple(found)


def every_fact(connection: Connection) -> Iterator[MeterFact]:
    """Yield what is known of every meter, by serial number, oldest first, some thousand rows at a time."""
    statement = select(_fact).order_by(_fact.c.meter, _fact.c.id).limit(ROWS_PER_PAGE)
    rows = connection.execute(statement).all()
    while rows:
        yield from map(_fact_of, rows)
        after = tuple_(_fact.c.meter, _fact.c.id) > (rows[-1].meter, rows[-1].id)
        rows = connection.execute(statement.where(after)).all()


def _rows(connection: Connection, serials: Sequence[str]) -> Iterable[Any]:
    return connection.execute(
        select(_fact).where(_fact.c.meter.in_(serials)).order_by(_fact.c.meter, _fact.c.id)
    )


def _row(
    meter: str,
    kind: MeterFactKind,
    value: str,
    origin: FactOrigin,
    now: datetime,
    *,
    trusted_at: datetime | None,
) -> dict[str, Any]:
    return {
        "meter": meter,
        "kind": kind.value,
        "value": value[:TEXT_MAX],
        "origin": origin.value,
        "since": now,
        "trusted_at": trusted_at,
    }


def _add(connection: Connection, added: Sequence[Mapping[str, Any]], *, full: Set[str]) -> None:
    """Add facts; of a meter that has as many of one kind as are kept, the oldest go."""
    for rows in _some(added, ROWS_PER_PAGE):
        connection.execute(_fact.insert(), list(rows))
    for serials in _some(sorted(full & {row["meter"] for row in added}), METERS_PER_SELECT):
        kept: dict[tuple[str, str], list[int]] = {}
        for row in _rows(connection, serials):
            kept.setdefault((row.meter, row.kind), []).append(row.id)
        gone = [each for ids in kept.values() for each in ids[:-FACTS_KEPT]]
        for part in _some(gone, METERS_PER_SELECT):
            connection.execute(delete(_fact).where(_fact.c.id.in_(part)))


def _full(rows: Iterable[Any]) -> set[str]:
    """Return the meters that have as many values of one fact as are kept."""
    counts = Counter((row.meter, row.kind) for row in rows)
    return {meter for (meter, _), count in counts.items() if count >= FACTS_KEPT}


def _some(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[first : first + size] for first in range(0, len(items), size))


def _fact_of(row: Any) -> MeterFact:  # noqa: ANN401 - a row of the table
    return MeterFact(
        meter=row.meter,
        kind=MeterFactKind(row.kind),
        value=row.value,
        origin=FactOrigin(row.origin),
        since=row.since,
        trusted_at=row.trusted_at,
    )
