"""
A writer that merges, corrects and edits without end, for a test to kill.

python -m tests.readings.merging_worker URL WRITER SEED STEPS: it goes on after the last step that it committed, whose
deliveries it makes again, for nobody may have heard that they were taken. Each step is told on stdout when it is
committed; beside what it writes, in the same transaction, stands in `merging_done` that it was done.
"""

import json
import sys
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, text
from tests.readings.merging_steps import MINUTES, Step, step_of

from bijlighar.readings import operations, queries
from bijlighar.readings.errors import ReadingsChanged
from bijlighar.readings.model import ABSENT, DayBlock, DayEdit, EditKind, Quality
from bijlighar.runtime import clock
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database

TABLE = """
    CREATE TABLE merging_done (place BIGINT PRIMARY KEY, writer VARCHAR(8) NOT NULL, number BIGINT NOT NULL,
    again BOOLEAN NOT NULL, at VARCHAR(40) NOT NULL, seen BIGINT NOT NULL, refused BOOLEAN NOT NULL)
"""
_DONE = text("INSERT INTO merging_done VALUES (:place, :writer, :number, :again, :at, :seen, :refused)")


def validated(block: DayBlock, step: Step) -> DayBlock:
    """What a rule makes of a meter-day: what is missing is estimated, all else is valid."""
    energy = block.channel("wh_import").copy()
    quality = np.full(block.quality.shape, Quality.VALID, dtype=np.uint8)
    missing = energy[0] == ABSENT
    energy[0, missing] = np.array(step.values, dtype=np.int64)[missing]
    quality[0, missing] = Quality.ESTIMATED
    return DayBlock(
        meters=block.meters,
        days=block.days,
        minutes=block.minutes,
        versions=block.versions,
        values={"wh_import": energy},
        quality=quality,
        validated=np.array([True]),
    )


def edit_of(step: Step, version: int) -> DayEdit:
    first, last = step.run
    meter, day = step.target
    return DayEdit(
        meter=meter,
        day=day,
        minutes=MINUTES,
        version=version,
        kind=step.edit,
        channel=step.channel,
        first=first,
        last=last,
        values=step.values[first:last] if step.edit is EditKind.SET else (),
    )


def write(connection: Connection, *, step: Step, block: DayBlock | None, now: datetime) -> None:
    """Write a step through the doors of the room, in the order in which a transaction must take them."""
    if block is not None:
        if step.kind == "validated":
            operations.store_validated(connection, block=validated(block, step), now=now)
        else:
            operations.store_edited(connection, edits=[edit_of(step, int(block.versions[0]))], now=now)
        return
    operations.append_registers(connection, snapshots=step.snapshots, now=now)
    if step.deliveries:
        operations.append(connection, deliveries=step.deliveries, now=now)
    operations.append_events(connection, events=step.events, now=now)


def take(database: Database, *, writer: str, number: int, step: Step, again: bool = False) -> None:
    """Take a step, and write beside it that it was taken."""
    block = None
    if step.kind in ("validated", "edited"):
        with database.read() as connection:
            block = queries.known_rows(connection, keys=[step.target], minutes=MINUTES)
    now = clock.wall()
    done = {
        "writer": writer,
        "number": number,
        "again": again,
        "at": now.isoformat(),
        "seen": 0 if block is None else int(block.versions[0]),
    }
    try:
        with database.write() as connection:
            write(connection, step=step, block=block, now=now)
            place = sequences.take(connection, name="merging.place")
            connection.execute(_DONE, {**done, "place": place, "refused": False})
    except ReadingsChanged:
        with database.write() as connection:
            sequences.take(connection, name=operations.SEQUENCE, count=0)
            place = sequences.take(connection, name="merging.place")
            connection.execute(_DONE, {**done, "place": place, "refused": True})


def main(url: str, writer: str, seed: int, steps: int) -> None:
    database = Database(url)
    with database.read() as connection:
        question = text("SELECT coalesce(max(number), 0) FROM merging_done WHERE writer = :writer")
        last = connection.execute(question, {"writer": writer}).scalar_one()
    print("ready", flush=True)  # noqa: T201 - for the test to read
    earlier = step_of(seed=seed, writer=writer, number=last)
    if last and earlier.kind not in ("validated", "edited"):
        take(database, writer=writer, number=last, step=earlier, again=True)
    for number in range(last + 1, last + 1 + steps):
        take(database, writer=writer, number=number, step=step_of(seed=seed, writer=writer, number=number))
        print(json.dumps(number), flush=True)  # noqa: T201 - likewise
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
