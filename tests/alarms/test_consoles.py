from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bijlighar.alarms import consoles, operations, queries
from bijlighar.alarms.errors import ImplausibleBeat
from bijlighar.alarms.model import (
    CONSOLE_NAMES,
    CONTROL_ROOM_SOURCE,
    NO_CONSOLE_CODE,
    REASON_NAMES,
    Alarm,
    AlarmState,
    Beat,
    Console,
    ConsoleReason,
    ConsoleState,
    JournalEvent,
    Priority,
    SirenLevel,
)
from bijlighar.offices.errors import NotPermitted
from bijlighar.offices.model import Role
from tests.alarms.build import HOUR, MINUTE, NOW, event
from tests.alarms.room import Room

SECOND = timedelta(seconds=1)
#: The wall clock: not that of the home.
WALL = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
ARMED = Beat(console="console-1", state="armed", heard_at=NOW - HOUR)
NOT_ARMED = replace(ARMED, state="not_armed", reason="suspended")


def beat(room: Room, told: Beat = ARMED, *, person: str = "vijay", wall: datetime = WALL) -> Console:
    return operations.beat(room.database, beat=told, person=person, now=NOW, wall=wall)


def watch(room: Room, *, wall: datetime, required: bool = True, since: datetime | None = None) -> int:
    return operations.watch_consoles(
        room.database, now=NOW, wall=wall, required=required, listening_since=since
    )


def unwatched(room: Room) -> list[AlarmState]:
    with room.database.read() as connection:
        return [alarm.state for alarm in queries.alarms(connection, source=CONTROL_ROOM_SOURCE)]


def known(room: Room) -> tuple[Console, ...]:
    with room.database.read() as connection:
        return queries.consoles(connection)


def told(room: Room) -> list[tuple[JournalEvent, str | None, str]]:
    with room.database.read() as connection:
        return [(line.event, line.person, line.detail) for line in queries.journal(connection, after=0)]


