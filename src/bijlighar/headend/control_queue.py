"""The queue of control commands: into it, out of it, and what a dead process left in it."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.headend import control_store, gate_store
from bijlighar.headend.control_store import HeldCommand
from bijlighar.headend.errors import BrokenOrder, UnknownCommand
from bijlighar.headend.model import (
    FINAL,
    CommandEvent,
    CommandState,
    ControlAction,
    RelayReading,
    SignedOrder,
)
from bijlighar.storage import jobs
from bijlighar.storage.engine import Database
from bijlighar.storage.jobs import Job, JobState, Lane, StaleJob

KINDS = {ControlAction.DISCONNECT: "headend.disconnect", ControlAction.RECONNECT: "headend.reconnect"}
LANES = {ControlAction.DISCONNECT: Lane.DISCONNECT, ControlAction.RECONNECT: Lane.RECONNECT}
#: Reads the relay of a disconnection that got lost; it never sends anything that moves a relay.
LOOK_KIND = "headend.relay-look"
#: Kinds of jobs that end when their worker dies. None here: a job goes back, and its command's state tells that a
#: disconnection may have left and must be read, not sent.
UNKNOWN_KINDS: tuple[str, ...] = ()
CONTROL_KINDS = (*KINDS.values(), LOOK_KIND)
#: What may go at once when a modem calls in: a disconnection has its hours, and waits for its own time.
AT_ANY_HOUR = (KINDS[ControlAction.RECONNECT], LOOK_KIND)
#: How often the job of one command may be made anew after it was lost with its process.
REVIVALS_MAX = 1_000
#: How many overdue commands one transaction ends.
OVERDUE_MAX = 1_000


def queue_control(
    connection: Connection, *, signed: SignedOrder, now: datetime, not_after: datetime | None = None
) -> bool:
    """
    Queue a signed order in the caller's transaction and return whether it is new; a known order changes nothing.

    The command is not sent after `not_after`, and never after the order itself expires.

    :raises BrokenOrder: if the order is for no relay.
    """
    order = signed.order
    if order.action not in KINDS:
        raise BrokenOrder(f"an order to {order.action} is for no relay")
    until = order.expires_at if not_after is None else min(not_after, order.expires_at)
    if not control_store.add(connection, signed=signed, not_after=until, now=now):
        return False
    _enqueue(connection, order_id=order.order_id, serial=order.serial, action=order.action, now=now)
    return True


def cancel_control(connection: Connection, *, order_id: str, now: datetime) -> bool:
    """
    Cancel a command in the caller's transaction and return True only if it was still unsent: then it never leaves.

    :raises UnknownCommand: if there is no command of that order.
    """
    held = control_store.hold(connection, order_id=order_id)
    if held.command.state is CommandState.CANCELLED:
        return True
    if held.command.state is not CommandState.REQUESTED:
        return False
    control_store.step(
        connection,
        command=held.command,
        event=CommandEvent.CANCEL,
        now=now,
        code="headend.cancelled",
        text="cancelled before it was sent",
    )
    gate_store.close(connection, order_id=order_id, now=now)
    return True


def expire_overdue(database: Database, *, now: datetime) -> int:
    """End the unsent commands whose time is over, and return how many."""
    with database.read() as connection:
        orders = control_store.overdue(connection, now=now, limit=OVERDUE_MAX)
    if not orders:
        return 0
    expired = 0
    with database.write() as connection:
        for order_id in orders:
            held = control_store.hold(connection, order_id=order_id)
            expired += end_if_overdue(connection, held=held, now=now)
    return expired


def end_if_overdue(connection: Connection, *, held: HeldCommand, now: datetime) -> bool:
    """End a held command if it is unsent and its time is over, and return whether it was."""
    if held.command.state is not CommandState.REQUESTED or held.not_after is None or now < held.not_after:
        return False
    why = held.command.reason_text or "it was never tried"
    settle(connection, held=held, event=CommandEvent.EXPIRE, now=now, code="headend.expired", text=why)
    return True


def settle(
    connection: Connection,
    *,
    held: HeldCommand,
    event: CommandEvent,
    now: datetime,
    code: str = "",
    text: str = "",
    relay: RelayReading | None = None,
    event_code: int | None = None,
) -> CommandState:
    """Step a held command; the gate lets nothing pass any more under one that has ended."""
    command = held.command
    if event_code is not None:
        control_store.note_event(connection, order_id=command.order_id, event_code=event_code)
    state = control_store.step(
        connection, command=command, event=event, now=now, code=code, text=text, relay=relay
    )
    if state in FINAL:
        gate_store.close(connection, order_id=command.order_id, now=now)
    if state is CommandState.UNKNOWN:
        look(connection, held=held, now=now)
    return state


def look(connection: Connection, *, held: HeldCommand, now: datetime) -> None:
    """Enqueue the reading of a relay that nobody knows the state of."""
    jobs.enqueue(
        connection,
        kind=LOOK_KIND,
        key=f"{LOOK_KIND}:{held.command.order_id}",
        lane=Lane.DISCONNECT,
        priority=1,
        run_at=now,
        payload={"order_id": held.command.order_id},
        partition=held.command.serial,
        now=now,
    )


def finish_job(connection: Connection, *, job: Job, now: datetime) -> None:
    """
    Finish a job; that its lease has run out is no reason to lose what was found out about the relay.

    Whoever took the job over finds the command's state and goes by that.
    """
    try:
        jobs.finish(connection, job=job, now=now)
    except StaleJob:
        return


def retry_job(
    connection: Connection,
    *,
    job: Job,
    delays_s: tuple[int, ...],
    until: datetime | None,
    error: str,
    now: datetime,
) -> None:
    """
    Put a job back, later with each attempt, but no later than `until`, when its command is to be ended.

    That another worker has taken it over meanwhile is well.
    """
    run_at = now + timedelta(seconds=delays_s[min(job.attempt, len(delays_s)) - 1])
    if until is not None and now < until:
        run_at = min(run_at, until)
    try:
        jobs.retry(connection, job=job, run_at=run_at, error=error, now=now)
    except StaleJob:
        return


def recover(database: Database, *, now: datetime, wall: datetime, worker: str | None = None) -> int:
    """
    Put right what dead processes left and return how many commands were touched.

    Jobs whose lease ran out, or that `worker`, known to be dead, held are freed. A disconnection whose octets may
    have left becomes UNKNOWN, to be read and never sent again; a reconnection goes back to be sent again; a command
    that has lost its job gets a new one.
    """
    touched = 0
    with database.write() as connection:
        jobs.recover(connection, wall=wall, now=now, worker=worker)
        for order_id in control_store.in_flight(connection):
            touched += _recover_in_flight(connection, order_id=order_id, now=now)
        for order_id in control_store.unsent(connection):
            touched += _revive(connection, order_id=order_id, now=now)
    return touched


def _recover_in_flight(connection: Connection, *, order_id: str, now: datetime) -> bool:
    held = control_store.hold(connection, order_id=order_id)
    command = held.command
    if command.state is CommandState.UNKNOWN:
        look(connection, held=held, now=now)
        return False
    if _has_job(connection, order_id=order_id, action=command.action, states=(JobState.RUNNING,)):
        return False  # another process that lives is at it
    event = CommandEvent.LOSE if command.action is ControlAction.DISCONNECT else CommandEvent.PUT_BACK
    settle(
        connection,
        held=held,
        event=event,
        now=now,
        code="headend.process-died",
        text="the process died before the meter's answer was known",
    )
    return True


def _revive(connection: Connection, *, order_id: str, now: datetime) -> bool:
    held = control_store.hold(connection, order_id=order_id)
    command = held.command
    alive = (JobState.READY, JobState.RUNNING)
    if _has_job(connection, order_id=order_id, action=command.action, states=alive):
        return False
    for revival in range(1, REVIVALS_MAX + 1):
        if _enqueue(
            connection,
            order_id=order_id,
            serial=command.serial,
            action=command.action,
            now=now,
            revival=revival,
        ):
            return True
    raise UnknownCommand(f"the command of order {order_id} was lost {REVIVALS_MAX} times; look at it by hand")


def _has_job(
    connection: Connection, *, order_id: str, action: ControlAction, states: tuple[JobState, ...]
) -> bool:
    for revival in range(REVIVALS_MAX + 1):
        state = jobs.state_of(connection, key=_key(order_id, action, revival))
        if state is None:
            return False
        if state in states:
            return True
    return False


def _enqueue(
    connection: Connection,
    *,
    order_id: str,
    serial: str,
    action: ControlAction,
    now: datetime,
    revival: int = 0,
) -> bool:
    return jobs.enqueue(
        connection,
        kind=KINDS[action],
        key=_key(order_id, action, revival),
        lane=LANES[action],
        run_at=now,
        payload={"order_id": order_id},
        partition=serial,
        now=now,
    )


def _key(order_id: str, action: ControlAction, revival: int) -> str:
    key = f"{KINDS[action]}:{order_id}"
    return f"{key}:{revival}" if revival else key
