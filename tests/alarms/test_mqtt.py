"""The siren's words at a real broker, over real sockets, heard by a real subscriber."""

import asyncio
import json
import time
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

import pytest

from bijlighar.alarms import operations
from bijlighar.alarms.errors import SirenUnreachable
from bijlighar.alarms.model import SIREN_SOURCE, AlarmState, SirenSettings, SirenStep
from bijlighar.alarms.mqtt import REASON_MAX, MqttSiren
from tests.alarms.broker import (
    A_MOMENT_S,
    HOST,
    PASSWORD,
    CutLine,
    RunningBroker,
    kept,
    listening,
    until,
)
from tests.alarms.build import NOW, event
from tests.alarms.room import Room
from tests.simulator.towns import free_ports

TOPIC = "test/siren"
TIMEOUT_S = 1
LONG_S = 3_600
LEASE_S = 15
GRACE_S = 2.0  # what a slow machine may add
REASON = "7: चुंबक, M-N1"


class MovedClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


def a_siren(
    port: int, *, refresh_s: int = LONG_S, clock: MovedClock | None = None, **changes: str
) -> MqttSiren:
    settings = SirenSettings(
        host=HOST, port=port, topic=TOPIC, refresh_s=refresh_s, timeout_s=TIMEOUT_S, **changes
    )
    return MqttSiren(settings=settings, clock=clock or MovedClock())


async def sound(siren: MqttSiren, *, reason: str = REASON) -> None:
    await siren.set(on=True, level="P1", reason=reason, lease_s=LEASE_S)


async def still(siren: MqttSiren) -> None:
    await siren.set(on=False, level="P1", reason="", lease_s=LEASE_S)


async def refusal_of(word: Coroutine[Any, Any, None]) -> tuple[str, float]:
    """The message of a refusal, and how long it took [s]."""
    begun = time.monotonic()
    with pytest.raises(SirenUnreachable) as refused:
        await word
    assert refused.value.code == "alarms.siren-unreachable"
    return str(refused.value), time.monotonic() - begun


class TestSet:
    def test_says_on_with_its_reason_and_its_lease(self):
        async def scenario() -> None:
            async with RunningBroker() as broker, listening(broker.port, TOPIC) as listener:
                siren = a_siren(broker.port)
                await sound(siren)
                (command,) = await listener.wait("set")
                await siren.close()

            assert command.document == {"on": True, "level": "P1", "reason": REASON, "lease_s": LEASE_S}

        asyncio.run(scenario())

    def test_says_off_without_a_lease(self):
        async def scenario() -> None:
            async with RunningBroker() as broker, listening(broker.port, TOPIC) as listener:
                siren = a_siren(broker.port)
                await sound(siren)
                await still(siren)
                commands = await listener.wait("set", 2)
                await siren.close()

            assert commands[1].document == {"on": False, "level": "P1", "reason": "", "lease_s": 0}

        asyncio.run(scenario())

    def test_lets_the_broker_keep_the_state_with_its_time_and_never_the_command(self):
        async def scenario() -> None:
            clock = MovedClock()
            async with RunningBroker() as broker:
                siren = a_siren(broker.port, clock=clock)
                await sound(siren)
                clock.time = NOW + timedelta(minutes=5)
                await still(siren)
                found = await kept(broker.port, TOPIC)
                await siren.close()

            assert found.keys() == {"state", "server"}
            assert json.loads(found["state"]) == {
                "on": False,
                "level": "P1",
                "lease_s": 0,
                "at": "2025-07-17T06:35:00+00:00",
            }

        asyncio.run(scenario())

    def test_repeats_the_same_word_only_after_the_refreshing_time(self):
        async def scenario() -> None:
            async with RunningBroker() as broker, listening(broker.port, TOPIC) as listener:
                siren = a_siren(broker.port, refresh_s=1)
                for _ in range(3):
                    await sound(siren)
                await listener.wait("state")
                await asyncio.sleep(A_MOMENT_S)
                at_once = len(listener.of("set"))
                await asyncio.sleep(1)
                await sound(siren)
                commands = await listener.wait("set", 2)
                await siren.close()

            assert at_once == 1
            assert len(commands) == 2
            assert commands[0].document == commands[1].document

        asyncio.run(scenario())

    def test_says_another_word_at_once(self):
        async def scenario() -> None:
            async with RunningBroker() as broker, listening(broker.port, TOPIC) as listener:
                siren = a_siren(broker.port)
                for word in (sound(siren), sound(siren, reason="8"), still(siren), sound(siren)):
                    await word
                commands = await listener.wait("set", 4)
                await siren.close()

            assert [one.document["reason"] for one in commands] == [REASON, "8", "", REASON]
            assert [one.document["on"] for one in commands] == [True, True, False, True]

        asyncio.run(scenario())

    def test_cuts_a_reason_that_is_too_long(self):
        async def scenario() -> None:
            async with RunningBroker() as broker, listening(broker.port, TOPIC) as listener:
                siren = a_siren(broker.port)
                await sound(siren, reason="च" * (REASON_MAX + 1))
                (command,) = await listener.wait("set")
                await siren.close()

            assert command.document["reason"] == "च" * REASON_MAX

        asyncio.run(scenario())

    def test_gives_the_broker_user_and_password(self):
        async def scenario() -> None:
            async with RunningBroker(guarded=True) as broker:
                siren = a_siren(broker.port, username="plant", password=PASSWORD)
                await sound(siren)
                assert await siren.probe()
                await siren.close()

                stranger = a_siren(broker.port, username="plant", password="guess")
                message, _ = await refusal_of(sound(stranger))
                await stranger.close()

            assert message.startswith(f"the siren's broker {HOST}:{broker.port} does not answer (")
            assert "guess" not in message

        asyncio.run(scenario())


