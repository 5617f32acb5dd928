"""The gate's own tables: what it has let through, and what it has said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Index, String, Table, func, select, update

from bijlighar.headend.model import AdmittedCounts, ControlAction, GateCode, GateEntry, StepCounts
from bijlighar.storage import sequences
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

GATE_SEQUENCE = "headend.gate"
BEGUN, GOOD, BAD = "begun", "good", "bad"
#: Stands for the action of an order that was taken back before it was shown.
REVOKED = "revoked"

_order = Table(
    "headend_gate_order",
    metadata,
    Column("order_id", String(200), primary_key=True),
    Column("serial", String(200), nullable=False),
    Column("action", String(16), nullable=False),
    Column("feeder", String(200), nullable=False),
    Column("admitted_at", Moment, nullable=False),
    Column("closed_at", Moment),
    Index(None, "action", "admitted_at"),
)

#: Orders whose octets have left the gate, or were about to.
_use = Table(
    "headend_gate_use",
    metadata,
    Column("order_id", String(200), primary_key=True),
    Column("used_at", Moment, nullable=False),
)

#: The images, the documents of settings and the changes of reading keys (by their digests) that were let to meters;
#: `outcome` is empty until the meter was read back.
_image = Table(
    "headend_gate_image",
    metadata,
    Column("order_id", String(200), primary_key=True),
    Column("image", String(200), nullable=False, index=True),
    Column("outcome", String(8), nullable=False),
)

#: The order for its reading keys, or its reading password, that was admitted last for each meter.
_reading = Table(
    "headend_gate_reading",
    metadata,
    Column("meter", String(200), primary_key=True),
    Column("order_id", String(200), nullable=False),
    Column("issued_at", Moment, nullable=False),
)

_log = append_only(
    Table(
        "headend_gate_log",
        metadata,
        Column("id", Whole, primary_key=True, autoincrement=True),
        Column("at", Moment, nullable=False),
        Column("order_id", String(200), nullable=False),
        Column("serial", String(200), nullable=False),
        Column("action", String(16), nullable=False),
        Column("code", String(64), nullable=False),
    )
)

TABLES = (_order, _use, _image, _reading, _log)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOrder:
    """An order for the reading keys, or the reading password, of a meter."""

    order_id: str
    issued_at: datetime


def lock(connection: Connection) -> None:
    """Hold back every other gate until this transaction ends."""
    sequences.take(connection, name=GATE_SEQUENCE)


def admission(connection: Connection, *, order_id: str) -> tuple[bool, bool]:
    """Return whether the order has passed before, and whether its command has ended."""
    statement = select(_order.c.closed_at).where(_order.c.order_id == order_id)
    row = connection.execute(statement).first()
    return row is not None, row is not None and row.closed_at is not None


def admitted_action(connection: Connection, *, order_id: str, serial: str) -> str | None:
    """Return the action of an order that has passed for a meter, None if none has."""
    statement = select(_order.c.action).where(_order.c.order_id == order_id, _order.c.serial == serial)
    return connection.execute(statement).scalar_one_or_none()


def is_used(connection: Connection, *, order_id: str) -> bool:
    """Return whether the order's octets have left, or were about to."""
    statement = select(_use.c.order_id).where(_use.c.order_id == order_id)
    return connection.execute(statement).first() is not None


def mark_used(connection: Connection, *, order_id: str, now: datetime) -> None:
    """Record that the order's octets are about to leave."""
    statement = insert_for(connection, _use).values(order_id=order_id, used_at=now)
    connection.execute(statement.on_conflict_do_nothing(index_elements=[_use.c.order_id]))


def step_counts(connection: Connection, *, image: str) -> StepCounts:
    """Return to how many meters an image was let, and how they were read back."""
    statement = (
        select(_image.c.outcome, func.count()).where(_image.c.image == image).group_by(_image.c.outcome)
    )
    found: dict[str, int] = {outcome: count for outcome, count in connection.execute(statement)}
    return StepCounts(sent=sum(found.values()), good=found.get(GOOD, 0), bad=found.get(BAD, 0))


def recent_counts(connection: Connection, *, actions: Sequence[str], since: datetime) -> StepCounts:
    """
    Return to how many meters something was let after `since` by orders of some actions, and how they were read back.

    An order that was closed unread, because a later one for its meter took its place, does not count.
    """
    statement = (
        select(_image.c.outcome, func.count())
        .join(_order, _order.c.order_id == _image.c.order_id)
        .where(
            _order.c.action.in_(actions),
            _order.c.admitted_at > since,
            _order.c.closed_at.is_(None) | (_image.c.outcome != ""),
        )
        .group_by(_image.c.outcome)
    )
    found: dict[str, int] = {outcome: count for outcome, count in connection.execute(statement)}
    return StepCounts(sent=sum(found.values()), good=found.get(GOOD, 0), bad=found.get(BAD, 0))


def latest_reading(connection: Connection, *, serial: str) -> ReadingOrder | None:
    """Return the order for the reading keys, or the reading password, of a meter that was admitted last."""
    row = connection.execute(select(_reading).where(_reading.c.meter == serial)).first()
    return None if row is None else ReadingOrder(order_id=row.order_id, issued_at=row.issued_at)


