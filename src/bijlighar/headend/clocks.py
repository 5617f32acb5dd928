"""
Setting the clocks of meters that are off: within bounds, never across an interval's edge without a mark, all logged.

The gate sets them, for it alone speaks as client 48. What was done stands in the log of sessions under the purpose
`clock`, with how far the clock was ahead.
"""

import asyncio
from datetime import datetime, timedelta

from bijlighar.base.clock import Clock
from bijlighar.base.errors import BijligharError
from bijlighar.base.period import epoch_seconds, moment_of
from bijlighar.dlms import is15959
from bijlighar.headend import queries, session_store
from bijlighar.headend.decode import clock_drift_s
from bijlighar.headend.errors import ClockNotSet, GarbledAnswer, MeterSilent
from bijlighar.headend.gate_door import gate_of
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.model import ClockDeed, Lane, SessionPurpose, SessionRow
from bijlighar.headend.ports import Gate, GateSession
from bijlighar.headend.rules import clock_deed
from bijlighar.headend.tcp import gateway_before, parse_url
from bijlighar.registry import queries as registry
from bijlighar.registry.model import EndDevice
from bijlighar.storage.engine import Database

#: How long a meter is left alone after its clock was looked at, and after it was to wait for a better moment.
NEXT_LOOK, SOON = timedelta(hours=20), timedelta(minutes=5)
CLOCKS_PER_RUN = 1_000


async def synchronise_clocks(database: Database, *, clock: Clock, head_end: HeadEnd) -> int:
    """
    Look at the clocks that were off when last read, set those that the rule allows, and return how many were set.

    The time is asked of `clock` at the moment of setting, not at the beginning. A meter that fails is logged and
    looked at again another day.
    """
    now = clock.now()
    with database.read() as connection:
        drifts = queries.clock_drifts(connection, beyond_s=head_end.settings.clock_from_s)
        if not drifts:
            return 0
        devices = {device.serial: device for device in registry.end_devices(connection, hung_at=now)}
        looked = session_store.clock_looks(connection, since=now - NEXT_LOOK)
    off = [
        devices[meter]
        for meter in drifts
        if meter in devices and devices[meter].url is not None and not _is_too_early(looked.get(meter), now)
    ]
    gate = gate_of(database, head_end=head_end)
    rows = await asyncio.gather(
        *(_look(device, clock=clock, head_end=head_end, gate=gate) for device in off[:CLOCKS_PER_RUN])
    )
    if not rows:
        return 0
    with database.write() as connection:
        session_store.log_sessions(connection, rows=rows)
    return sum(row.outcome in (ClockDeed.SET, ClockDeed.SET_ACROSS) for row in rows)


def _is_too_early(look: tuple[datetime, str] | None, now: datetime) -> bool:
    if look is None:
        return False
    at, outcome = look
    return at > now - (SOON if outcome == ClockDeed.WAIT else NEXT_LOOK)


async def _look(device: EndDevice, *, clock: Clock, head_end: HeadEnd, gate: Gate) -> SessionRow:
    """Look at one clock and return the row of the log."""
    started_at, loop = clock.now(), asyncio.get_running_loop()
    started_s, limit_s = loop.time(), head_end.settings.control_timeout_s
    outcome, note, ahead_s = "", "", None
    try:
        async with asyncio.timeout(limit_s):
            deed, ahead_s, note = await _speak(device, clock=clock, head_end=head_end, gate=gate)
            outcome = deed.value
    except TimeoutError:
        outcome, note = MeterSilent.code, f"the conversation was not over within {limit_s:g} s"
    except BijligharError as problem:
        outcome, note = problem.code, str(problem)
    return SessionRow(
        meter=device.serial,
        purpose=SessionPurpose.CLOCK,
        started_at=started_at,
        duration_ms=round((loop.time() - started_s) * 1000),
        outcome=outcome,
        note=note,
        drift_s=ahead_s,
    )


async def _speak(
    device: EndDevice, *, clock: Clock, head_end: HeadEnd, gate: Gate
) -> tuple[ClockDeed, int, str]:
    meter, address = device.serial, parse_url(str(device.url))
    async with head_end.permit(
        meter=meter, gateway=gateway_before(url=device.url, gateway=device.gateway), lane=Lane.SCHEDULED
    ):
        session = await gate.open(serial=meter, address=address, now=clock.now())
        try:
            done = await _set_if_due(session, device, clock=clock, head_end=head_end)
            await session.release()
        finally:
            session.close()
    return done


async def _set_if_due(
    session: GateSession, device: EndDevice, *, clock: Clock, head_end: HeadEnd
) -> tuple[ClockDeed, int, str]:
    ahead_s = await _ahead_s(session, clock=clock)
    now_s = epoch_seconds(clock.now())
    deed = clock_deed(
        ahead_s=ahead_s,
        now_s=now_s,
        period_s=60 * device.minutes,
        from_s=head_end.settings.clock_from_s,
        limit_s=head_end.settings.clock_limit_s,
    )
    if deed not in (ClockDeed.SET, ClockDeed.SET_ACROSS):
        return deed, ahead_s, f"{ahead_s:+d} s, left as it was"
    await session.set_clock(now=clock.now())
    left_s = await _ahead_s(session, clock=clock)
    if abs(left_s) > head_end.settings.clock_from_s:
        raise ClockNotSet(
            f"the clock of meter {device.serial} was set and is {left_s:+d} s off all the same; send somebody to look"
        )
    across = ""
    if deed is ClockDeed.SET_ACROSS:
        first, last = sorted((now_s, now_s + ahead_s))
        across = f"; across interval edges, doubtful from {moment_of(first)} to {moment_of(last)}"
    return deed, ahead_s, f"{ahead_s:+d} s before, {left_s:+d} s after{across}"


async def _ahead_s(session: GateSession, *, clock: Clock) -> int:
    octets = await session.get_if_any(is15959.CLOCK_TIME)
    ahead_s = None if octets is None else clock_drift_s(octets, now=clock.now())
    if ahead_s is None:
        raise GarbledAnswer("the meter's clock tells no time; it is set by hand")
    return ahead_s