class TestUnreachable:
    def test_says_where_nobody_answers_and_takes_the_next_word_when_it_is_back(self):
        async def scenario() -> None:
            async with RunningBroker() as broker:
                siren = a_siren(broker.port)
                await sound(siren)
                await broker.stop()
                first, first_s = await refusal_of(still(siren))
                second, second_s = await refusal_of(still(siren))
                await broker.start()
                async with listening(broker.port, TOPIC) as listener:
                    await still(siren)
                    (command,) = await listener.wait("set")
                    await siren.close()

            for message in (first, second):
                assert message.startswith(f"the siren's broker {HOST}:{broker.port} does not answer (")
            assert "refused" in second
            assert max(first_s, second_s) < TIMEOUT_S + GRACE_S
            assert command.document["on"] is False

        asyncio.run(scenario())

    def test_says_the_same_word_again_to_a_broker_that_was_away(self):
        async def scenario() -> None:
            async with RunningBroker() as broker:
                siren = a_siren(broker.port)
                await sound(siren)
                await broker.stop()
                await refusal_of(still(siren))
                await broker.start()
                async with listening(broker.port, TOPIC) as listener:
                    await sound(siren)
                    (command,) = await listener.wait("set")
                    await siren.close()

            assert command.document["on"] is True

        asyncio.run(scenario())

    def test_gives_up_in_time_on_a_broker_that_takes_the_call_and_says_nothing(self):
        async def scenario() -> None:
            async with RunningBroker() as broker, CutLine(to=broker.port) as line:
                line.mute = True
                siren = a_siren(line.port)
                message, seconds = await refusal_of(sound(siren))
                await siren.close()

            assert message == f"the siren's broker {HOST}:{line.port} does not answer (it is too slow)"
            assert seconds < TIMEOUT_S + GRACE_S

        asyncio.run(scenario())

    def test_leaves_no_connection_behind_at_a_mute_broker(self):
        async def scenario() -> None:
            async with RunningBroker() as broker, CutLine(to=broker.port) as line:
                line.mute = True
                siren = a_siren(line.port)
                standing = []
                for _ in range(4):
                    await refusal_of(sound(siren))
                    standing.append(line.standing)
                await siren.close()
                await until(lambda: line.standing == 0)

            assert line.accepted >= 2, "it was tried anew"
            assert max(standing) == 1

        asyncio.run(scenario())

    def test_gives_up_in_time_on_a_broker_that_falls_mute_and_goes_on_when_it_speaks(self):
        async def scenario() -> None:
            async with (
                RunningBroker() as broker,
                CutLine(to=broker.port) as line,
                listening(broker.port, TOPIC) as listener,
            ):
                siren = a_siren(line.port)
                await sound(siren)
                line.mute = True
                message, seconds = await refusal_of(still(siren))
                line.mute = False
                await still(siren)
                commands = await listener.wait("set", 2)
                await siren.close()

            assert message.endswith("does not answer (it is too slow)")
            assert seconds < TIMEOUT_S + GRACE_S
            assert [one.document["on"] for one in commands] == [True, False]

        asyncio.run(scenario())


