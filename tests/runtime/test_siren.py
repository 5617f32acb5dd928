"""The worker and a real broker: the siren is driven every few seconds, and the worker ends at once."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

import pytest

from bijlighar.alarms import operations as alarms
from bijlighar.alarms import queries as alarm_queries
from bijlighar.alarms.model import SIREN_SOURCE, AlarmState, SirenSettings
from bijlighar.base.words import Words
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Office, OfficeLevel, Role
from bijlighar.readings import operations as readings
from bijlighar.readings.model import MeterEvent
from bijlighar.runtime.clock import wall
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.processes import run_worker
from tests.alarms.broker import HOST, CutLine, Listener, RunningBroker, kept, listening, until
from tests.simulator.towns import free_ports

TOPIC = "test/siren"
#: From a commit to the siren, on a machine that has more to do.
PROMPT_S = 3.0
#: The siren's "on" is a lease of 15 s; it is said again every 5 s.
REFRESH_S, LEASE_S = 5.0, 15
STOP_S = 1.0
LineTo = Callable[[int], Line]
NEW = AlarmState.UNACKNOWLEDGED


class Worker:
    """The worker of a line, in a thread as `bijlighar serve` runs it."""

    def __init__(self, line: Line) -> None:
        self._stop = threading.Event()
        self.problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(line,))

    async def __aenter__(self) -> "Worker":
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _run(self, line: Line) -> None:
        try:
            run_worker(line, stop=self._stop)
        except BaseException as problem:
            self.problem = problem

    async def stop(self) -> float:
        """Stop it and return how long that took [s]."""
        begun = time.monotonic()
        self._stop.set()
        await asyncio.to_thread(self._thread.join, 30)
        assert not self._thread.is_alive()
        assert self.problem is None
        return time.monotonic() - begun


@pytest.fixture
def line_to(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[LineTo]:
    """Open the home anew with its siren behind the broker at a port."""
    opened: list[Home] = []

    def open_line(port: int) -> Line:
        monkeypatch.setenv("BIJLIGHAR_SIREN_MQTT_HOST", HOST)
        monkeypatch.setenv("BIJLIGHAR_SIREN_MQTT_PORT", str(port))
        monkeypatch.setenv("BIJLIGHAR_SIREN_TOPIC", TOPIC)
        opened.append(Home(home.path))
        return Line(opened[-1], worker="worker@test")

    yield open_line
    for one in opened:
        one.database.close()


def tamper(line: Line) -> None:
    now = wall()
    event = MeterEvent(meter="M-1", code=251, at=now, family="other", origin="push", received_at=now)
    with line.database.write() as connection:
        readings.append_events(connection, events=[event], now=now)


def employ_operator(line: Line) -> None:
    office = Office(code="MHOW", name=Words(hi="महू", en="Mhow"), level=OfficeLevel.COMPANY, parent=None)
    with line.database.write() as connection:
        offices.add_office(connection, office=office)
        offices.add_person(
            connection, sign_in="vijay", name="Vijay", office="MHOW", roles=(Role.OPERATOR,), now=wall()
        )


def states(line: Line) -> dict[str, AlarmState]:
    with line.database.read() as connection:
        return {alarm.source: alarm.state for alarm in alarm_queries.alarms(connection)}


async def word(listener: Listener, *, on: bool) -> float:
    """Wait for the newest word to be this one, and return how long it took [s]."""
    begun = time.monotonic()
    await until(lambda: bool(listener.of("set")) and listener.of("set")[-1].document["on"] is on)
    return time.monotonic() - begun


class TestWorkerWithSiren:
    def test_sounds_it_at_once_again_and_again_until_it_is_acknowledged_and_leaves_in_good_order(
        self, line_to: LineTo
    ):
        async def scenario() -> None:
            async with (
                RunningBroker() as broker,
                listening(broker.port, TOPIC) as listener,
                Worker(line := line_to(broker.port)) as worker,
            ):
                employ_operator(line)
                await word(listener, on=False)

                tamper(line)
                called_s = await word(listener, on=True)
                begun = time.monotonic()
                await until(lambda: sum(one.document["on"] for one in listener.of("set")) == 2)
                again_s = time.monotonic() - begun

                alarms.acknowledge(line.database, number=1, person="vijay", now=wall())
                silent_s = await word(listener, on=False)

                stopped_s = await worker.stop()
                found = await kept(broker.port, TOPIC)

            commands = [one.document for one in listener.of("set")]
            assert {one["lease_s"] for one in commands if one["on"]} == {LEASE_S}
            assert called_s < PROMPT_S
            assert again_s < LEASE_S / 2, "the lease is renewed long before it ends"
            assert again_s > REFRESH_S / 2, "and not with every look"
            assert silent_s < PROMPT_S
            assert stopped_s < STOP_S
            assert found["server"] == "offline"

        asyncio.run(scenario())

    def test_says_that_the_siren_is_out_of_reach_and_ends_at_once(self, line_to: LineTo):
        async def scenario() -> None:
            line = line_to(free_ports(1))
            async with Worker(line) as worker:
                tamper(line)
                await until(lambda: states(line) == {SIREN_SOURCE: NEW, "M-1": NEW})
                stopped_s = await worker.stop()

            assert stopped_s < STOP_S

        asyncio.run(scenario())

    def test_waits_for_a_mute_broker_no_longer_than_for_one_word(self, line_to: LineTo):
        async def scenario() -> None:
            async with RunningBroker() as broker, CutLine(to=broker.port) as cut:
                cut.mute = True
                async with Worker(line_to(cut.port)) as worker:
                    await until(lambda: cut.accepted > 0)
                    stopped_s = await worker.stop()
                await until(lambda: cut.standing == 0)

            assert stopped_s < SirenSettings(host=HOST).timeout_s + STOP_S

        asyncio.run(scenario())
