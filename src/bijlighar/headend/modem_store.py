"""Modems that register themselves: who called in since when, and what is learnt of each, as dated facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    String,
    Table,
    and_,
    delete,
    select,
    update,
)

from bijlighar.headend import meter_fact_store
from bijlighar.headend.meter_facts import FactOrigin, MeterFactKind
from bijlighar.headend.registration import FactKind
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

VALUE_LENGTH = 4_000
#: How many trusted values of one fact of one modem are kept; an address that changes daily has a season.
FACTS_KEPT = 100
#: What is learnt of a modem and is also a fact of the meter that was spoken with over it.
METER_FACTS: Mapping[FactKind, MeterFactKind] = MappingProxyType(
    {FactKind.IMEI: MeterFactKind.IMEI, FactKind.SIM: MeterFactKind.SIM}
)

_modem = Table(
    "headend_modem",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("first_at", Moment, nullable=False),
    Column("heard_at", Moment, nullable=False),
    Column("called_at", Moment),
    Column("gone_at", Moment),
    Column("calls", Integer, nullable=False),
    Column("source", String(64), nullable=False),
    Column("proven_at", Moment),
    Column("proven_by", String(200)),
)

_fact = Table(
    "headend_modem_fact",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("modem", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("value", String(VALUE_LENGTH), nullable=False),
    Column("since", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("trusted_at", Moment),
    Index(None, "modem", "kind"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What a modem said of itself from `since` on; trusted from when an association held over it, None: a claim."""

    kind: FactKind
    value: str
    since: datetime
    seen_at: datetime
    trusted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Modem:
    """
    A modem that registered itself.

    called_at, gone_at -- when its last call came and ended, None: it never called in, or is there.
    proven_at, proven_by -- when an association last held over it, and with which meter.
    facts -- newest first.
    """

    name: str
    first_at: datetime
    heard_at: datetime
    called_at: datetime | None
    gone_at: datetime | None
    calls: int
    source: str
    proven_at: datetime | None
    proven_by: str | None
    facts: tuple[Fact, ...] = ()

    @property
    def is_there(self) -> bool:
        """Return whether it is connected, as far as was written down."""
        return self.called_at is not None and self.gone_at is None


def claim(
    connection: Connection,
    *,
    modem: str,
    facts: Mapping[FactKind, str],
    source: str,
    now: datetime,
    calls_in: bool,
) -> None:
    """Store what a modem claims, from `source`; `calls_in` says that its connection has just come and stays."""
    row = {"heard_at": now, "source": source[:64]}
    if calls_in:
        row |= {"called_at": now, "gone_at": None}
    statement = insert_for(connection, _modem).values(
        name=modem, first_at=now, calls=int(calls_in), **({"called_at": None, "gone_at": None} | row)
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[_modem.c.name], set_=row | {"calls": _modem.c.calls + int(calls_in)}
        )
    )
    for kind, value in facts.items():
        _claim(connection, modem, kind, value[:VALUE_LENGTH], now)


def prove(
    connection: Connection, *, modem: str, meter: str, facts: Mapping[FactKind, str], now: datetime
) -> None:
    """Trust what a modem claimed: an association with a meter behind it has held over its connection."""
    connection.execute(
        update(_modem).where(_modem.c.name == modem).values(proven_at=now, proven_by=meter, heard_at=now)
    )
    for kind, value in facts.items():
        _prove(connection, modem, kind, value[:VALUE_LENGTH], now)
    told = {METER_FACTS[kind]: value for kind, value in facts.items() if kind in METER_FACTS}
    meter_fact_store.prove(connection, told={meter: told}, origin=FactOrigin.MODEM, now=now)


def leave(connection: Connection, *, modem: str | None, now: datetime) -> None:
    """Write down that a modem's connection has ended; None: that of every one that was there."""
    statement = update(_modem).where(_modem.c.called_at.is_not(None), _modem.c.gone_at.is_(None))
    if modem is not None:
        statement = statement.where(_modem.c.name == modem)
    connection.execute(statement.values(gone_at=now))


