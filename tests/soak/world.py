"""The meters in their own process, the head-end in ours, and the days that pass over both."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bijlighar.base.period import day_number
from bijlighar.headend import operations, queries
from bijlighar.headend.head_end import open_head_end
from bijlighar.headend.model import SESSION_OK, CollectReport, HeadEndSettings
from bijlighar.readings import queries as readings
from bijlighar.registry import operations as registry
from bijlighar.simulator import operations as simulator
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from tests.headend.orders import KEY_ENCRYPTION_KEY
from tests.simulator.towns import FIRST_DAY, MIDNIGHT, TownProcess, a_town
from tests.soak.plan import RETRY_DELAYS, Change, Fate, Plan, plan

PER_GATEWAY = 10
PLACES_MAX = 800
#: A meter has so long to answer [s]: the line through a gateway is slow, and our own machine may be busy.
ANSWER_S = 6.0


@dataclass(kw_only=True)
class World:
    """The books, the running meters, and what the soak saw of those whose fate the seed does not tell."""

    database: Database
    town: TownProcess
    plan: Plan
    settings: HeadEndSettings
    seen: Fate
    report: CollectReport
    #: When each run ended, how many sessions it had, how many of them failed, how long it took [s].
    log: list[tuple[datetime, int, int, float]]

    def live(self) -> None:
        """Let the days pass, and ask in each run what is due."""
        waiting = list(self.plan.changes)
        head_end = open_head_end(self.database, settings=self.settings)
        for number, now in enumerate(self.plan.runs):
            while waiting and waiting[0].at <= now:
                self._change(waiting.pop(0))
            self.town.control.set_time(now)
            if number % 3 == 0:  # a head-end that was started anew each day knows what it must
                head_end = open_head_end(self.database, settings=self.settings)
            began = time.perf_counter()
            report = asyncio.run(operations.collect_due(self.database, now=now, head_end=head_end))
            took_s = time.perf_counter() - began
            self.report += report
            self.log.append((now, report.sessions, report.failed, took_s))
            sys.stderr.write(
                f"{now:%d %H:%M} {report.sessions} sessions, {report.failed} failed, {took_s:.1f} s\n"
            )
            self._watch(now)

    def _change(self, change: Change) -> None:
        control = self.town.control
        control.set_time(change.at)
        if not change.what:
            control.silence(serial=change.serial, silent=change.on)
        elif change.what.isdecimal():
            control.tamper(serial=change.serial, code=int(change.what))
        else:
            control.fault(serial=change.serial, name=change.what, on=change.on)

    def _watch(self, now: datetime) -> None:
        """Note what a run brought of the meters whose fate the seed does not tell."""
        first = day_number(FIRST_DAY)
        watched = sorted(self.plan.watched)
        with self.database.read() as connection:
            blocks = readings.days(connection, meters=watched, first=first, last=first + self.plan.days - 1)
            newest = {serial: queries.sessions(connection, meter=serial, limit=1) for serial in watched}
        for block in blocks:
            for row, (serial, day) in enumerate(zip(block.meters, block.days, strict=True)):
                if (block.quality[row] != 0).all():
                    self.seen.read_at.setdefault((serial, int(day) - first), now)
        for serial, sessions in newest.items():
            if sessions and sessions[0].started_at == now and sessions[0].outcome == SESSION_OK:
                self.seen.heard_at.setdefault(serial, []).append(now)


@contextmanager
def a_world(folder: Path, *, meters: int, days: int, seed: int) -> Iterator[World]:
    """A town of meters behind gateways, and a head-end that knows its registry and its keys."""
    town = a_town(meters=meters, seed=seed, stand_alone=True)
    database = Database(f"sqlite:///{folder}/soak.sqlite")
    metadata.create_all(database.engine)
    settings = HeadEndSettings(
        key_encryption_key=KEY_ENCRYPTION_KEY,
        concurrency=min(PLACES_MAX, max(100, meters // 4)),
        answer_timeout_s=ANSWER_S,
        retry_delays_s=tuple(int(delay.total_seconds()) for delay in RETRY_DELAYS),
    )
    process = TownProcess(folder, "--per-gateway", str(PER_GATEWAY), town=town)
    address = {"host": "127.0.0.1", "port": process.port}
    with database.write() as connection:
        registry.import_network(connection, text=simulator.network_csv(town=town))
        text = simulator.registry_csv(town=town, per_gateway=PER_GATEWAY, **address)
        registry.import_registry(connection, text=text, now=MIDNIGHT)
        keys = operations.read_keys_file(simulator.keys_json(town=town, **address))
        operations.store_keys(connection, keys=keys, key_encryption_key=KEY_ENCRYPTION_KEY, now=MIDNIGHT)
    try:
        with process:
            serials = [device.serial for device in town.devices if device.listens is not None]
            yield World(
                database=database,
                town=process,
                plan=plan(serials, midnight=MIDNIGHT, days=days, seed=seed),
                settings=replace(settings),
                seen=Fate(),
                report=CollectReport(),
                log=[],
            )
    finally:
        database.close()
