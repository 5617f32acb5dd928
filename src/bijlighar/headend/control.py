"""
Carrying out control commands: one conversation with one meter per command, reconnections first.

What is decided stands in `control_steps`; here is what is said. Whatever fails before the command is SENT leaves the
meter as it was, and whatever fails after it leaves the command in doubt.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar

from bijlighar.base.errors import BijligharError
from bijlighar.dlms.cosem import Attribute
from bijlighar.dlms.event import GetResult
from bijlighar.dlms.obis import Obis
from bijlighar.headend import control_steps, session_store
from bijlighar.headend.control_queue import CONTROL_KINDS, expire_overdue, retry_job
from bijlighar.headend.control_steps import Run
from bijlighar.headend.control_store import HeldCommand
from bijlighar.headend.errors import MeterSilent, NoRelay, TooLate
from bijlighar.headend.gate_door import gate_of
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.model import (
    FINAL,
    SESSION_OK,
    ControlAction,
    HeadEndSettings,
    Lane,
    RelayReading,
    RelayState,
    SessionPurpose,
    SessionRow,
)
from bijlighar.headend.ports import GateSession
from bijlighar.headend.session import MeterSession
from bijlighar.headend.tcp import gateway_before, parse_url
from bijlighar.registry import queries as registry
from bijlighar.storage import jobs
from bijlighar.storage.engine import Database

Answer = TypeVar("Answer")

#: The most commands that one run carries out; what is left waits for the next run.
COMMANDS_PER_RUN = 10_000
#: The latest control event of a meter: 301 disconnected, 302 connected.
CONTROL_EVENT = Attribute(class_id=1, obis=Obis.parse("0.0.96.11.6.255"), index=2)
#: How long a command waits until nobody else speaks with its meter [s]; its lease goes on meanwhile.
TURN_WITHIN_S = 20.0


async def run_control_due(database: Database, *, now: datetime, wall: datetime, head_end: HeadEnd) -> int:
    """
    Carry out the control commands that are due, reconnections first, and return how many were tried.

    A meter that fails is recorded and its command goes on later; it never stops the others.
    """
    expire_overdue(database, now=now)
    settings = head_end.settings
    gate = gate_of(database, head_end=head_end)
    running: set[asyncio.Task[None]] = set()
    started = 0
    try:
        while True:
            while len(running) < settings.control_concurrency and started < COMMANDS_PER_RUN:
                claimed = jobs.claim(
                    database,
                    kinds=CONTROL_KINDS,
                    worker=settings.worker,
                    now=now,
                    wall=wall,
                    lease_s=settings.control_lease_s,
                )
                if not claimed:
                    break
                started += 1
                run = Run(database=database, head_end=head_end, gate=gate, job=claimed[0], now=now)
                running.add(asyncio.create_task(_in_turn(run)))
            if not running:
                return started
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        if running:
            await asyncio.wait(running)  # a fault in one of them cuts no other off in mid-action


async def _in_turn(run: Run) -> None:
    """Carry out a job when its meter and its gateway are free; one whose turn does not come is tried again later."""
    serial = run.job.partition
    with run.database.read() as connection:
        try:
            device = registry.end_device(connection, serial=serial)
            gateway = gateway_before(url=device.url, gateway=device.gateway)
        except BijligharError:
            gateway = None
    try:
        async with run.head_end.permit(meter=serial, gateway=gateway, lane=Lane.RELAY, wait_s=TURN_WITHIN_S):
            await _carry_out(run)
    except TooLate as late:
        with run.database.write() as connection:
            retry_job(
                connection,
                job=run.job,
                delays_s=run.head_end.settings.control_retry_s,
                until=None,
                error=str(late),
                now=run.now,
            )


async def _carry_out(run: Run) -> None:
    held = control_steps.begin(run)
    if held is None:
        return
    serial = held.command.serial
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    outcome, note, octets = SESSION_OK, "", (0, 0)
    try:
        session = await _open(run, held)
    except BijligharError as problem:
        outcome, note = problem.code, str(problem)
        control_steps.postpone(run, code=outcome, text=note)
    else:
        try:
            await (_look(run, session) if run.is_look else _command(run, session))
        except BijligharError as problem:
            outcome, note = problem.code, str(problem)
        finally:
            octets = session.octets
            session.close()
    await _tell_gate(run)
    row = SessionRow(
        meter=serial,
        purpose=SessionPurpose.CONTROL,
        started_at=run.now,
        duration_ms=round((loop.time() - started_s) * 1000),
        outcome=outcome,
        note=note,
        octets_in=octets[0],
        octets_out=octets[1],
    )
    with run.database.write() as connection:
        session_store.log_sessions(connection, rows=[row])


async def _tell_gate(run: Run) -> None:
    """Tell a gate of its own process that a command has ended; that it is away then costs nothing."""
    if run.gate.is_elsewhere and control_steps.state_of(run) in FINAL:
        with contextlib.suppress(BijligharError):
            await run.gate.close_order(run.order_id, now=run.now)


async def _open(run: Run, held: HeldCommand) -> GateSession:
    serial = held.command.serial
    with run.database.read() as connection:
        device = registry.end_device(connection, serial=serial)
    if device.url is None or not device.has_relay:
        raise NoRelay(f"meter {serial} has no relay that can be reached; give the order to a fitter")
    address = parse_url(device.url)
    return await _within(run, run.gate.open(serial=serial, address=address, now=run.now))


async def _command(run: Run, session: GateSession) -> None:
    """Read, pass the gate, act and read back; whatever fails after the gate leaves the command in doubt."""
    held = None
    try:
        relay = await _within(run, session.read_relay())
        request = control_steps.ask(run, relay)
        if request is not None:
            code = await _within(run, run.gate.grant(request, now=run.now))
            held = control_steps.send(run, code)
    except BijligharError as problem:
        control_steps.postpone(run, code=problem.code, text=str(problem))
        raise
    if held is None:
        await session.release()
        return
    try:
        await _within(run, _act(run, session, held.command.action, relay))
    except BijligharError as problem:
        control_steps.lose(run, code=problem.code, text=str(problem))
        raise
    await session.release()


async def _act(run: Run, session: GateSession, action: ControlAction, relay: RelayReading) -> None:
    result = 0
    if not relay.has_done(action):
        result = await session.act(run.order_id, now=run.now)
    if result == 0:
        control_steps.accept(run)
    relay, event_code = await read_back(session, action, settings=run.head_end.settings)
    control_steps.conclude(run, relay=relay, event_code=event_code, result=result)


async def _look(run: Run, session: GateSession) -> None:
    """Read the relay of a disconnection that got lost; nothing is sent that could move it."""
    try:
        relay, event_code = await _within(
            run, read_back(session, ControlAction.DISCONNECT, settings=run.head_end.settings)
        )
    except BijligharError as problem:
        control_steps.postpone(run, code=problem.code, text=str(problem))
        raise
    control_steps.resolve(run, relay=relay, event_code=event_code)
    await session.release()


async def read_back(
    session: GateSession | MeterSession, action: ControlAction, *, settings: HeadEndSettings
) -> tuple[RelayReading, int | None]:
    """
    Return where the relay stands after `action`, given a little time to move, and the latest control event.

    :raises AccessRefused: if the meter does not tell.
    """
    relay = await session.read_relay()
    for _ in range(settings.verify_tries - 1):
        if relay.has_done(action) or relay.control_state == RelayState.READY_FOR_RECONNECTION:
            break
        await asyncio.sleep(settings.verify_pause_s)
        relay = await session.read_relay()
    data = await session.get_if_any(CONTROL_EVENT)
    code = None if data is None else GetResult(data=data).value
    return relay, code if isinstance(code, int) and not isinstance(code, bool) else None


async def _within(run: Run, talk: Coroutine[Any, Any, Answer]) -> Answer:
    limit_s = run.head_end.settings.control_timeout_s
    try:
        async with asyncio.timeout(limit_s):
            return await talk
    except TimeoutError:
        raise MeterSilent(f"the conversation was not over within {limit_s:g} s") from None
