"""Consoles tell by their beats whether they would sound the siren; when none would, that is an alarm itself."""

import re
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.alarms import desk_store, journal_store, raising, rules, store
from bijlighar.alarms.errors import ImplausibleBeat
from bijlighar.alarms.model import (
    CONTROL_ROOM_SOURCE,
    NO_CONSOLE_CODE,
    STANDING,
    Beat,
    Console,
    ConsoleReason,
    ConsoleState,
    JournalEvent,
    JournalLine,
)
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.storage.engine import Database

CONSOLES_MAX = 1_000
CONSOLE_KEPT = timedelta(days=1)
CONSOLE_ID = re.compile(r"[0-9A-Za-z_-]{8,64}")
#: How far a browser's idea of the server's time may be ahead.
CLOCK_ALLOWANCE = timedelta(minutes=1)


def beat(database: Database, *, beat: Beat, person: str, now: datetime, wall: datetime) -> Console:
    """
    Keep the beat of a console and return what it is taken for: one that calls itself armed may be found not to be.

    :raises ImplausibleBeat: if what it tells cannot be.
    :raises NotPermitted: if the person may not arm a console.
    """
    state, reason = _judged(beat, now=now)
    with database.write() as connection:
        who = offices.authorise(connection, sign_in=person, act=Act.ARM_CONSOLE, office=None).sign_in
        fresh = Console(
            id=beat.console,
            person=who,
            state=state,
            reason=reason,
            heard_at=beat.heard_at,
            last_beat_at=wall,
            armed_beat_at=wall if state is ConsoleState.ARMED else None,
            visible=beat.visible,
            started_at=wall,
        )
        if not desk_store.keep_beat(connection, beaten=fresh):
            fresh = _turn(connection, fresh=fresh, now=now, wall=wall)
    return fresh


def release_console(
    database: Database, *, console: str, person: str, now: datetime, wall: datetime
) -> Console:
    """
    Take a console off duty and return it.

    :raises NotPermitted: if the person may not arm a console.
    :raises ImplausibleBeat: if it cannot be a console.
    """
    off = Beat(console=console, state=ConsoleState.OFF)
    return beat(database, beat=off, person=person, now=now, wall=wall)


def watch_consoles(
    database: Database,
    *,
    now: datetime,
    wall: datetime,
    required: bool = True,
    listening_since: datetime | None = None,
) -> int:
    """
    Raise a P1 alarm when no armed console has beaten for a while, end it when one has; return how many are armed.

    It watches from the first time that a console was armed in this home, and only where it is `required`; where it is
    not, an alarm that stands ends.

    listening_since: since when consoles could be heard at all (by the wall clock); before that nobody is missed.
    """
    silent_since = wall - rules.UNWATCHED_MAX
    with database.read() as connection:
        lost = desk_store.lost_consoles(connection, silent_since=silent_since)
        stands = _stands(connection)
        missed = required and _is_unwatched(connection, wall=wall, listening_since=listening_since)
        armed = _armed(connection, wall=wall)
    if not lost and stands == missed:
        return armed
    with database.write() as connection:
        journal_store.lock(connection)
        for console in desk_store.lost_consoles(connection, silent_since=silent_since):
            gone = replace(console, state=ConsoleState.NOT_ARMED, reason=ConsoleReason.SILENT)
            desk_store.save_console(connection, saved=gone)
            journal_store.add(connection, lines=(_line(gone, event=JournalEvent.CONSOLE_LOST, now=now),))
        missed = required and _is_unwatched(connection, wall=wall, listening_since=listening_since)
        if missed and not _stands(connection):
            raising.raise_system(connection, source=CONTROL_ROOM_SOURCE, code=NO_CONSOLE_CODE, now=now)
        elif not missed and _stands(connection):
            raising.clear_system(connection, source=CONTROL_ROOM_SOURCE, code=NO_CONSOLE_CODE, now=now)
    return armed


def _judged(beat: Beat, *, now: datetime) -> tuple[ConsoleState, ConsoleReason]:
    """Return what a console is by what it tells."""
    if not CONSOLE_ID.fullmatch(beat.console):
        raise ImplausibleBeat("a console is named by 8 to 64 letters, digits, - and _; load the page again")
    try:
        state, reason = ConsoleState(beat.state), ConsoleReason(beat.reason)
    except ValueError:
        raise ImplausibleBeat(
            f"a console is {', '.join(ConsoleState)}, for one of the reasons "
            f"{', '.join(filter(None, ConsoleReason))}; load the page again"
        ) from None
    heard_at = beat.heard_at
    if heard_at is not None and (heard_at.tzinfo is None or heard_at > now + CLOCK_ALLOWANCE):
        raise ImplausibleBeat("a console cannot have heard its tone in the future; load the page again")
    return (state, reason) if state is not ConsoleState.ARMED else rules.armed_or_why_not(beat, now=now)


def _turn(connection: Connection, *, fresh: Console, now: datetime, wall: datetime) -> Console:
    """Store a console that is new or no longer as it was, and tell it where it begins or ceases to be armed."""
    journal_store.lock(connection)
    known = desk_store.console(connection, console=fresh.id)
    if known is None:
        desk_store.delete_consoles(connection, silent_since=wall - CONSOLE_KEPT, kept_max=CONSOLES_MAX - 1)
        saved = fresh
    else:
        saved = replace(
            fresh,
            started_at=known.started_at if known.person == fresh.person else wall,
            armed_beat_at=fresh.armed_beat_at or known.armed_beat_at,
        )
    desk_store.save_console(connection, saved=saved)
    event = _event(known, saved)
    if event is not None:
        journal_store.add(connection, lines=(_line(saved, event=event, now=now),))
        offices.record_act(
            connection,
            person=saved.person,
            act=Act.ARM_CONSOLE,
            subject=f"console {saved.id}",
            detail={"state": saved.state.value, "reason": saved.reason.value},
            now=now,
        )
    return saved


def _event(known: Console | None, saved: Console) -> JournalEvent | None:
    was_armed = known is not None and known.state is ConsoleState.ARMED
    if saved.state is ConsoleState.ARMED:
        is_same = was_armed and known is not None and known.person == saved.person
        return None if is_same else JournalEvent.CONSOLE_ARMED
    if not was_armed:
        return None
    return JournalEvent.CONSOLE_RELEASED if saved.state is ConsoleState.OFF else JournalEvent.CONSOLE_LOST


def _line(console: Console, *, event: JournalEvent, now: datetime) -> JournalLine:
    return JournalLine(
        number=0,
        at=now,
        event=event,
        alarm=None,
        priority=None,
        office=None,
        person=console.person,
        detail=console.reason.value,
    )


def _armed(connection: Connection, *, wall: datetime) -> int:
    return sum(rules.would_sound(console, wall=wall) for console in desk_store.consoles(connection))


def _is_unwatched(connection: Connection, *, wall: datetime, listening_since: datetime | None) -> bool:
    """Return whether there was an armed console once, and none for a while now."""
    if listening_since is not None and wall - listening_since < rules.UNWATCHED_MAX:
        return False
    last = desk_store.last_armed_beat(connection)
    if last is not None:
        return last <= wall - rules.UNWATCHED_MAX
    return journal_store.has_event(connection, event=JournalEvent.CONSOLE_ARMED)


def _stands(connection: Connection) -> bool:
    found = store.alarms(connection, source=CONTROL_ROOM_SOURCE, states=STANDING, limit=1)
    return bool(found)
