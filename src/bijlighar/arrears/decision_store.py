"""SQL of the decisions: every one with everything it was made from, never changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from sqlalchemy import Boolean, Column, Connection, Index, String, Table, func, select

from bijlighar.arrears.model import DecisionRow
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Document, Moment, Whole, metadata

#: How many numbers stand in one SQL list.
NUMBERS_PER_QUERY = 500

_decision = append_only(
    Table(
        "arrears_decision",
        metadata,
        Column("id", Whole, primary_key=True, autoincrement=True),
        Column("account", String(64), nullable=False),
        Column("order_number", Whole),
        Column("stage", String(16), nullable=False),
        Column("at", Moment, nullable=False),
        Column("go", Boolean, nullable=False),
        Column("reason_codes", Document, nullable=False),
        Column("due_paise", Whole, nullable=False),
        Column("record", Document, nullable=False),
        Index(None, "account", "id"),
        Index(None, "order_number", "id"),
    )
)


def add_decision(connection: Connection, *, row: DecisionRow) -> None:
    """Append a decision and everything it was made from."""
    values = {field.name: getattr(row, field.name) for field in fields(DecisionRow)}
    connection.execute(_decision.insert().values({**values, "reason_codes": list(row.reason_codes)}))


def decisions(
    connection: Connection, *, account: str | None = None, order_number: int | None = None, limit: int
) -> tuple[DecisionRow, ...]:
    """Return decisions, newest first."""
    columns = [column for column in _decision.c if column.name != "id"]
    statement = select(*columns).order_by(_decision.c.id.desc()).limit(limit)
    if account is not None:
        statement = statement.where(_decision.c.account == account)
    if order_number is not None:
        statement = statement.where(_decision.c.order_number == order_number)
    rows = connection.execute(statement).mappings()
    return tuple(DecisionRow(**{**row, "reason_codes": tuple(row["reason_codes"])}) for row in rows)


def newest_decisions(connection: Connection, *, orders: Sequence[int]) -> Mapping[int, DecisionRow]:
    """Return the newest decision about each order."""
    columns = [column for column in _decision.c if column.name != "id"]
    found: dict[int, DecisionRow] = {}
    for part in batched(orders):
        newest = (
            select(func.max(_decision.c.id))
            .where(_decision.c.order_number.in_(part))
            .group_by(_decision.c.order_number)
        )
        for row in connection.execute(select(*columns).where(_decision.c.id.in_(newest))).mappings():
            found[row["order_number"]] = DecisionRow(**{**row, "reason_codes": tuple(row["reason_codes"])})
    return found


def batched(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield the numbers in parts that fit into one SQL list."""
    for start in range(0, len(numbers), NUMBERS_PER_QUERY):
        yield numbers[start : start + NUMBERS_PER_QUERY]