class TestServer:
    def test_is_online_from_the_first_word_and_offline_after_the_last(self):
        async def scenario() -> None:
            async with RunningBroker() as broker, listening(broker.port, TOPIC) as listener:
                siren = a_siren(broker.port)
                await sound(siren)
                assert [one.text for one in await listener.wait("server")] == ["online"]
                await siren.close()
                assert [one.text for one in await listener.wait("server", 2)] == ["online", "offline"]
                found = await kept(broker.port, TOPIC)

            assert found["server"] == "offline"

        asyncio.run(scenario())

    def test_is_said_by_the_broker_to_be_offline_when_the_connection_breaks(self):
        async def scenario() -> None:
            async with (
                RunningBroker() as broker,
                CutLine(to=broker.port) as line,
                listening(broker.port, TOPIC) as listener,
            ):
                siren = a_siren(line.port)
                await sound(siren)
                await listener.wait("server")
                line.cut()
                broken = [one.text for one in await listener.wait("server", 2)]
                found = await kept(broker.port, TOPIC)
                await refusal_of(still(siren))
                await still(siren)
                mended = [one.text for one in await listener.wait("server", 3)]
                await siren.close()

            assert broken == ["online", "offline"]
            assert found["server"] == "offline"
            assert mended == ["online", "offline", "online"]

        asyncio.run(scenario())


class TestProbe:
    def test_tells_whether_the_broker_takes_a_word_and_sounds_nothing(self):
        async def scenario() -> None:
            async with RunningBroker() as broker, listening(broker.port, TOPIC) as listener:
                siren = a_siren(broker.port)
                assert await siren.probe() is True
                await listener.wait("server")
                await siren.close()
                await listener.wait("server", 2)
                topics = {one.topic for one in listener.heard}
            assert topics == {"server"}

            assert await siren.probe() is False

        asyncio.run(scenario())


class TestClose:
    def test_waits_for_no_broker(self):
        async def scenario() -> None:
            async with RunningBroker() as broker, CutLine(to=broker.port) as line:
                siren = a_siren(line.port)
                await sound(siren)
                line.mute = True
                begun = time.monotonic()
                await siren.close()
                seconds = time.monotonic() - begun

            assert seconds < TIMEOUT_S

        asyncio.run(scenario())

    def test_does_nothing_where_nothing_was_said(self):
        async def scenario() -> None:
            siren = a_siren(free_ports(1))
            await siren.close()
            await siren.close()

        asyncio.run(scenario())


class TestDriveSiren:
    def test_sounds_for_a_tamper_until_a_person_acknowledges_it(self, room: Room):
        async def scenario() -> None:
            async with RunningBroker() as broker, listening(broker.port, TOPIC) as listener:
                siren = a_siren(broker.port)

                async def drive() -> SirenStep:
                    return await operations.drive_siren(room.database, output=siren, now=NOW, lease_s=LEASE_S)

                assert await drive() == SirenStep(required=False, reached=True)
                room.tell(event())
                assert await drive() == SirenStep(required=True, reached=True)
                room.acknowledge()
                assert await drive() == SirenStep(required=False, reached=True)
                commands = [one.document for one in await listener.wait("set", 3)]
                await siren.close()

            assert [one["on"] for one in commands] == [False, True, False]
            assert [one["reason"] for one in commands] == ["", "1: Magnet influence, M-N1", ""]
            assert [one["lease_s"] for one in commands] == [0, LEASE_S, 0]

        asyncio.run(scenario())

    def test_raises_an_alarm_about_a_broker_that_is_away_and_ends_it_when_it_is_back(self, room: Room):
        async def scenario() -> None:
            room.tell(event())
            async with RunningBroker() as broker:
                siren = a_siren(broker.port)
                await broker.stop()
                away = await operations.drive_siren(room.database, output=siren, now=NOW)
                assert room.alarm(2).source == SIREN_SOURCE
                assert room.state(2) is AlarmState.UNACKNOWLEDGED
                await broker.start()
                back = await operations.drive_siren(room.database, output=siren, now=NOW)
                await siren.close()

            assert away == SirenStep(required=True, reached=False)
            assert back == SirenStep(required=True, reached=True)
            assert room.state(2) is AlarmState.CLEARED

        asyncio.run(scenario())
