"""
The steps of a control command, each one transaction: what is decided before and after every word with the meter.

The order of things is what makes it safe. The command becomes SENT in a committed transaction, under the lock of its
row and with the gate's admission, before the first octet of the action leaves. So whoever finds a command SENT after
a crash knows only that the octets may have left: a disconnection is then read and not sent again, a reconnection is
sent again. Until that transaction a command can be cancelled and then never leaves.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.base.period import Period
from bijlighar.dlms.cosem import result_name
from bijlighar.headend import control_store, gate, gate_store
from bijlighar.headend.control_queue import LOOK_KIND, end_if_overdue, finish_job, retry_job, settle
from bijlighar.headend.control_store import HeldCommand
from bijlighar.headend.errors import ClosedGateStore, GateAway, NoRelay, RelayNotMoved
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.model import (
    DOUBTFUL,
    FINAL,
    CommandEvent,
    CommandState,
    ControlAction,
    GateCode,
    GateRequest,
    RelayReading,
    RelayState,
)
from bijlighar.headend.ports import Gate
from bijlighar.headend.wording import words_of
from bijlighar.registry import queries as registry
from bijlighar.registry.queries import UnknownEndDevice
from bijlighar.storage.engine import Database
from bijlighar.storage.jobs import Job

NO_CONTROL_MODE = 0
ONE_SECOND = timedelta(seconds=1)
#: Trying again cannot help: nothing has left, and a fitter must go.
HOPELESS = frozenset({NoRelay.code, UnknownEndDevice.code})
#: The gate itself was shut: it is asked again soon, for it may be starting.
SHUT = {GateAway.code: GateCode.AWAY, ClosedGateStore.code: GateCode.NO_STORE}
GATE_RETRY_S = (5,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One job of one command being carried out."""

    database: Database
    head_end: HeadEnd
    gate: Gate
    job: Job
    now: datetime

    @property
    def order_id(self) -> str:
        """Return the order of the command."""
        return str(self.job.payload["order_id"])

    @property
    def is_look(self) -> bool:
        """Return whether the relay is only to be read."""
        return self.job.kind == LOOK_KIND


def begin(run: Run) -> HeldCommand | None:
    """Return the command if there is anything to do for it, and settle at once what needs no meter."""
    with run.database.write() as connection:
        held = control_store.hold(connection, order_id=run.order_id)
        state = held.command.state
        if run.is_look:
            if state is CommandState.UNKNOWN:
                return held
            finish_job(connection, job=run.job, now=run.now)
            return None
        if state in FINAL or end_if_overdue(connection, held=held, now=run.now):
            finish_job(connection, job=run.job, now=run.now)
            return None
        if state in DOUBTFUL:
            held = _doubt(connection, run=run, held=held)
            if held.command.state is not CommandState.REQUESTED:
                finish_job(connection, job=run.job, now=run.now)
                return None
        request = _request(connection, held)
        code = GateCode.BROKEN
        if request is not None:
            code = gate.examine(request=request, verify_key=run.head_end.settings.verify_key, now=run.now)
        if code is not GateCode.ADMITTED:
            _log(connection, run=run, held=held, code=code)
            _refuse(connection, run=run, held=held, code=code)
            return None
        return held


def _doubt(connection: Connection, *, run: Run, held: HeldCommand) -> HeldCommand:
    """Step a command that this job finds half done: its former worker is gone and told nobody how it went."""
    disconnect = held.command.action is ControlAction.DISCONNECT
    if held.command.state is CommandState.UNKNOWN:
        return held
    settle(
        connection,
        held=held,
        event=CommandEvent.LOSE if disconnect else CommandEvent.PUT_BACK,
        now=run.now,
        code="headend.process-died",
        text="the process died before the meter's answer was known",
    )
    return control_store.hold(connection, order_id=run.order_id)


