import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from bijlighar.base.lifecycle import mermaid
from bijlighar.storage import jobs
from bijlighar.storage.engine import Database
from bijlighar.storage.jobs import JOB_LIFE, Job, JobState, Lane, StaleJob

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)
WALL = datetime(2030, 1, 1, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROOT = Path(__file__).parent.parent.parent


def put(database: Database, key: str, **fields: object) -> bool:
    values = {"kind": "notice", "lane": Lane.NOTICE, "run_at": NOW, "payload": {"n": 1}, "now": NOW} | fields
    with database.write() as connection:
        return jobs.enqueue(connection, key=key, **values)


def take(database: Database, **fields: object) -> tuple[Job, ...]:
    values = {
        "kinds": ("notice",),
        "worker": "w1",
        "now": NOW,
        "wall": WALL,
        "lease_s": 60,
        "limit": 1,
    } | fields
    return jobs.claim(database, **values)


def settle(database: Database, door: Callable[..., None], job: Job, **fields: object) -> None:
    with database.write() as connection:
        door(connection, job=job, now=NOW, **fields)


def state(database: Database, key: str) -> JobState | None:
    with database.read() as connection:
        return jobs.state_of(connection, key=key)


class TestEnqueue:
    def test_knows_a_key_again(self, database: Database):
        assert put(database, "a")
        assert not put(database, "a", payload={"n": 2})

        assert take(database)[0].payload == {"n": 1}

    def test_leaves_nothing_behind_a_failed_transaction(self, database: Database):
        def enqueue_and_fail():
            with database.write() as connection:
                jobs.enqueue(
                    connection, kind="notice", key="a", lane=Lane.BULK, run_at=NOW, payload={}, now=NOW
                )
                raise RuntimeError

        with pytest.raises(RuntimeError):
            enqueue_and_fail()

        assert state(database, "a") is None


class TestClaim:
    def test_gives_a_job_once(self, database: Database):
        put(database, "a")

        assert [job.key for job in take(database)] == ["a"]
        assert take(database) == ()

    def test_leaves_a_job_of_the_future_and_of_another_kind(self, database: Database):
        put(database, "later", run_at=NOW + MINUTE)
        put(database, "other", kind="bill")

        assert take(database, limit=9) == ()
        assert [job.key for job in take(database, now=NOW + MINUTE, limit=9)] == ["later"]

    def test_takes_lanes_then_priority_then_time(self, database: Database):
        put(database, "bulk", lane=Lane.BULK, run_at=NOW - 9 * MINUTE)
        put(database, "late", lane=Lane.DISCONNECT)
        put(database, "early", lane=Lane.DISCONNECT, run_at=NOW - MINUTE)
        put(database, "urgent", lane=Lane.DISCONNECT, priority=5)
        put(database, "reconnect", lane=Lane.RECONNECT)

        order = [job.key for job in take(database, limit=9)]

        assert order == ["reconnect", "urgent", "early", "late", "bulk"]

    def test_never_runs_two_jobs_of_one_partition(self, database: Database):
        put(database, "a1", partition="A")
        put(database, "a2", partition="A")
        put(database, "b1", partition="B")

        claimed = take(database, limit=9)

        assert [job.key for job in claimed] == ["a1", "b1"]
        assert take(database, limit=9) == ()
        settle(database, jobs.finish, claimed[0])
        assert [job.key for job in take(database, limit=9)] == ["a2"]

    def test_takes_no_job_beyond_its_last_moment(self, database: Database):
        put(database, "a", not_after=NOW)

        assert take(database, now=NOW + MINUTE) == ()
        assert [job.key for job in take(database, now=NOW)] == ["a"]


class TestFinish:
    def test_ends_the_job(self, database: Database):
        put(database, "a")
        settle(database, jobs.finish, take(database)[0])

        assert state(database, "a") == JobState.DONE

    def test_refuses_a_worker_that_slept_beyond_its_lease(self, database: Database):
        put(database, "a")
        paused = take(database)[0]
        with database.write() as connection:
            assert jobs.recover(connection, wall=WALL + 2 * MINUTE, now=NOW) == 1
        with pytest.raises(StaleJob):
            settle(database, jobs.finish, paused)
        second = take(database, worker="w2")[0]

        with pytest.raises(StaleJob, match="no longer held by w1"):
            settle(database, jobs.finish, paused)

        assert (second.attempt, second.fence) == (2, paused.fence + 1)
        settle(database, jobs.finish, second)
        with pytest.raises(StaleJob):
            settle(database, jobs.finish, second)


class TestRetry:
    def test_runs_the_job_again_at_its_time(self, database: Database):
        put(database, "a")
        settle(database, jobs.retry, take(database)[0], run_at=NOW + MINUTE, error="no answer")

        assert take(database) == ()
        assert take(database, now=NOW + MINUTE)[0].attempt == 2


class TestFail:
    def test_ends_the_job_and_frees_its_partition(self, database: Database):
        put(database, "a", partition="A")
        put(database, "b", partition="A")
        settle(database, jobs.fail, take(database)[0], error="x" * 9_999)

        assert state(database, "a") == JobState.FAILED
        assert [job.key for job in take(database)] == ["b"]


class TestMarkUnknown:
    def test_never_runs_the_job_again(self, database: Database):
        put(database, "a")
        settle(database, jobs.mark_unknown, take(database)[0], error="connection lost after sending")

        assert state(database, "a") == JobState.UNKNOWN
        assert take(database) == ()


class TestRecover:
    def test_leaves_a_lease_that_still_runs(self, database: Database):
        put(database, "a")
        take(database)

        with database.write() as connection:
            assert jobs.recover(connection, wall=WALL + MINUTE, now=NOW) == 0

    def test_frees_what_a_dead_worker_held(self, database: Database):
        put(database, "a")
        put(database, "b")
        take(database, worker="dead")
        take(database, worker="alive")

        with database.write() as connection:
            assert jobs.recover(connection, wall=WALL, now=NOW, worker="dead") == 1

        assert [job.key for job in take(database, limit=9)] == ["a"]

    def test_calls_a_doubtful_kind_unknown(self, database: Database):
        put(database, "a")
        take(database)

        with database.write() as connection:
            jobs.recover(connection, wall=WALL + 2 * MINUTE, now=NOW, unknown_kinds=("notice",))

        assert state(database, "a") == JobState.UNKNOWN

    def test_gives_up_a_job_that_always_kills_its_worker(self, database: Database):
        put(database, "a")
        for _ in range(jobs.LOSSES_MAX):
            assert len(take(database)) == 1
            with database.write() as connection:
                jobs.recover(connection, wall=WALL, now=NOW, worker="w1")

        assert state(database, "a") == JobState.FAILED


class TestExpire:
    def test_ends_what_was_not_run_in_time(self, database: Database):
        put(database, "a", not_after=NOW)
        put(database, "b")

        with database.write() as connection:
            assert jobs.expire(connection, now=NOW) == 0
            assert jobs.expire(connection, now=NOW + MINUTE) == 1

        assert (state(database, "a"), state(database, "b")) == (JobState.EXPIRED, JobState.READY)


class TestCancel:
    def test_stops_only_a_job_that_has_not_begun(self, database: Database):
        put(database, "a")
        put(database, "b")
        take(database)

        with database.write() as connection:
            assert not jobs.cancel(connection, key="a", now=NOW)
            assert jobs.cancel(connection, key="b", now=NOW)
            assert not jobs.cancel(connection, key="b", now=NOW)
            assert not jobs.cancel(connection, key="nobody", now=NOW)

        assert state(database, "b") == JobState.CANCELLED


class TestPending:
    def test_counts_what_is_due_or_running(self, database: Database):
        for key in ("a", "b"):
            put(database, key)
        put(database, "later", run_at=NOW + MINUTE)
        take(database)

        with database.read() as connection:
            assert jobs.pending(connection, kinds=("notice",), now=NOW) == 2
            assert jobs.pending(connection, kinds=("bill",), now=NOW) == 0
            assert jobs.counts(connection) == {("notice", JobState.READY): 2, ("notice", JobState.RUNNING): 1}


class TestSlot:
    def test_belongs_to_the_first(self, database: Database):
        with database.write() as connection:
            assert jobs.slot(connection, schedule="assess", slot_at=NOW, now=NOW)
            assert not jobs.slot(connection, schedule="assess", slot_at=NOW, now=NOW)
            assert jobs.slot(connection, schedule="assess", slot_at=NOW + MINUTE, now=NOW)


class TestTakeToken:
    def test_gives_a_burst_then_the_rate(self, database: Database):
        with database.write() as connection:

            def taken(at: datetime) -> bool:
                return jobs.take_token(connection, bucket="sms", rate_per_s=0.5, burst=2, now=at)

            assert [taken(NOW), taken(NOW), taken(NOW)] == [True, True, False]
            assert not taken(NOW + timedelta(seconds=1))
            assert taken(NOW + timedelta(seconds=2))
            assert not taken(NOW - MINUTE)


class TestJobLife:
    def test_can_be_drawn(self):
        assert "READY --> RUNNING: claim" in mermaid(JOB_LIFE)


class TestManyWorkers:
    def test_share_the_jobs_without_doing_one_twice(self, database: Database):
        for number in range(120):
            put(database, f"j{number}", partition=f"P{number % 7}" if number % 2 else "")
        done: list[str] = []
        together: set[str] = set()
        clashes: list[str] = []
        guard = threading.Lock()

        def work(name: str) -> None:
            idle = 0
            while idle < 30:
                claimed = take(database, worker=name, limit=3)
                idle = 0 if claimed else idle + 1
                if not claimed:
                    time.sleep(0.005)
                with guard:
                    partitions = {job.partition for job in claimed} - {""}
                    clashes.extend(partitions & together)
                    together.update(partitions)
                for job in claimed:
                    with guard:
                        together.discard(job.partition)
                        done.append(job.key)
                    settle(database, jobs.finish, job)

        threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

        assert sorted(done) == sorted(f"j{number}" for number in range(120))
        assert clashes == []


class TestKilledWorkers:
    JOBS = 2_000
    KILLS = 4

    def test_lose_no_job_and_do_none_twice(self, database: Database, database_url: str):
        seed = 7
        moments = sorted(random.Random(seed).sample(range(100, self.JOBS - 400), self.KILLS))
        with database.write() as connection:
            connection.execute(text("CREATE TABLE effect (key VARCHAR(64) NOT NULL)"))
            for number in range(self.JOBS):
                jobs.enqueue(
                    connection,
                    kind="count",
                    key=f"j{number}",
                    lane=Lane.BULK,
                    run_at=datetime(2026, 4, 1, tzinfo=UTC),
                    payload={},
                    partition=f"P{number % 50}" if number % 3 == 0 else "",
                    now=NOW,
                )
        running = [_start(database_url, f"w{number}") for number in range(2)]
        for kill, moment in enumerate(moments):
            _wait_for_effects(database, moment)
            worker, process = running.pop(0)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
            with database.write() as connection:
                jobs.recover(connection, wall=WALL, now=NOW, worker=worker)
            running.append(_start(database_url, f"r{kill}"))
        for _, process in running:
            assert process.wait(timeout=120) == 0

        with database.read() as connection:
            effects = list(connection.execute(text("SELECT key FROM effect")).scalars())
            assert jobs.counts(connection) == {("count", JobState.DONE): self.JOBS}, f"seed {seed}"
        assert sorted(effects) == sorted(f"j{number}" for number in range(self.JOBS)), f"seed {seed}"


def _start(url: str, worker: str) -> tuple[str, subprocess.Popen[bytes]]:
    script = str(Path(__file__).with_name("job_worker.py"))
    return worker, subprocess.Popen([sys.executable, script, url, worker, "5"], cwd=ROOT)


def _wait_for_effects(database: Database, wanted: int) -> None:
    for _ in range(6_000):
        with database.read() as connection:
            if connection.execute(text("SELECT count(*) FROM effect")).scalar_one() >= wanted:
                return
        time.sleep(0.01)
    pytest.fail(f"the workers did not reach {wanted} jobs within a minute")