def modems(connection: Connection, *, limit: int) -> tuple[Modem, ...]:
    """Return the modems that have registered themselves, heard last first."""
    rows = connection.execute(
        select(_modem).order_by(_modem.c.heard_at.desc(), _modem.c.name).limit(limit)
    ).all()
    facts: dict[str, list[Fact]] = {}
    names = select(_modem.c.name).order_by(_modem.c.heard_at.desc(), _modem.c.name).limit(limit)
    for row in connection.execute(select(_fact).where(_fact.c.modem.in_(names)).order_by(_fact.c.id.desc())):
        facts.setdefault(row.modem, []).append(
            Fact(
                kind=FactKind(row.kind),
                value=row.value,
                since=row.since,
                seen_at=row.seen_at,
                trusted_at=row.trusted_at,
            )
        )
    return tuple(
        Modem(
            name=row.name,
            first_at=row.first_at,
            heard_at=row.heard_at,
            called_at=row.called_at,
            gone_at=row.gone_at,
            calls=row.calls,
            source=row.source,
            proven_at=row.proven_at,
            proven_by=row.proven_by,
            facts=tuple(facts.get(row.name, ())),
        )
        for row in rows
    )


def _claim(connection: Connection, modem: str, kind: FactKind, value: str, now: datetime) -> None:
    """Keep one claim of each fact beside what is trusted: whoever claims much fills nothing."""
    trusted = _newest_trusted(connection, modem, kind)
    if trusted is not None and trusted[1] == value:
        connection.execute(update(_fact).where(_fact.c.id == trusted[0]).values(seen_at=now))
        return
    claimed = _claimed(modem, kind)
    known = connection.execute(select(_fact.c.value).where(claimed)).scalar()
    if known is None:
        connection.execute(
            _fact.insert().values(modem=modem, kind=kind.value, value=value, since=now, seen_at=now)
        )
    else:
        changed = {} if known == value else {"value": value, "since": now}
        connection.execute(update(_fact).where(claimed).values(seen_at=now, **changed))


def _prove(connection: Connection, modem: str, kind: FactKind, value: str, now: datetime) -> None:
    trusted = _newest_trusted(connection, modem, kind)
    if trusted is not None and (trusted[1] == value or kind is FactKind.SIGNAL):  # a signal has no history
        changed = {} if trusted[1] == value else {"value": value, "since": now}
        connection.execute(update(_fact).where(_fact.c.id == trusted[0]).values(seen_at=now, **changed))
    else:
        claimed = select(_fact.c.since).where(_claimed(modem, kind), _fact.c.value == value)
        since = connection.execute(claimed).scalar() or now
        connection.execute(
            _fact.insert().values(
                modem=modem, kind=kind.value, value=value, since=since, seen_at=now, trusted_at=now
            )
        )
        old = (
            select(_fact.c.id)
            .where(_fact.c.modem == modem, _fact.c.kind == kind.value, _fact.c.trusted_at.is_not(None))
            .order_by(_fact.c.id.desc())
            .offset(FACTS_KEPT)
            .limit(FACTS_KEPT)
        )
        connection.execute(delete(_fact).where(_fact.c.id.in_(connection.execute(old).scalars().all())))
    connection.execute(delete(_fact).where(_claimed(modem, kind), _fact.c.value == value))


def _claimed(modem: str, kind: FactKind) -> ColumnElement[bool]:
    return and_(_fact.c.modem == modem, _fact.c.kind == kind.value, _fact.c.trusted_at.is_(None))


def _newest_trusted(connection: Connection, modem: str, kind: FactKind) -> tuple[int, str] | None:
    row = connection.execute(
        select(_fact.c.id, _fact.c.value)
        .where(_fact.c.modem == modem, _fact.c.kind == kind.value, _fact.c.trusted_at.is_not(None))
        .order_by(_fact.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else (int(row.id), str(row.value))
