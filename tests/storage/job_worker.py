"""A worker in a process of its own: claims jobs and counts each one done in the job's own transaction."""

import sys
from datetime import UTC, datetime

from sqlalchemy import text

from bijlighar.storage import jobs
from bijlighar.storage.engine import Database

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
IDLE_ROUNDS_MAX = 20


def main(url: str, worker: str, batch: int) -> None:
    database = Database(url)
    idle = 0
    while idle < IDLE_ROUNDS_MAX:
        claimed = jobs.claim(
            database, kinds=("count",), worker=worker, now=NOW, wall=NOW, lease_s=60, limit=batch
        )
        idle = 0 if claimed else idle + 1
        for job in claimed:
            with database.write() as connection:
                connection.execute(text("INSERT INTO effect VALUES (:key)"), {"key": job.key})
                jobs.finish(connection, job=job, now=NOW)
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