class TestBeat:
    def test_is_kept(self, room: Room):
        console = beat(room)

        assert known(room) == (console,)
        assert (console.id, console.person, console.state) == ("console-1", "vijay", ConsoleState.ARMED)
        assert (console.heard_at, console.last_beat_at, console.started_at) == (NOW - HOUR, WALL, WALL)
        assert told(room) == [(JournalEvent.CONSOLE_ARMED, "vijay", "")]

    def test_writes_no_line_where_nothing_changed(self, room: Room):
        for seconds in (0, 10, 20):
            beat(room, wall=WALL + seconds * SECOND)

        (console,) = known(room)
        assert (console.last_beat_at, console.started_at) == (WALL + 20 * SECOND, WALL)
        assert len(told(room)) == 1

    def test_tells_why_a_console_is_no_longer_armed_and_that_it_is_again(self, room: Room):
        beat(room)
        console = beat(room, NOT_ARMED)
        beat(room)

        assert (console.state, console.reason) == (ConsoleState.NOT_ARMED, ConsoleReason.SUSPENDED)
        assert [event for event, *_ in told(room)] == [
            JournalEvent.CONSOLE_ARMED,
            JournalEvent.CONSOLE_LOST,
            JournalEvent.CONSOLE_ARMED,
        ]
        assert told(room)[1][2] == "suspended"

    def test_tells_nothing_of_one_that_never_was_armed(self, room: Room):
        beat(room, NOT_ARMED)
        beat(room, replace(NOT_ARMED, reason="gesture"))

        assert told(room) == []
        assert known(room)[0].reason is ConsoleReason.GESTURE

    def test_changes_hands_at_the_change_of_shifts(self, room: Room):
        beat(room)
        console = beat(room, person="meera", wall=WALL + MINUTE)

        assert (console.person, console.started_at) == ("meera", WALL + MINUTE)
        assert [person for _, person, _ in told(room)] == ["vijay", "meera"]

    def test_ends_with_the_duty(self, room: Room):
        beat(room)
        console = operations.release_console(
            room.database, console="console-1", person="vijay", now=NOW, wall=WALL
        )

        assert console.state is ConsoleState.OFF
        assert told(room)[-1][0] is JournalEvent.CONSOLE_RELEASED

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"heard_at": None}, ConsoleReason.UNHEARD),
            ({"heard_at": NOW - 12 * HOUR - SECOND}, ConsoleReason.SHIFT),
            ({"moved": False}, ConsoleReason.STUCK),
            ({"rms": 0.0}, ConsoleReason.MUTED),
            ({"rms": float("nan")}, ConsoleReason.MUTED),
        ],
        ids=lambda case: next(iter(case)) if isinstance(case, dict) else case.value,
    )
    def test_is_not_believed_where_nobody_would_hear_anything(
        self, room: Room, changes: dict[str, object], reason: ConsoleReason
    ):
        console = beat(room, replace(ARMED, **changes))  # type: ignore[arg-type]

        assert (console.state, console.reason) == (ConsoleState.NOT_ARMED, reason)

    def test_is_believed_while_it_sounds(self, room: Room):
        assert beat(room, replace(ARMED, rms=0.42)).state is ConsoleState.ARMED

    @pytest.mark.parametrize(
        "lie",
        [
            {"state": "ready"},
            {"state": ""},
            {"reason": "because"},
            {"reason": "x" * 10_000},
            {"console": ""},
            {"console": "short"},
            {"console": "x" * 65},
            {"console": "console 1"},
            {"console": "console-1\n"},
            {"console": "कंसोल-एक-दो"},
            {"console": "console\0-1"},
            {"heard_at": NOW + MINUTE + SECOND},
            {"heard_at": NOW.replace(tzinfo=None)},
        ],
        ids=lambda lie: " ".join(str(value)[:12] for value in next(iter(lie.items()))),
    )
    def test_is_refused_where_it_cannot_be(self, room: Room, lie: dict[str, object]):
        with pytest.raises(ImplausibleBeat):
            beat(room, replace(ARMED, **lie))  # type: ignore[arg-type]

        assert known(room) == ()

    def test_may_be_a_little_ahead_of_our_clock(self, room: Room):
        assert beat(room, replace(ARMED, heard_at=NOW + MINUTE)).state is ConsoleState.ARMED

    def test_asks_for_somebody_who_answers_alarms(self, room: Room):
        room.employ("clerk", Role.CLERK, office="INDORE")

        with pytest.raises(NotPermitted):
            beat(room, person="clerk")

        assert known(room) == ()

    def test_forgets_who_has_been_silent_for_a_day(self, room: Room):
        beat(room)
        beat(room, replace(ARMED, console="console-2"), wall=WALL + timedelta(days=1, seconds=1))

        assert [console.id for console in known(room)] == ["console-2"]

    def test_keeps_no_more_than_its_number(self, room: Room, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(consoles, "CONSOLES_MAX", 3)
        for place in range(5):
            beat(room, replace(ARMED, console=f"console-{place}"), wall=WALL + place * SECOND)

        assert [console.id for console in known(room)] == ["console-4", "console-3", "console-2"]


class TestArmedConsoles:
    def test_are_those_that_have_beaten_a_moment_ago(self, room: Room):
        beat(room)
        beat(room, replace(NOT_ARMED, console="console-2"))

        with room.database.read() as connection:
            assert len(queries.armed_consoles(connection, wall=WALL + 29 * SECOND)) == 1
            assert queries.armed_consoles(connection, wall=WALL + 30 * SECOND) == ()


class TestWatchConsoles:
    def test_misses_nobody_before_the_first_was_armed(self, room: Room):
        assert watch(room, wall=WALL + HOUR) == 0
        beat(room, NOT_ARMED)
        assert watch(room, wall=WALL + HOUR) == 0

        assert unwatched(room) == []

    def test_raises_a_p1_alarm_when_no_armed_console_has_beaten_for_half_a_minute(self, room: Room):
        beat(room)

        assert watch(room, wall=WALL + 29 * SECOND) == 1
        assert unwatched(room) == []
        assert watch(room, wall=WALL + 30 * SECOND) == 0
        assert unwatched(room) == [AlarmState.UNACKNOWLEDGED]

        alarm: Alarm = room.alarm()
        assert (alarm.code, alarm.priority, alarm.office) == (NO_CONSOLE_CODE, Priority.P1, None)
        assert room.siren_required()
        assert told(room)[1:] == [
            (JournalEvent.CONSOLE_LOST, "vijay", "silent"),
            (JournalEvent.RAISED, None, ""),
        ]
        assert known(room)[0].reason is ConsoleReason.SILENT

    def test_raises_it_once(self, room: Room):
        beat(room)
        for minutes in (1, 2, 3):
            watch(room, wall=WALL + minutes * MINUTE)

        assert unwatched(room) == [AlarmState.UNACKNOWLEDGED]
        assert room.alarm().count == 1

    @pytest.mark.parametrize("last", [NOT_ARMED, replace(ARMED, state="off")], ids=lambda last: last.state)
    def test_raises_it_when_the_last_console_is_there_and_not_armed(self, room: Room, last: Beat):
        beat(room)
        beat(room, last, wall=WALL + 10 * SECOND)

        watch(room, wall=WALL + 29 * SECOND)
        assert unwatched(room) == []
        beat(room, last, wall=WALL + 30 * SECOND)
        watch(room, wall=WALL + 30 * SECOND)
        assert unwatched(room) == [AlarmState.UNACKNOWLEDGED]

    def test_is_content_with_one(self, room: Room):
        beat(room)
        beat(room, replace(ARMED, console="console-2"), person="meera", wall=WALL + MINUTE)

        assert watch(room, wall=WALL + MINUTE) == 1
        assert unwatched(room) == []

    def test_ends_it_when_one_is_armed_again(self, room: Room):
        beat(room)
        watch(room, wall=WALL + MINUTE)
        beat(room, wall=WALL + 2 * MINUTE)

        assert watch(room, wall=WALL + 2 * MINUTE) == 1
        assert unwatched(room) == [AlarmState.CLEARED]
        assert room.siren_required(), "somebody has to know that nobody would have heard anything"

    def test_sounds_as_a_fault_of_the_system(self, room: Room):
        beat(room)
        watch(room, wall=WALL + MINUTE)
        room.drive()
        room.tell(event())
        room.drive(now=NOW + SECOND)

        assert [level for _, level, *_ in room.siren.told] == [SirenLevel.SYSTEM, SirenLevel.P1]

    def test_raises_it_although_all_consoles_are_long_forgotten(self, room: Room):
        beat(room)
        beat(room, replace(NOT_ARMED, console="console-2"), wall=WALL + timedelta(days=2))
        assert [console.id for console in known(room)] == ["console-2"]

        watch(room, wall=WALL + timedelta(days=2))

        assert unwatched(room) == [AlarmState.UNACKNOWLEDGED]

    def test_raises_none_where_it_is_not_asked_for_and_ends_what_stands(self, room: Room):
        beat(room)
        watch(room, wall=WALL + MINUTE, required=False)
        assert unwatched(room) == []
        watch(room, wall=WALL + MINUTE)
        watch(room, wall=WALL + MINUTE, required=False)

        assert unwatched(room) == [AlarmState.CLEARED]

    def test_gives_the_consoles_time_to_come_back_after_a_restart(self, room: Room):
        beat(room)
        back = WALL + HOUR

        watch(room, wall=back + 29 * SECOND, since=back)
        assert unwatched(room) == []
        watch(room, wall=back + 30 * SECOND, since=back)
        assert unwatched(room) == [AlarmState.UNACKNOWLEDGED]


class TestNames:
    def test_exist_for_each_state_and_reason_in_both_languages(self):
        assert set(CONSOLE_NAMES) == set(ConsoleState)
        assert set(REASON_NAMES) == set(ConsoleReason)
        for words in (*CONSOLE_NAMES.values(), *REASON_NAMES.values()):
            assert words.hi
            assert words.en
