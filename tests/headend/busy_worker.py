"""
A head-end process that reads, operates relays, changes keys, sends firmware and settings, for a test to kill.

python -m tests.headend.busy_worker DATABASE SOCKET FOLDER BEGAN: FOLDER holds the signed orders for keys, firmware
and settings, an image, `collect`, the moment up to which meters are read, and files `.reading`, each of which says
at which meter the reading client's keys, or its password, are to be changed.
"""

import asyncio
import logging
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from bijlighar.base.errors import BijligharError
from bijlighar.headend import control_store, queries
from bijlighar.headend.errors import KeyChangeOpen
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.model import ControlAction
from bijlighar.headend.operations import (
    begin_reading_change,
    change_keys,
    change_reading,
    collect_due,
    open_head_end,
    parse_signed_order,
    recover,
    run_control_due,
    send_firmware,
    send_settings,
)
from bijlighar.storage.engine import Database
from tests.headend.conftest import FAST
from tests.headend.documents import a_document
from tests.headend.orders import NOW, order, signed

VERSION = "2.0.0"
SETTINGS = replace(
    FAST, control_retry_s=(1,), retry_delays_s=(1,), answer_timeout_s=3.0, control_timeout_s=10.0
)


async def reads(database: Database, head_end: HeadEnd, folder: Path) -> None:
    now = datetime.fromisoformat((folder / "collect").read_text())
    for _ in range(1_000):
        with database.read() as connection:
            if not queries.pending_collect(connection, now=now, settings=SETTINGS):
                return
        await collect_due(database, now=now, head_end=head_end)


async def commands(database: Database, head_end: HeadEnd, began: float) -> None:
    while True:
        now = NOW + timedelta(seconds=time.monotonic() - began)
        await run_control_due(database, now=now, wall=now, head_end=head_end)
        with database.read() as connection:
            if not control_store.open_count(connection):
                return
        await asyncio.sleep(0.05)


def todos(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"*.{kind}"))


async def upkeep(database: Database, socket: str, folder: Path) -> None:
    settings = replace(SETTINGS, gate_socket=socket)
    while files := todos(folder, "order"):
        for file in files:
            signed = parse_signed_order(file.read_text())
            try:
                if signed.order.action is ControlAction.CHANGE_KEYS:
                    await change_keys(database, signed=signed, settings=settings, now=NOW)
                elif signed.order.action is ControlAction.SETTINGS:
                    await send_settings(
                        database, signed=signed, document=a_document(), settings=settings, now=NOW
                    )
                else:
                    await send_firmware(
                        database,
                        signed=signed,
                        version=VERSION,
                        image=(folder / "image").read_bytes(),
                        settings=settings,
                        now=NOW,
                    )
            except BijligharError as problem:
                if problem.code == "headend.gate-refused" and "gate-used" in str(problem):
                    file.unlink()  # done before, and we died before we could note it
                    continue
                logging.info("%s: %s [%s]", signed.order.order_id, problem, problem.code)
                await asyncio.sleep(0.05)
            else:
                file.unlink()


async def reading(database: Database, head_end: HeadEnd, folder: Path, began: float) -> None:
    """Order what is to be changed for the reading client, as the command does, until it is done."""
    while files := todos(folder, "reading"):
        for file in files:
            serial, name = file.read_text().split()
            action = ControlAction(name)
            now = NOW + timedelta(seconds=time.monotonic() - began)
            try:
                begun = begin_reading_change(head_end, serial=serial, action=action, now=now)
                shown = signed(
                    order(
                        order_id=f"R-{serial}-{begun.digest[:16]}",
                        serial=serial,
                        action=action,
                        feeder=None,
                        detail=begun.digest,
                        issued_at=now,
                    )
                )
                await change_reading(database, signed=shown, head_end=head_end, now=now)
            except KeyChangeOpen:
                # The other kind was begun for an older file of this meter, which comes first.
                await asyncio.sleep(0.05)
            except BijligharError as problem:
                logging.info("%s: %s [%s]", file.name, problem, problem.code)
                await asyncio.sleep(0.05)
            else:
                file.unlink()


async def main() -> None:
    logging.basicConfig(level=logging.INFO)
    database, socket, folder = Database(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    began = float(sys.argv[4])
    now = NOW + timedelta(seconds=time.monotonic() - began)
    recover(database, now=now, wall=now, worker=SETTINGS.worker)
    head_end = open_head_end(database, settings=replace(SETTINGS, gate_socket=socket))
    (folder / "works").touch()
    await asyncio.gather(
        reads(database, head_end, folder),
        commands(database, head_end, began),
        upkeep(database, socket, folder),
        reading(database, head_end, folder, began),
    )


if __name__ == "__main__":
    asyncio.run(main())
