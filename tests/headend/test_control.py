"""Control commands against a real socket: what the meter was made to do, and what is said about it."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bijlighar.headend import control_steps, control_store, queries
from bijlighar.headend.control_queue import (
    CONTROL_KINDS,
    LOOK_KIND,
    cancel_control,
    queue_control,
    recover,
)
from bijlighar.headend.control_steps import Run
from bijlighar.headend.gate_door import gate_of
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.model import (
    Ceilings,
    CommandState,
    ControlAction,
    ControlCommand,
    GateCode,
    RelayReading,
    SignedOrder,
)
from bijlighar.headend.operations import run_control_due
from bijlighar.storage import jobs
from bijlighar.storage.engine import Database
from tests.headend.conftest import FAST
from tests.headend.meter import Meter, until
from tests.headend.orders import NOW, OTHER_PRIVATE_KEY, order, reconnection, signed
from tests.headend.town import hang

CLOSED = RelayReading(output_state=True, control_state=1, control_mode=4)


async def with_meter(database: Database, meter: Meter, *, url: str | None = None) -> None:
    address = await meter.start()
    hang(database, serial=meter.keys.serial, url=url or address, keys=[meter.keys])


def queue(database: Database, shown: SignedOrder, *, now: datetime = NOW) -> bool:
    with database.write() as connection:
        return queue_control(connection, signed=shown, now=now)


def command(database: Database, order_id: str = "D-1") -> ControlCommand:
    with database.read() as connection:
        found = queries.control_command(connection, order_id=order_id)
    assert found is not None
    return found


def gate_codes(database: Database) -> list[GateCode]:
    with database.read() as connection:
        return [entry.code for entry in queries.gate_log(connection)]


def pending(database: Database, now: datetime = NOW) -> int:
    with database.read() as connection:
        return queries.pending_control(connection, now=now)


def finished(database: Database) -> list[tuple[str, CommandState]]:
    with database.read() as connection:
        return [(one.order_id, one.state) for one in queries.finished_commands(connection, after=0)]


async def tick(database: Database, head_end: HeadEnd, *, now: datetime = NOW) -> int:
    return await run_control_due(database, now=now, wall=now, head_end=head_end)


def admitted_and_sent(run: Run) -> bool:
    """Take a command past the gate to where its octets may leave."""
    request = control_steps.ask(run, CLOSED)
    assert request is not None
    asking = run.gate.grant(request, now=run.now)
    with pytest.raises(StopIteration) as answer:  # the gate within this process answers without waiting
        asking.send(None)
    return control_steps.send(run, answer.value.value) is not None


class TestQueueControl:
    def test_takes_an_order_once(self, database: Database):
        assert queue(database, signed())
        assert not queue(database, signed())
        assert pending(database) == 1

    def test_belongs_to_the_transaction_of_the_caller(self, database: Database):
        with pytest.raises(RuntimeError):
            _queue_and_fail(database)

        assert pending(database) == 0
        with database.read() as connection:
            assert queries.control_command(connection, order_id="D-1") is None


def _queue_and_fail(database: Database) -> None:
    with database.write() as connection:
        queue_control(connection, signed=signed(), now=NOW)
        raise RuntimeError


class TestRunControlDue:
    def test_opens_the_relay_and_reads_it_back(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, signed())
            assert await tick(database, head_end) == 1
            return meter

        meter = run(scenario())

        done = command(database)
        assert (done.state, done.output_state, done.control_state) == (CommandState.VERIFIED, False, 0)
        assert done.event_code == 301
        assert (meter.actions, meter.closed) == (["disconnect"], False)
        assert finished(database) == [("D-1", CommandState.VERIFIED)]
        assert gate_codes(database) == [GateCode.ADMITTED]
        with database.read() as connection:
            assert queries.relay_belief(connection) == {meter.keys.serial: False}
            (row,) = queries.sessions(connection)
        assert (row.outcome, row.purpose.value) == ("headend.ok", "control")
        assert row.octets_in > 0

    def test_closes_the_relay_and_reads_it_back(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = Meter(closed=False, control_state=0)
            await with_meter(database, meter)
            queue(database, signed(reconnection()))
            await tick(database, head_end)
            return meter

        meter = run(scenario())

        assert command(database, "R-1").state is CommandState.VERIFIED
        assert (meter.actions, meter.closed) == (["reconnect"], True)

    def test_sends_nothing_to_a_relay_that_is_where_it_should_be(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> Meter:
            meter = Meter(closed=False, control_state=0)
            await with_meter(database, meter)
            queue(database, signed())
            await tick(database, head_end)
            return meter

        assert run(scenario()).actions == []
        assert command(database).state is CommandState.VERIFIED

    def test_runs_reconnections_before_disconnections(self, database: Database, run):
        async def scenario() -> list[str]:
            head_end = open_head_end(database, settings=replace(FAST, control_concurrency=1))
            one, other = (
                Meter(),
                Meter(keys=replace(Meter().keys, serial="BJ100002", system_title=b"TITLE002")),
            )
            other.closed, other.control_state = False, 0
            await with_meter(database, one)
            await with_meter(database, other)
            queue(database, signed())
            queue(database, signed(reconnection(serial="BJ100002")))
            await tick(database, head_end)
            with database.read() as connection:
                return [one.order_id for one in queries.finished_commands(connection, after=0)]

        assert run(scenario()) == ["R-1", "D-1"]

    @pytest.mark.parametrize(
        ("shown", "code"),
        [
            (SignedOrder(order=order(), signature=b""), GateCode.UNSIGNED),
            (signed(key=OTHER_PRIVATE_KEY), GateCode.ALTERED),
            (
                SignedOrder(order=order(feeder="F-9"), signature=signed().signature),
                GateCode.ALTERED,
            ),
            (signed(order(approved_by="clerk")), GateCode.NOT_APPROVED),
            (signed(order(issued_at=NOW + timedelta(hours=1))), GateCode.NOT_YET),
        ],
    )
    def test_opens_nothing_that_the_gate_refuses(
        self, database: Database, head_end: HeadEnd, run, shown: SignedOrder, code: GateCode
    ):
        async def scenario() -> Meter:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, shown)
            await tick(database, head_end)
            return meter

        meter = run(scenario())

        assert (meter.closed, meter.actions, meter.sessions) == (True, [], 0)
        assert (command(database).state, command(database).reason_code) == (CommandState.REFUSED, code.value)
        assert gate_codes(database) == [code]
        assert pending(database, NOW + timedelta(days=9)) == 0

    def test_opens_nothing_past_a_ceiling(self, database: Database, run):
        async def scenario() -> list[Meter]:
            head_end = open_head_end(database, settings=replace(FAST, ceilings=Ceilings(per_hour=2)))
            meters = []
            for number in range(4):
                serial = f"BJ10000{number}"
                meter = Meter(
                    keys=replace(Meter().keys, serial=serial, system_title=f"TITLE00{number}".encode())
                )
                await with_meter(database, meter)
                meters.append(meter)
                queue(database, signed(order(order_id=f"D-{number}", serial=serial)))
            await tick(database, head_end)
            return meters

        meters = run(scenario())

        assert sum(not meter.closed for meter in meters) == 2
        states = [state for _, state in finished(database)]
        assert sorted(state.value for state in states) == ["refused", "refused", "verified", "verified"]
        assert gate_codes(database).count(GateCode.CEILING_HOUR) == 2

    @pytest.mark.parametrize("settings", [replace(FAST, verify_key=None), replace(FAST, ceilings=None)])
    def test_opens_nothing_with_a_broken_gate(self, database: Database, run, settings):
        async def scenario() -> Meter:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, signed())
            await tick(database, open_head_end(database, settings=settings))
            return meter

        assert run(scenario()).actions == []
        assert command(database).state is CommandState.REFUSED

    def test_refuses_a_command_whose_stored_order_was_put_in_place_of_another(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> Meter:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, signed())
            other = control_store.order_document(order(serial="BJ999999"))
            with database.write() as connection:
                table = control_store.command_table
                connection.execute(table.update().values(document=other))
            await tick(database, head_end)
            return meter

        assert run(scenario()).actions == []
        assert gate_codes(database) == [GateCode.ALTERED]

    def test_refuses_a_stored_order_that_cannot_be_read(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, signed())
            with database.write() as connection:
                connection.execute(control_store.command_table.update().values(document={"order_id": 1}))
            await tick(database, head_end)
            return meter

        assert run(scenario()).actions == []
        assert gate_codes(database) == [GateCode.BROKEN]

    def test_retries_a_silent_meter_until_its_time_is_over(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> tuple[Meter, list[int]]:
            meter = Meter(silent=True)
            await with_meter(database, meter)
            queue(database, signed(order(expires_at=NOW + timedelta(minutes=10))))
            tried = [
                await tick(database, head_end, now=NOW + timedelta(minutes=minute)) for minute in range(12)
            ]
            return meter, tried

        meter, tried = run(scenario())

        assert tried == [1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0]  # the last ends it at its last moment
        assert meter.actions == []
        assert command(database).state is CommandState.EXPIRED
        assert finished(database) == [("D-1", CommandState.EXPIRED)]
        assert pending(database, NOW + timedelta(minutes=12)) == 0

    def test_sends_once_a_silent_meter_answers_again(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = Meter(mute=True)
            await with_meter(database, meter)
            queue(database, signed())
            await tick(database, head_end)
            assert command(database).state is CommandState.REQUESTED
            assert pending(database) == 0
            meter.mute = False
            await tick(database, head_end, now=NOW + timedelta(minutes=2))
            return meter

        assert run(scenario()).actions == ["disconnect"]
        assert command(database).state is CommandState.VERIFIED

    @pytest.mark.parametrize(
        ("fault", "opened"),
        [("die_before_action", False), ("die_after_action", True), ("die_at_read_back", True)],
    )
    def test_reads_a_disconnection_whose_answer_is_lost_and_never_sends_it_again(
        self, database: Database, head_end: HeadEnd, run, fault: str, opened: bool
    ):
        async def scenario() -> Meter:
            meter = Meter(**{fault: True})
            await with_meter(database, meter)
            queue(database, signed())
            await tick(database, head_end)
            for hours in range(1, 5):
                await tick(database, head_end, now=NOW + timedelta(hours=hours))
            return meter

        meter = run(scenario())

        assert meter.actions == (["disconnect"] if opened else [])
        expected = CommandState.VERIFIED if opened else CommandState.FAILED
        assert command(database).state is expected
        assert finished(database) == [("D-1", expected)]

    def test_says_unknown_as_long_as_nobody_knows(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> list[CommandState]:
            meter = Meter(die_after_action=True)
            await with_meter(database, meter)
            queue(database, signed())
            states = []
            meter_answers = asyncio.get_running_loop().create_task(_silence_after_action(meter))
            await tick(database, head_end)
            states.append(command(database).state)
            assert finished(database) == [("D-1", CommandState.UNKNOWN)]
            assert pending(database) == 0
            meter.silent = False
            await tick(database, head_end, now=NOW + timedelta(hours=1))
            states.append(command(database).state)
            meter_answers.cancel()
            assert meter.actions == ["disconnect"]
            return states

        assert run(scenario()) == [CommandState.UNKNOWN, CommandState.VERIFIED]

    def test_sends_a_reconnection_again_until_it_is_verified(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> Meter:
            meter = Meter(closed=False, control_state=0, die_before_action=True)
            await with_meter(database, meter)
            queue(database, signed(reconnection()))
            await tick(database, head_end)
            assert command(database, "R-1").state is CommandState.REQUESTED
            meter.die_before_action = False
            await tick(database, head_end, now=NOW + timedelta(minutes=5))
            return meter

        meter = run(scenario())

        assert meter.actions == ["reconnect"]
        assert command(database, "R-1").state is CommandState.VERIFIED
        assert gate_codes(database) == [GateCode.ADMITTED, GateCode.ADMITTED]

    def test_waits_for_the_button_where_the_meter_needs_one(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = Meter(closed=False, control_state=0, control_mode=3)
            await with_meter(database, meter)
            queue(database, signed(reconnection()))
            await tick(database, head_end)
            assert command(database, "R-1").reason_code == "headend.ready-for-reconnection"
            meter.closed, meter.control_state = True, 1
            await tick(database, head_end, now=NOW + timedelta(hours=1))
            return meter

        run(scenario())

        assert command(database, "R-1").state is CommandState.VERIFIED

    def test_says_that_a_stuck_relay_has_not_moved(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> None:
            meter = Meter(stuck=True)
            await with_meter(database, meter)
            queue(database, signed())
            await tick(database, head_end)

        run(scenario())

        done = command(database)
        assert (done.state, done.reason_code) == (CommandState.FAILED, "headend.relay-not-moved")
        assert done.output_state is True

    def test_says_that_the_meter_has_refused(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> None:
            meter = Meter(refuse_action=True)
            await with_meter(database, meter)
            queue(database, signed())
            await tick(database, head_end)

        run(scenario())

        done = command(database)
        assert (done.state, done.reason_code) == (CommandState.FAILED, "headend.access-refused")
        assert "read-write-denied" in done.reason_text

    def test_gives_up_at_once_where_there_is_no_relay_to_reach(
        self, database: Database, head_end: HeadEnd, run
    ):
        hang(database, serial="BJ100001", url="", keys=[Meter().keys])
        queue(database, signed())

        run(tick(database, head_end))

        assert (command(database).state, command(database).reason_code) == (
            CommandState.FAILED,
            "headend.no-relay",
        )

    def test_gives_up_where_the_relay_may_not_be_operated_from_afar(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> Meter:
            meter = Meter(control_mode=0)
            await with_meter(database, meter)
            queue(database, signed())
            await tick(database, head_end)
            return meter

        assert run(scenario()).actions == []
        assert command(database).reason_code == "headend.control-mode"

    def test_does_not_believe_another_meter_at_the_address(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            stranger = Meter(keys=replace(Meter().keys, system_title=b"STRANGER"))
            url = await stranger.start()
            hang(database, serial="BJ100001", url=url, keys=[Meter().keys])
            queue(database, signed())
            await tick(database, head_end)
            return stranger

        assert run(scenario()).actions == []
        assert command(database).reason_code == "dlms.wrong-title"
        assert command(database).state is CommandState.REQUESTED

    def test_does_not_believe_a_meter_without_the_keys(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            impostor = Meter(keys=replace(Meter().keys, ak=b"X" * 16))
            url = await impostor.start()
            hang(database, serial="BJ100001", url=url, keys=[Meter().keys])
            queue(database, signed())
            await tick(database, head_end)
            return impostor

        assert run(scenario()).actions == []
        assert command(database).state is CommandState.REQUESTED


async def _silence_after_action(meter: Meter) -> None:
    await until(lambda: bool(meter.actions))
    meter.silent = True


class TestCancelControl:
    def test_stops_a_command_that_has_not_left(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, signed())
            with database.write() as connection:
                assert cancel_control(connection, order_id="D-1", now=NOW)
            await tick(database, head_end)
            return meter

        meter = run(scenario())

        assert (meter.actions, meter.sessions) == ([], 0)
        assert command(database).state is CommandState.CANCELLED
        assert finished(database) == []
        assert pending(database) == 0

    def test_says_that_it_is_too_late(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> None:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, signed())
            await tick(database, head_end)

        run(scenario())

        with database.write() as connection:
            assert not cancel_control(connection, order_id="D-1", now=NOW)
        assert command(database).state is CommandState.VERIFIED

    def test_wins_against_a_session_that_is_about_to_send(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, signed())
            canceller = asyncio.create_task(_cancel_once_connected(database, meter))
            await tick(database, head_end)
            assert await canceller
            return meter

        meter = run(scenario())

        assert meter.sessions > 0
        assert meter.actions == []
        assert command(database).state is CommandState.CANCELLED

    def test_tells_the_truth_in_every_race(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> list[tuple[bool, bool]]:
            outcomes = []
            for number in range(12):
                serial = f"BJ2000{number:02}"
                keys = replace(Meter().keys, serial=serial, system_title=f"TITLE0{number:02}".encode())
                meter = Meter(keys=keys)
                await with_meter(database, meter)
                queue(database, signed(order(order_id=f"C-{number}", serial=serial)))
                sending = asyncio.create_task(tick(database, head_end))
                for _ in range(number * 2):
                    await asyncio.sleep(0.001)
                with database.write() as connection:
                    stopped = cancel_control(connection, order_id=f"C-{number}", now=NOW)
                await sending
                outcomes.append((stopped, meter.closed))
            return outcomes

        outcomes = run(scenario())

        assert all(stopped == closed for stopped, closed in outcomes)

    def test_lets_a_later_reconnection_stand_against_a_waiting_disconnection(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> Meter:
            meter = Meter(silent=True)
            await with_meter(database, meter)
            queue(database, signed())
            await tick(database, head_end)
            queue(database, signed(reconnection()))
            meter.silent = False
            await tick(database, head_end, now=NOW + timedelta(minutes=2))
            return meter

        meter = run(scenario())

        assert meter.actions == []
        assert command(database).reason_code == GateCode.SUPERSEDED.value
        assert command(database, "R-1").state is CommandState.VERIFIED

    def test_does_not_let_an_earlier_reconnection_stand_against_a_disconnection(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> Meter:
            meter = Meter(closed=False, control_state=0)
            await with_meter(database, meter)
            queue(database, signed(reconnection()))
            await tick(database, head_end)
            queue(database, signed())
            await tick(database, head_end)
            return meter

        assert run(scenario()).actions == ["reconnect", "disconnect"]


async def _cancel_once_connected(database: Database, meter: Meter) -> bool:
    await until(lambda: "0.0.96.3.10.255/2" in meter.asked)
    with database.write() as connection:
        return cancel_control(connection, order_id="D-1", now=NOW)


class TestRecover:
    def crash_after_send(self, database: Database, head_end: HeadEnd) -> None:
        """Leave things as a process leaves them that is killed between SENT and the meter's answer."""
        (job,) = jobs.claim(
            database, kinds=CONTROL_KINDS, worker="dead", now=NOW, wall=NOW, lease_s=240, limit=1
        )
        run = Run(
            database=database, head_end=head_end, gate=gate_of(database, head_end=head_end), job=job, now=NOW
        )
        assert control_steps.begin(run) is not None
        assert admitted_and_sent(run)

    @pytest.mark.parametrize("opened", [True, False])
    def test_reads_a_disconnection_that_may_have_left(
        self, database: Database, head_end: HeadEnd, run, opened: bool
    ):
        async def scenario() -> Meter:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, signed())
            self.crash_after_send(database, head_end)
            if opened:
                meter.closed, meter.control_state = False, 0
            assert recover(database, now=NOW, wall=NOW, worker="dead") == 1
            assert command(database).state is CommandState.UNKNOWN
            await tick(database, head_end)
            return meter

        meter = run(scenario())

        assert meter.actions == []
        assert command(database).state is (CommandState.VERIFIED if opened else CommandState.FAILED)
        assert pending(database, NOW + timedelta(days=9)) == 0

    def test_never_sends_it_again_even_if_only_the_job_was_put_back(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> Meter:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, signed())
            self.crash_after_send(database, head_end)
            with database.write() as connection:
                jobs.recover(connection, wall=NOW, now=NOW, worker="dead")
            await tick(database, head_end)
            return meter

        assert run(scenario()).actions == []
        assert command(database).state is CommandState.FAILED

    def test_reads_it_also_where_its_job_was_marked_unknown(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, signed())
            self.crash_after_send(database, head_end)
            with database.write() as connection:
                jobs.recover(connection, wall=NOW, now=NOW, worker="dead", unknown_kinds=CONTROL_KINDS)
            recover(database, now=NOW, wall=NOW, worker="dead")
            await tick(database, head_end)
            return meter

        assert run(scenario()).actions == []
        assert command(database).state is CommandState.FAILED

    def test_leaves_what_a_living_process_is_at(self, database: Database, head_end: HeadEnd):
        hang(database, serial="BJ100001", url="tcp://127.0.0.1:9", keys=[Meter().keys])
        queue(database, signed())
        self.crash_after_send(database, head_end)

        assert recover(database, now=NOW, wall=NOW, worker="another") == 0
        assert command(database).state is CommandState.SENT

    def test_takes_over_when_the_lease_runs_out(self, database: Database, head_end: HeadEnd):
        hang(database, serial="BJ100001", url="tcp://127.0.0.1:9", keys=[Meter().keys])
        queue(database, signed())
        self.crash_after_send(database, head_end)

        assert recover(database, now=NOW, wall=NOW + timedelta(seconds=241)) == 1
        assert command(database).state is CommandState.UNKNOWN

    def test_sends_a_reconnection_again(self, database: Database, head_end: HeadEnd, run):
        async def scenario() -> Meter:
            meter = Meter(closed=False, control_state=0)
            await with_meter(database, meter)
            queue(database, signed(reconnection()))
            self.crash_after_send(database, head_end)
            assert recover(database, now=NOW, wall=NOW, worker="dead") == 1
            await tick(database, head_end)
            return meter

        assert run(scenario()).actions == ["reconnect"]
        assert command(database, "R-1").state is CommandState.VERIFIED

    def test_gives_an_unsent_command_that_lost_its_job_a_new_one(
        self, database: Database, head_end: HeadEnd, run
    ):
        async def scenario() -> Meter:
            meter = Meter()
            await with_meter(database, meter)
            queue(database, signed())
            jobs.claim(database, kinds=CONTROL_KINDS, worker="dead", now=NOW, wall=NOW, lease_s=240)
            with database.write() as connection:
                jobs.recover(connection, wall=NOW, now=NOW, worker="dead", unknown_kinds=CONTROL_KINDS)
            assert recover(database, now=NOW, wall=NOW, worker="dead") == 1
            await tick(database, head_end)
            return meter

        assert run(scenario()).actions == ["disconnect"]
        assert command(database).state is CommandState.VERIFIED

    def test_changes_nothing_the_second_time(self, database: Database, head_end: HeadEnd):
        hang(database, serial="BJ100001", url="tcp://127.0.0.1:9", keys=[Meter().keys])
        queue(database, signed())
        self.crash_after_send(database, head_end)
        recover(database, now=NOW, wall=NOW, worker="dead")

        assert recover(database, now=NOW, wall=NOW, worker="dead") == 0
        assert pending(database) == 2  # the freed job, which finds nothing left to do, and the reading

    def test_counts_what_a_paused_worker_found_out_although_its_lease_is_gone(
        self, database: Database, head_end: HeadEnd
    ):
        hang(database, serial="BJ100001", url="tcp://127.0.0.1:9", keys=[Meter().keys])
        queue(database, signed())
        (job,) = jobs.claim(
            database, kinds=CONTROL_KINDS, worker="slow", now=NOW, wall=NOW, lease_s=240, limit=1
        )
        paused = Run(
            database=database, head_end=head_end, gate=gate_of(database, head_end=head_end), job=job, now=NOW
        )
        control_steps.begin(paused)
        assert admitted_and_sent(paused)
        recover(database, now=NOW, wall=NOW + timedelta(seconds=241))

        opened = RelayReading(output_state=False, control_state=0, control_mode=4)
        control_steps.conclude(paused, relay=opened, event_code=301, result=0)

        assert command(database).state is CommandState.VERIFIED
        (look,) = jobs.claim(
            database, kinds=[LOOK_KIND], worker="other", now=NOW, wall=NOW, lease_s=240, limit=1
        )
        assert control_steps.begin(replace(paused, job=look)) is None


class TestHeldCommand:
    def test_is_told_apart_by_action(self, database: Database):
        queue(database, signed())
        queue(database, signed(reconnection()))

        with database.write() as connection:
            actions = [control_store.hold(connection, order_id=one).command.action for one in ("D-1", "R-1")]

        assert actions == [ControlAction.DISCONNECT, ControlAction.RECONNECT]
