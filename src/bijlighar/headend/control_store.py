"""Control commands, and what is believed of each relay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    func,
    select,
    update,
)

from bijlighar.base.lifecycle import next_state
from bijlighar.headend.errors import BrokenOrder, UnknownCommand
from bijlighar.headend.model import (
    COMMAND_STEPS,
    DOUBTFUL,
    FINAL,
    TOLD,
    CommandEvent,
    CommandState,
    ControlAction,
    ControlCommand,
    ControlReason,
    RelayReading,
    SignedOrder,
)
from bijlighar.headend.orders import order_document, parse_order
from bijlighar.storage import sequences
from bijlighar.storage.schema import Document, Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

CONTROL_SEQUENCE = "headend.control"
QUEUE_SEQUENCE = "headend.queue"
TEXT_LIMIT = 500
#: How many ids stand in one SQL list.
IDS_PER_QUERY = 500

command_table = Table(
    "headend_command",
    metadata,
    Column("order_id", String(200), primary_key=True),
    Column("serial", String(200), nullable=False, index=True),
    Column("action", String(16), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("document", Document, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("not_after", Moment),
    Column("sent_at", Moment),
    Column("finished_at", Moment),
    Column("output_state", Boolean),
    Column("control_state", Integer),
    Column("event_code", Integer),
    Column("reason_code", String(64), nullable=False),
    Column("reason_text", String(TEXT_LIMIT), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("number", Whole, unique=True),
    Column("queued", Whole, nullable=False),
    Index(None, "state", "not_after"),
)

_relay = Table(
    "headend_relay",
    metadata,
    Column("meter", String(200), primary_key=True),
    Column("output_state", Boolean, nullable=False),
    Column("control_state", Integer, nullable=False),
    Column("control_mode", Integer, nullable=False),
    Column("read_at", Moment, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCommand:
    """
    A command with its row locked to the end of the transaction.

    `signed` is the order that it shows, None if what is stored is no order any more; `not_after` is until when it
    may be sent.
    """

    command: ControlCommand
    signed: SignedOrder | None
    not_after: datetime | None
    sent_at: datetime | None


def add(connection: Connection, *, signed: SignedOrder, not_after: datetime | None, now: datetime) -> bool:
    """Store a requested command and return whether its order was new."""
    order = signed.order
    statement = insert_for(connection, command_table).values(
        order_id=order.order_id,
        serial=order.serial,
        action=order.action.value,
        reason=order.reason.value,
        state=CommandState.REQUESTED.value,
        document=order_document(order),
        signature=signed.signature,
        requested_at=now,
        not_after=not_after,
        reason_code="",
        reason_text="",
        attempts=0,
        queued=sequences.take(connection, name=QUEUE_SEQUENCE),
    )
    statement = statement.on_conflict_do_nothing(index_elements=[command_table.c.order_id])
    return connection.execute(statement.returning(command_table.c.order_id)).first() is not None


def hold(connection: Connection, *, order_id: str) -> HeldCommand:
    """
    Return a command and lock its row.

    :raises UnknownCommand: if there is none of that order.
    """
    statement = select(command_table).where(command_table.c.order_id == order_id).with_for_update()
    row = connection.execute(statement).first()
    if row is None:
        raise UnknownCommand(f"there is no control command of order {order_id}")
    return HeldCommand(
        command=_of(row),
        signed=_order_of(row),
        not_after=row.not_after,
        sent_at=row.sent_at,
    )


def step(
    connection: Connection,
    *,
    command: ControlCommand,
    event: CommandEvent,
    now: datetime,
    code: str = "",
    text: str = "",
    relay: RelayReading | None = None,
) -> CommandState:
    """
    Step a held command by the table of its action and return its new state.

    A state that the rooms above are told takes the next number of the sequence.

    :raises IllegalStep: if the table has no such step.
    """
    state = next_state(COMMAND_STEPS[command.action], command.state, event)
    values: dict[str, Any] = {"state": state.value, "reason_code": code, "reason_text": text[:TEXT_LIMIT]}
    if relay is not None:
        values |= {"output_state": relay.output_state, "control_state": relay.control_state}
    if event is CommandEvent.SEND:
        values |= {"sent_at": now, "attempts": command_table.c.attempts + 1}
    if state in FINAL:
        values["finished_at"] = now
    if state in TOLD:
        values["number"] = sequences.take(connection, name=CONTROL_SEQUENCE)
    connection.execute(
        update(command_table).where(command_table.c.order_id == command.order_id).values(values)
    )
    return state


def note(connection: Connection, *, order_id: str, code: str, text: str) -> None:
    """Record why a command has not gone on, without a step."""
    connection.execute(
        update(command_table)
        .where(command_table.c.order_id == order_id)
        .values(reason_code=code, reason_text=text[:TEXT_LIMIT])
    )


def note_event(connection: Connection, *, order_id: str, event_code: int) -> None:
    """Record the last control event (301, 302) that the meter told after a command."""
    connection.execute(
        update(command_table).where(command_table.c.order_id == order_id).values(event_code=event_code)
    )


def is_superseded(connection: Connection, *, command: ControlCommand) -> bool:
    """Return whether a reconnection of the same meter was queued after this disconnection."""
    own = select(command_table.c.queued).where(command_table.c.order_id == command.order_id).scalar_subquery()
    statement = select(command_table.c.order_id).where(
        command_table.c.serial == command.serial,
        command_table.c.action == ControlAction.RECONNECT.value,
        command_table.c.queued > own,
        command_table.c.state.not_in([CommandState.REFUSED.value, CommandState.CANCELLED.value]),
    )
    return connection.execute(statement.limit(1)).first() is not None


def overdue(connection: Connection, *, now: datetime, limit: int) -> tuple[str, ...]:
    """Return the orders of unsent commands whose time is over."""
    statement = (
        select(command_table.c.order_id)
        .where(command_table.c.state == CommandState.REQUESTED.value, command_table.c.not_after <= now)
        .order_by(command_table.c.not_after, command_table.c.order_id)
        .limit(limit)
    )
    return tuple(connection.execute(statement).scalars())


def in_flight(connection: Connection) -> tuple[str, ...]:
    """Return the orders whose octets may have left and whose end is not known."""
    statement = select(command_table.c.order_id).where(
        command_table.c.state.in_([state.value for state in DOUBTFUL])
    )
    return tuple(connection.execute(statement.order_by(command_table.c.order_id)).scalars())


def unsent(connection: Connection) -> tuple[str, ...]:
    """Return the orders that wait to be sent."""
    statement = select(command_table.c.order_id).where(command_table.c.state == CommandState.REQUESTED.value)
    return tuple(connection.execute(statement.order_by(command_table.c.order_id)).scalars())


def open_count(connection: Connection) -> int:
    """Return how many commands have not ended."""
    statement = select(func.count()).where(command_table.c.state.not_in([state.value for state in FINAL]))
    return connection.execute(statement).scalar_one()


def command(connection: Connection, *, order_id: str) -> ControlCommand | None:
    """Return the command of an order."""
    row = connection.execute(select(command_table).where(command_table.c.order_id == order_id)).first()
    return None if row is None else _of(row)


def commands(connection: Connection, *, order_ids: Sequence[str]) -> Mapping[str, ControlCommand]:
    """Return commands by the id of their order."""
    found: dict[str, ControlCommand] = {}
    for start in range(0, len(order_ids), IDS_PER_QUERY):
        part = order_ids[start : start + IDS_PER_QUERY]
        rows = connection.execute(select(command_table).where(command_table.c.order_id.in_(part)))
        found |= {row.order_id: _of(row) for row in rows}
    return found


def commands_of(connection: Connection, *, serial: str, limit: int) -> tuple[ControlCommand, ...]:
    """Return the commands of a meter, newest first."""
    statement = (
        select(command_table)
        .where(command_table.c.serial == serial)
        .order_by(command_table.c.requested_at.desc(), command_table.c.order_id)
        .limit(limit)
    )
    return tuple(_of(row) for row in connection.execute(statement))


def told(connection: Connection, *, after: int, limit: int) -> tuple[ControlCommand, ...]:
    """Return the commands with a number above `after`, in the order of their numbers."""
    statement = (
        select(command_table)
        .where(command_table.c.number > after)
        .order_by(command_table.c.number)
        .limit(limit)
    )
    return tuple(_of(row) for row in connection.execute(statement))


def believe(connection: Connection, *, meter: str, relay: RelayReading, now: datetime) -> None:
    """Record what was read of a relay; an older reading never replaces a newer one."""
    values = {
        "output_state": relay.output_state,
        "control_state": relay.control_state,
        "control_mode": relay.control_mode,
        "read_at": now,
    }
    statement = insert_for(connection, _relay).values(meter=meter, **values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[_relay.c.meter], set_=values, where=_relay.c.read_at <= now
        )
    )


def readings(connection: Connection, *, meters: Sequence[str]) -> Mapping[str, tuple[RelayReading, datetime]]:
    """Return, per meter whose relay was ever read, what was read last and when."""
    found: dict[str, tuple[RelayReading, datetime]] = {}
    for start in range(0, len(meters), IDS_PER_QUERY):
        part = meters[start : start + IDS_PER_QUERY]
        for row in connection.execute(select(_relay).where(_relay.c.meter.in_(part))):
            reading = RelayReading(
                output_state=row.output_state, control_state=row.control_state, control_mode=row.control_mode
            )
            found[row.meter] = (reading, row.read_at)
    return found


def beliefs(connection: Connection) -> Mapping[str, tuple[bool, datetime]]:
    """Return, per meter whose relay was ever read, whether it was closed and when that was read."""
    rows = connection.execute(select(_relay.c.meter, _relay.c.output_state, _relay.c.read_at))
    return {row.meter: (row.output_state, row.read_at) for row in rows}


def _order_of(row: Any) -> SignedOrder | None:  # noqa: ANN401 - a row of the commands' table
    try:
        return SignedOrder(order=parse_order(row.document), signature=bytes(row.signature))
    except BrokenOrder:
        return None


def _of(row: Any) -> ControlCommand:  # noqa: ANN401 - a row of whatever columns were selected
    return ControlCommand(
        order_id=row.order_id,
        serial=row.serial,
        action=ControlAction(row.action),
        reason=ControlReason(row.reason),
        state=CommandState(row.state),
        requested_at=row.requested_at,
        sent_at=row.sent_at,
        finished_at=row.finished_at,
        output_state=row.output_state,
        control_state=row.control_state,
        event_code=row.event_code,
        reason_code=row.reason_code,
        reason_text=row.reason_text,
        attempts=row.attempts,
        number=row.number,
    )