def mark_reading(connection: Connection, *, serial: str, order_id: str, issued_at: datetime) -> None:
    """Record which order for the reading keys, or the reading password, of a meter was admitted last."""
    statement = insert_for(connection, _reading).values(meter=serial, order_id=order_id, issued_at=issued_at)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[_reading.c.meter],
            set_={"order_id": statement.excluded.order_id, "issued_at": statement.excluded.issued_at},
        )
    )


def mark_image(connection: Connection, *, order_id: str, image: str) -> None:
    """Record that an image is let to the meter of an order."""
    connection.execute(insert_for(connection, _image).values(order_id=order_id, image=image, outcome=""))


def image_of(connection: Connection, *, order_id: str) -> str | None:
    """Return the image that an order lets to its meter."""
    statement = select(_image.c.image).where(_image.c.order_id == order_id)
    return connection.execute(statement).scalar_one_or_none()


def is_image_begun(connection: Connection, *, order_id: str) -> bool:
    """Return whether the meter of an order has been told to expect the order's image."""
    statement = select(_image.c.outcome).where(_image.c.order_id == order_id)
    return connection.execute(statement).scalar_one_or_none() == BEGUN


def begin_image(connection: Connection, *, order_id: str) -> None:
    """Record that the meter of an order expects the order's image."""
    connection.execute(update(_image).where(_image.c.order_id == order_id).values(outcome=BEGUN))


def mark_read_back(connection: Connection, *, order_id: str, is_good: bool) -> None:
    """Record how the meter of an order was read back."""
    outcome = GOOD if is_good else BAD
    connection.execute(update(_image).where(_image.c.order_id == order_id).values(outcome=outcome))


def revoke(connection: Connection, *, order_id: str, now: datetime) -> None:
    """Let nothing pass any more under an order, whether it has passed before or not."""
    statement = insert_for(connection, _order).values(
        order_id=order_id, serial="", action=REVOKED, feeder="", admitted_at=now, closed_at=now
    )
    connection.execute(statement.on_conflict_do_nothing(index_elements=[_order.c.order_id]))
    close(connection, order_id=order_id, now=now)


def close(connection: Connection, *, order_id: str, now: datetime) -> None:
    """Record that the order's command has ended: nothing passes under it any more."""
    connection.execute(update(_order).where(_order.c.order_id == order_id).values(closed_at=now))


def outcomes(connection: Connection, *, image: str) -> Mapping[str, str]:
    """Return how the meters were read back that an image or a document was let to, by serial; empty: not yet."""
    statement = (
        select(_order.c.serial, _image.c.outcome)
        .join(_order, _order.c.order_id == _image.c.order_id)
        .where(_image.c.image == image)
        .order_by(_order.c.admitted_at)
    )
    return {serial: outcome for serial, outcome in connection.execute(statement)}


def counts(connection: Connection, *, feeder: str, hour_from: datetime, day_from: datetime) -> AdmittedCounts:
    """
    Return how much that cuts supply has passed after `hour_from`, on `feeder` after it, and after `day_from`.

    Settings after which a meter may cut by itself count like disconnections; settings of all kinds, and what changes
    reading keys and passwords, count apart, too.
    """
    cutting = (ControlAction.DISCONNECT.value, ControlAction.SUPPLY_SETTINGS.value)
    setting = (
        *(ControlAction.SETTINGS.value, ControlAction.SUPPLY_SETTINGS.value),
        *(ControlAction.READING_KEYS.value, ControlAction.READING_SECRET.value),
    )
    past = select(func.count()).where(_order.c.action.in_(cutting))
    settings = select(func.count()).where(_order.c.action.in_(setting), _order.c.admitted_at > hour_from)
    hour = past.where(_order.c.admitted_at > hour_from)
    return AdmittedCounts(
        hour=connection.execute(hour).scalar_one(),
        feeder_hour=connection.execute(hour.where(_order.c.feeder == feeder)).scalar_one(),
        day=connection.execute(past.where(_order.c.admitted_at > day_from)).scalar_one(),
        settings_hour=connection.execute(settings).scalar_one(),
    )


def mark_admitted(
    connection: Connection, *, order_id: str, serial: str, action: str, feeder: str, now: datetime
) -> None:
    """Record that the order has passed; a second time is an error of the database."""
    connection.execute(
        insert_for(connection, _order).values(
            order_id=order_id, serial=serial, action=action, feeder=feeder, admitted_at=now
        )
    )


def log(
    connection: Connection, *, order_id: str, serial: str, action: str, code: GateCode, now: datetime
) -> None:
    """Record one decision."""
    connection.execute(
        insert_for(connection, _log).values(
            at=now, order_id=order_id, serial=serial, action=action, code=code.value
        )
    )


def entries(
    connection: Connection, *, after: int, limit: int, order_ids: Sequence[str] | None = None
) -> tuple[GateEntry, ...]:
    """Return the decisions after number `after`, or those of them about some orders, oldest first."""
    statement = select(_log).where(_log.c.id > after).order_by(_log.c.id).limit(limit)
    if order_ids is not None:
        statement = statement.where(_log.c.order_id.in_(order_ids))
    return tuple(
        GateEntry(
            number=row.id,
            at=row.at,
            order_id=row.order_id,
            serial=row.serial,
            action=row.action,
            code=GateCode(row.code),
        )
        for row in connection.execute(statement)
    )