def ask(run: Run, relay: RelayReading) -> GateRequest | None:
    """
    Return what the gate is asked about a command that is neither cancelled, nor too late, nor superseded.

    Return None if it does not leave; what became of it is settled then.
    """
    now = run.now
    with run.database.write() as connection:
        held = control_store.hold(connection, order_id=run.order_id)
        control_store.believe(connection, meter=held.command.serial, relay=relay, now=now)
        if held.command.state is not CommandState.REQUESTED or end_if_overdue(connection, held=held, now=now):
            finish_job(connection, job=run.job, now=now)
            return None
        if relay.control_mode == NO_CONTROL_MODE:
            text = "the relay's control mode 0 lets nobody operate it from afar; give the order to a fitter"
            settle(
                connection,
                held=held,
                event=CommandEvent.FAIL,
                now=now,
                code="headend.control-mode",
                text=text,
            )
            finish_job(connection, job=run.job, now=now)
            return None
        request = _request(connection, held)
        if request is None or _is_superseded(connection, held):
            code = GateCode.BROKEN if request is None else GateCode.SUPERSEDED
            _log(connection, run=run, held=held, code=code)
            _refuse(connection, run=run, held=held, code=code)
            return None
        return request


def send(run: Run, code: GateCode) -> HeldCommand | None:
    """
    Let the command out that the gate answered `code` about, in one transaction: still not cancelled, admitted, SENT.

    Return None if it does not leave; what became of it is settled then.
    """
    now = run.now
    with run.database.write() as connection:
        held = control_store.hold(connection, order_id=run.order_id)
        if run.gate.is_elsewhere:
            _log(connection, run=run, held=held, code=code)
        if held.command.state is not CommandState.REQUESTED or end_if_overdue(connection, held=held, now=now):
            finish_job(connection, job=run.job, now=now)
            return None
        if code is GateCode.ADMITTED and _is_superseded(connection, held):
            code = GateCode.SUPERSEDED
            _log(connection, run=run, held=held, code=code)
        if code is not GateCode.ADMITTED:
            _refuse(connection, run=run, held=held, code=code)
            return None
        settle(connection, held=held, event=CommandEvent.SEND, now=now)
    return held


def state_of(run: Run) -> CommandState:
    """Return the command's state."""
    with run.database.read() as connection:
        return control_store.hold(connection, order_id=run.order_id).command.state


def _is_superseded(connection: Connection, held: HeldCommand) -> bool:
    disconnect = held.command.action is ControlAction.DISCONNECT
    return disconnect and control_store.is_superseded(connection, command=held.command)


def _request(connection: Connection, held: HeldCommand) -> GateRequest | None:
    """Return what the gate is asked, with the feeder as the registry knows it."""
    command = held.command
    if held.signed is None:
        return None
    return GateRequest(
        order_id=command.order_id,
        serial=command.serial,
        action=command.action,
        signed=held.signed,
        feeder=feeder_of(connection, serial=command.serial, now=command.requested_at),
    )


def feeder_of(connection: Connection, *, serial: str, now: datetime) -> str | None:
    """Return the feeder that a meter hangs under, None if the registry does not know."""
    hanging = registry.installations(connection, meter=serial, period=Period(start=now, end=now + ONE_SECOND))
    return next((place.feeder for place in hanging if place.feeder), None)


def accept(run: Run) -> None:
    """Record that the meter has answered the action with success, which is no proof yet."""
    with run.database.write() as connection:
        held = control_store.hold(connection, order_id=run.order_id)
        settle(connection, held=held, event=CommandEvent.ACCEPT, now=run.now)


def conclude(run: Run, *, relay: RelayReading, event_code: int | None, result: int) -> None:
    """Settle a command whose relay has been read back."""
    with run.database.write() as connection:
        held = control_store.hold(connection, order_id=run.order_id)
        action = held.command.action
        control_store.believe(connection, meter=held.command.serial, relay=relay, now=run.now)
        if held.command.state not in DOUBTFUL:
            finish_job(connection, job=run.job, now=run.now)
            return
        if relay.has_done(action):
            settle(
                connection,
                held=held,
                event=CommandEvent.VERIFY,
                now=run.now,
                relay=relay,
                event_code=event_code,
            )
            finish_job(connection, job=run.job, now=run.now)
            return
        code, text = _why_not(action, relay=relay, result=result)
        event = CommandEvent.FAIL if action is ControlAction.DISCONNECT else CommandEvent.PUT_BACK
        settle(
            connection,
            held=held,
            event=event,
            now=run.now,
            code=code,
            text=text,
            relay=relay,
            event_code=event_code,
        )
        if event is CommandEvent.FAIL:
            finish_job(connection, job=run.job, now=run.now)
        else:
            _retry(connection, run=run, held=held, error=text)


