"""
`bench collect`: whole sessions with simulated meters, by CPU time of the client.

A session is what the head-end does each night, as client 48: connect, HLS with GMAC, clock and numbers of the event
logs, 48 rows of block load, the daily row, the event log that has changed, release. The meters run in a process of
their own. Beside it stand the same sessions by gurux-dlms, on fewer meters.
"""

import asyncio
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bijlighar.base.period import Period
from bijlighar.bench.databases import sqlite_database
from bijlighar.bench.measuring import NS_PER_S, Say, Stopwatch, WrongResult
from bijlighar.bench.peers import Peer, ask
from bijlighar.bench.processes import LOCAL, STOP_S, NotReady
from bijlighar.headend import operations as headend
from bijlighar.headend.model import CLIENT_SETTING, CollectReport, HeadEndSettings
from bijlighar.headend.operations import HeadEnd
from bijlighar.registry import operations as registry
from bijlighar.simulator import operations as simulator
from bijlighar.simulator.model import Town
from bijlighar.simulator.operations import TownControl
from bijlighar.simulator.rules import plan_town
from bijlighar.storage.engine import Database

METERS, PEER_METERS = 2_000, 50
SEED = 5
FIRST_DAY = date(2026, 4, 1)
AFTER_MIDNIGHT = timedelta(minutes=30)
#: Magnet influence: every meter logs it before it is read, so that a log has changed.
TAMPER, TAMPER_LOG = 201, "0.0.99.98.4.255"
ROWS_PER_DAY = 48
KEY = bytes(range(32))
PEER_TITLE = b"GURUX001"
READY_S = 120.0
PORTS = range(12_000, 32_000)
KIB_PER_MB = 1_024


def collect(*, say: Say, meters: int = METERS) -> dict[str, Any]:
    """
    Return the figures of `bench collect`.

    :raises WrongResult: if a session failed, or did not bring what the meters hold.
    :raises NotReady: if the meters do not start.
    """
    town = plan_town(seed=SEED, meters=meters, months=1, first_day=FIRST_DAY, stand_alone=True)
    say("starting the meters", 0.0)
    with (
        TemporaryDirectory(prefix="bijlighar-bench-") as folder,
        _meters(Path(folder), town=town) as (port, control),
        sqlite_database() as database,
    ):
        first, second = (Period.of_local_day(FIRST_DAY + timedelta(days=days)) for days in (0, 1))
        keys_text = simulator.keys_json(town=town, host=LOCAL, port=port)
        registry_text = simulator.registry_csv(town=town, host=LOCAL, port=port)
        head_end = _head_end(database, registry_text=registry_text, keys_text=keys_text, now=first.start)
        serials = tuple(device.serial for device in town.devices)
        say("the first day, when columns and counters are learnt", 0.2)
        _run(control, database, head_end, now=first.end + AFTER_MIDNIGHT, serials=serials)
        say("whole sessions", 0.5)
        now = second.end + AFTER_MIDNIGHT
        sessions = _run(control, database, head_end, now=now, serials=serials, work=headend.rehearse_due)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB
        say("whole sessions, stored", 0.7)
        stored = _run(control, database, head_end, now=now, serials=serials)
        say("gurux-dlms", 0.9)
        peer = _peer(keys_text, day=second)
    return {
        "meters": meters,
        "sessions_per_core_s": meters * NS_PER_S / sessions.cpu_ns,
        "stored_sessions_per_core_s": meters * NS_PER_S / stored.cpu_ns,
        "elapsed_s": sessions.elapsed_ns / NS_PER_S,
        "gurux_sessions_per_core_s": peer.figure("sessions_per_core_s"),
        "peak_mb": peak_mb,
        "peers": {"gurux-dlms": {"version": peer.version, "absent": peer.reason}},
    }


def _run(
    control: TownControl,
    database: Database,
    head_end: HeadEnd,
    *,
    now: datetime,
    serials: tuple[str, ...],
    work: Callable[..., Any] = headend.collect_due,
) -> Stopwatch:
    """Collect at `now` after something happened at some meters, and return what it took."""
    if control.now() < now:
        control.set_time(now - AFTER_MIDNIGHT)
        for serial in serials:
            control.tamper(serial=serial, code=TAMPER)
        control.set_time(now)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner, Stopwatch() as watch:
        report: CollectReport = runner.run(work(database, now=now, head_end=head_end))
    rows = ROWS_PER_DAY * report.sessions
    if report.failed or report.intervals != rows or report.registers < report.sessions:
        raise WrongResult(
            f"the sessions did not bring what the meters hold: {report}; report this as a fault"
        )
    if serials and report.events < len(serials):
        raise WrongResult(f"of {len(serials)} events only {report.events} were read; report this as a fault")
    return watch


def _head_end(database: Database, *, registry_text: str, keys_text: str, now: datetime) -> HeadEnd:
    settings = HeadEndSettings(key_encryption_key=KEY, collect_client=CLIENT_SETTING)
    with database.write() as connection:
        registry.import_registry(connection, text=registry_text, now=now)
        keys = headend.read_keys_file(keys_text)
        headend.store_keys(connection, keys=keys, key_encryption_key=KEY, now=now)
    return headend.open_head_end(database, settings=settings)


def _peer(keys_text: str, *, day: Period) -> Peer:
    """Ask gurux-dlms for the same sessions with the first meters; ours has used their counters up to a block."""
    meters = [
        {
            "host": LOCAL,
            "port": int(str(keys.url).rpartition(":")[2].partition("?")[0]),
            "ek": keys.ek.hex(),
            "ak": keys.ak.hex(),
            "counter": 1_000_000,
        }
        for keys in headend.read_keys_file(keys_text)[: PEER_METERS + 1]
    ]
    request = {
        "meters": meters,
        "client": CLIENT_SETTING,
        "server": 1,
        "title": PEER_TITLE.hex(),
        "start": (day.start + timedelta(minutes=30)).isoformat(),
        "end": (day.end + AFTER_MIDNIGHT / 2).isoformat(),
        "events": TAMPER_LOG,
    }
    peer = ask(name="gurux_sessions", request=request)
    if peer.answer is not None and any(rows[0] != ROWS_PER_DAY for rows in peer.answer["rows"]):
        return Peer(answer=None, reason=f"it read other rows than the meters hold: {peer.answer['rows'][:3]}")
    return peer


@contextmanager
def _meters(folder: Path, *, town: Town) -> Iterator[tuple[int, TownControl]]:
    """Run the meters of a town in a process of their own."""
    port = _free_ports(len(town.devices) + 1)
    control = TownControl(f"{LOCAL}:{port + len(town.devices)}", timeout_s=READY_S)
    simulator.write_town(town=town, folder=folder / "town", host=LOCAL, port=port)
    command = [sys.executable, "-m", "bijlighar", "meter", "simulate", "--home", str(folder)]
    with (folder / "meters.out").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--control", control.address], stdout=output, stderr=output
        )
        try:
            control.wait_until_ready(patience_s=READY_S)
            yield port, control
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_ports(count: int) -> int:
    """
    Return the first of `count` ports in a row on which nobody listens now.

    :raises NotReady: if there are not so many.
    """
    first = PORTS.start
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind((LOCAL, port))
            except OSError:
                first = port + 1
        if port - first + 1 == count:
            return first
    raise NotReady(f"there are no {count} free ports in a row between {PORTS.start} and {PORTS.stop}")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
