"""Reading a meter at once because a person asks: its instantaneous values, and where its relay stands."""

import asyncio
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.base.errors import BijligharError
from bijlighar.dlms import is15959
from bijlighar.headend import contact, control_store, keys_store, on_demand_store, session_store
from bijlighar.headend.errors import MeterSilent, UnexpectedLayout
from bijlighar.headend.field_rows import profile_answer
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.layout import read_columns, read_model
from bijlighar.headend.model import SESSION_OK, Lane, MeterAddress, SessionPurpose, SessionRow
from bijlighar.headend.on_demand_store import AskedReading, AskedState
from bijlighar.headend.quirks import NO_QUIRK, Quirks
from bijlighar.headend.session import MeterSession
from bijlighar.headend.tcp import gateway_before, parse_url
from bijlighar.registry import queries as registry
from bijlighar.registry.model import EndDevice
from bijlighar.storage import jobs
from bijlighar.storage.engine import Database

KIND = "headend.read-now"
#: A person waits for it; after that it is of no use any more.
USEFUL_FOR = timedelta(minutes=5)
AT_ONCE = 20
READINGS_PER_RUN = 200


def ask_reading(connection: Connection, *, meter: str, person: str, now: datetime) -> AskedReading:
    """
    Ask in the caller's transaction for a meter to be read at once; one that is asked for already is not asked twice.

    :raises UnknownDevice: if the registry has no such meter.
    """
    registry.end_device(connection, serial=meter)
    for known in on_demand_store.of_meter(connection, meter=meter, limit=1):
        if known.state is AskedState.ASKED and known.asked_at > now - USEFUL_FOR:
            return known
    asked = on_demand_store.add(connection, meter=meter, person=person, now=now)
    jobs.enqueue(
        connection,
        kind=KIND,
        key=f"{KIND}/{asked.number}",
        lane=jobs.Lane.PAYMENT,
        run_at=now,
        payload={"number": asked.number, "meter": meter},
        partition=f"meter/{meter}",
        not_after=now + USEFUL_FOR,
        now=now,
    )
    return asked


async def read_asked(database: Database, *, now: datetime, wall: datetime, head_end: HeadEnd) -> int:
    """Read the meters that people asked for, many at one time, and return how many were tried."""
    claimed = jobs.claim(
        database,
        kinds=(KIND,),
        worker=head_end.settings.worker,
        now=now,
        wall=wall,
        lease_s=head_end.settings.control_lease_s,
        limit=READINGS_PER_RUN,
    )
    permits = asyncio.Semaphore(AT_ONCE)

    async def one(job: jobs.Job) -> None:
        async with permits:
            await _read(database, job=job, now=now, head_end=head_end)

    await asyncio.gather(*(one(job) for job in claimed))
    return len(claimed)


async def _read(database: Database, *, job: jobs.Job, now: datetime, head_end: HeadEnd) -> None:
    number, meter = int(str(job.payload["number"])), str(job.payload["meter"])
    loop = asyncio.get_running_loop()
    started_s, limit_s = loop.time(), head_end.settings.control_timeout_s
    wait_s = limit_s if job.not_after is None else (job.not_after - now).total_seconds()
    answer, problem, code, octets = None, "", SESSION_OK, (0, 0)
    try:
        async with asyncio.timeout(limit_s):
            answer, octets = await _speak(database, meter=meter, now=now, wait_s=wait_s, head_end=head_end)
    except TimeoutError:
        problem, code = f"the conversation was not over within {limit_s:g} s", MeterSilent.code
    except BijligharError as refused:
        problem, code = str(refused), refused.code
    row = SessionRow(
        meter=meter,
        purpose=SessionPurpose.CONTROL,
        started_at=now,
        duration_ms=round((loop.time() - started_s) * 1000),
        outcome=code,
        note=problem,
        octets_in=octets[0],
        octets_out=octets[1],
    )
    client = head_end.settings.collect_client
    heard = head_end.heard_counters(meters=[meter], client=client)
    with database.write() as connection:
        on_demand_store.finish(connection, number=number, answer=answer, problem=problem, now=now)
        session_store.log_sessions(connection, rows=[row])
        keys_store.write_received(connection, received=heard, client=client)
        jobs.finish(connection, job=job, now=now)


async def _speak(
    database: Database, *, meter: str, now: datetime, wait_s: float, head_end: HeadEnd
) -> tuple[dict[str, object], tuple[int, int]]:
    with database.read() as connection:
        device = registry.end_device(connection, serial=meter)
    if device.url is None:
        raise MeterSilent(f"meter {meter} has no address: it is read by hand")
    address = parse_url(device.url)
    async with head_end.permit(
        meter=meter,
        gateway=gateway_before(url=device.url, gateway=device.gateway),
        lane=Lane.ON_DEMAND,
        wait_s=wait_s,
    ):
        return await _speak_under_permit(database, device, address, now=now, head_end=head_end)


async def _speak_under_permit(
    database: Database, device: EndDevice, address: MeterAddress, *, now: datetime, head_end: HeadEnd
) -> tuple[dict[str, object], tuple[int, int]]:
    meter, client = device.serial, head_end.settings.collect_client
    problems = await contact.prepare(head_end, meters={meter: address}, client=client)
    if meter in problems:
        raise problems[meter]
    session = await contact.open_prepared(head_end, meter=meter, address=address, client=client, now=now)
    try:
        answer: dict[str, object] = {
            "profile": await _instantaneous(session, meter, head_end.settings.quirks)
        }
        if device.has_relay:
            relay = await session.read_relay()
            answer["relay"] = {
                "output_state": relay.output_state,
                "control_state": relay.control_state,
                "control_mode": relay.control_mode,
            }
            with database.write() as connection:
                control_store.believe(connection, meter=meter, relay=relay, now=now)
        await session.release()
    finally:
        head_end.heard(meter=meter, client=client, counter=session.received_counter)
        session.close()
    return answer, session.octets


async def _instantaneous(session: MeterSession, meter: str, quirks: Quirks) -> dict[str, object]:
    name = is15959.INSTANTANEOUS.name
    quirk = quirks.of_model(await read_model(session, meter=meter)) if quirks else NO_QUIRK
    columns = await read_columns(session, name, quirk=quirk)
    buffer = await session.get_if_any(quirk.plan(name).buffer) if columns else None
    if buffer is None:
        raise UnexpectedLayout(
            f"meter {meter} has no instantaneous values; its load profile tells what it measured"
        )
    return profile_answer(
        profile=name, serial=meter, parts=[(columns, 0, buffer)], start=None, end=None, quirk=quirk
    ).document()
