"""Readings that a person asked for at once: the request, and what the meter answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Connection, String, Table, select, update

from bijlighar.headend.errors import HeadEndError
from bijlighar.storage import sequences
from bijlighar.storage.schema import Document, Moment, Whole, metadata

SEQUENCE = "headend.on-demand"
TEXT_LIMIT = 500


class AskedState(StrEnum):
    """Where a reading that was asked for stands."""

    ASKED = "asked"
    READ = "read"
    FAILED = "failed"


class UnknownReading(HeadEndError):
    """There is no such request for a reading."""

    code = "headend.unknown-reading"


_asked = Table(
    "headend_asked_reading",
    metadata,
    Column("number", Whole, primary_key=True, autoincrement=False),
    Column("meter", String(200), nullable=False, index=True),
    Column("person", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("answer", Document),
    Column("problem", String(TEXT_LIMIT), nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedReading:
    """
    A reading that a person asked for.

    answer: `profile` (the instantaneous values as `meter read` prints them) and `relay` (its three states), None
        until the meter has answered.
    problem: why it failed, empty if it did not.
    """

    number: int
    meter: str
    person: str
    state: AskedState
    asked_at: datetime
    finished_at: datetime | None
    answer: Mapping[str, Any] | None
    problem: str


def add(connection: Connection, *, meter: str, person: str, now: datetime) -> AskedReading:
    """Store a new request."""
    number = sequences.take(connection, name=SEQUENCE)
    connection.execute(
        _asked.insert().values(
            number=number, meter=meter, person=person, state=AskedState.ASKED.value, asked_at=now, problem=""
        )
    )
    return asked(connection, number=number)


def asked(connection: Connection, *, number: int) -> AskedReading:
    """
    Return one request.

    :raises UnknownReading: if there is none of that number.
    """
    for found in _select(connection, _asked.c.number == number, limit=1):
        return found
    raise UnknownReading(f"nobody asked for reading {number}; ask for the meter to be read again")


def of_meter(connection: Connection, *, meter: str, limit: int) -> tuple[AskedReading, ...]:
    """Return the newest requests for a meter, newest first."""
    return _select(connection, _asked.c.meter == meter, limit=limit)


def finish(
    connection: Connection, *, number: int, answer: Mapping[str, object] | None, problem: str, now: datetime
) -> None:
    """Keep what came of a request; one that has ended stays as it is."""
    state = AskedState.FAILED if answer is None else AskedState.READ
    connection.execute(
        update(_asked)
        .where(_asked.c.number == number, _asked.c.state == AskedState.ASKED.value)
        .values(state=state.value, answer=answer, problem=problem[:TEXT_LIMIT], finished_at=now)
    )


def _select(connection: Connection, condition: Any, *, limit: int) -> tuple[AskedReading, ...]:  # noqa: ANN401 - a clause of SQL
    rows = connection.execute(select(_asked).where(condition).order_by(_asked.c.number.desc()).limit(limit))
    return tuple(
        AskedReading(
            number=row.number,
            meter=row.meter,
            person=row.person,
            state=AskedState(row.state),
            asked_at=row.asked_at,
            finished_at=row.finished_at,
            answer=row.answer,
            problem=row.problem,
        )
        for row in rows
    )