def _why_not(action: ControlAction, *, relay: RelayReading, result: int) -> tuple[str, str]:
    if result:
        return "headend.access-refused", f"the meter refuses to {action.value}: {result_name(result)}"
    if relay.control_state == RelayState.READY_FOR_RECONNECTION:
        return (
            "headend.ready-for-reconnection",
            f"the relay waits for the button at the meter (control mode {relay.control_mode})",
        )
    return (
        RelayNotMoved.code,
        f"the meter accepted to {action.value} but its relay has not moved "
        f"(output state {relay.output_state}, control state {relay.control_state}); a fitter must look at it",
    )


def lose(run: Run, *, code: str, text: str) -> None:
    """The octets of the action may have left: read the relay of a disconnection, send a reconnection again."""
    with run.database.write() as connection:
        held = control_store.hold(connection, order_id=run.order_id)
        if held.command.state not in DOUBTFUL:
            finish_job(connection, job=run.job, now=run.now)
            return
        if held.command.action is ControlAction.DISCONNECT:
            settle(connection, held=held, event=CommandEvent.LOSE, now=run.now, code=code, text=text)
            finish_job(connection, job=run.job, now=run.now)
            return
        settle(connection, held=held, event=CommandEvent.PUT_BACK, now=run.now, code=code, text=text)
        _retry(connection, run=run, held=held, error=text)


def postpone(run: Run, *, code: str, text: str) -> None:
    """Nothing of an action has left: try again later, or give it up where trying again cannot help."""
    with run.database.write() as connection:
        held = control_store.hold(connection, order_id=run.order_id)
        state = held.command.state
        if state is CommandState.REQUESTED and code in HOPELESS:
            settle(connection, held=held, event=CommandEvent.FAIL, now=run.now, code=code, text=text)
        elif state in (CommandState.REQUESTED, CommandState.UNKNOWN):
            control_store.note(connection, order_id=run.order_id, code=code, text=text)
            if code in SHUT:
                _log(connection, run=run, held=held, code=SHUT[code])
            _retry(connection, run=run, held=held, error=text, error_code=code)
            return
        finish_job(connection, job=run.job, now=run.now)


def _refuse(connection: Connection, *, run: Run, held: HeldCommand, code: GateCode) -> None:
    settle(
        connection,
        held=held,
        event=CommandEvent.REFUSE,
        now=run.now,
        code=code.value,
        text=words_of(code.value).en,
    )
    finish_job(connection, job=run.job, now=run.now)


def _log(connection: Connection, *, run: Run, held: HeldCommand, code: GateCode) -> None:
    command = held.command
    gate_store.log(
        connection,
        order_id=command.order_id,
        serial=command.serial,
        action=command.action.value,
        code=code,
        now=run.now,
    )


def resolve(run: Run, *, relay: RelayReading, event_code: int | None) -> None:
    """Say of a disconnection that got lost what the relay says."""
    with run.database.write() as connection:
        held = control_store.hold(connection, order_id=run.order_id)
        control_store.believe(connection, meter=held.command.serial, relay=relay, now=run.now)
        if held.command.state is CommandState.UNKNOWN:
            done = relay.has_done(ControlAction.DISCONNECT)
            settle(
                connection,
                held=held,
                event=CommandEvent.VERIFY if done else CommandEvent.FAIL,
                now=run.now,
                code="" if done else "headend.not-disconnected",
                text="" if done else "the answer was lost, and the relay was found not opened",
                relay=relay,
                event_code=event_code,
            )
        finish_job(connection, job=run.job, now=run.now)


def _retry(connection: Connection, *, run: Run, held: HeldCommand, error: str, error_code: str = "") -> None:
    unsent = held.command.state is not CommandState.UNKNOWN  # a doubtful relay is read however late it is
    retry_job(
        connection,
        job=run.job,
        delays_s=GATE_RETRY_S if error_code in SHUT else run.head_end.settings.control_retry_s,
        until=held.not_after if unsent else None,
        error=error,
        now=run.now,
    )
