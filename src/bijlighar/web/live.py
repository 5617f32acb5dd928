"""
What consoles are told while they look: one watcher for all, one stream of server-sent events for each browser.

The watcher is a thread that asks the database whether anything was committed, reads the journal of alarms where
something was, and writes each frame once for everybody who sees the same (same offices, same language). What concerns
the siren leaves at once, if it has changed; everything else is gathered. A frame carries counts, never a difference
of counts: a browser that missed one is right again with the next.
"""

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from litestar import Request, get
from litestar.params import HeaderParameter
from litestar.response import Stream
from sqlalchemy import Connection

from bijlighar.alarms import operations as alarms
from bijlighar.alarms import queries as alarm_queries
from bijlighar.offices import queries as offices
from bijlighar.runtime.clock import wall
from bijlighar.runtime.line import Line
from bijlighar.runtime.sessions import SESSION_COOKIE
from bijlighar.web.console import wall as wall_page
from bijlighar.web.language import Writer, language_of
from bijlighar.web.shared import line_of, signed_in

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.005
GATHER_S = 0.025
#: The rows of the wall are written at most so often, and never for more than a part of the time.
ROWS_EVERY_S = 0.1
ROWS_SHARE = 5
TOUCH_EVERY_S = 1.0
BEAT_EVERY_S = 5.0
CONSOLES_EVERY_S = 5.0
#: A silence ends by itself, which nothing in the journal tells: so often it is looked whether it has.
SILENCE_EVERY_S = 0.5
SESSION_EVERY_BEATS = 6
QUEUE_MAX = 500
LISTENERS_MAX = 2_000
JOURNAL_MAX = 2_000
RETRY_MS = 2_000


@dataclass(frozen=True, slots=True)
class Audience:
    """Those who see the same: the offices in their sight (None: all) and their language."""

    offices: tuple[str, ...] | None
    writer: Writer


@dataclass(slots=True, eq=False)
class Listener:
    """One browser's stream; a queue that fills up is ended, and the browser begins anew."""

    audience: Audience
    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_MAX))


@dataclass(slots=True)
class _Seen:
    """What an audience was last told: the digest of each row of the wall by its key, and the state."""

    rows: dict[str, str] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)


class Hub:
    """The watcher of one process and its listeners."""

    def __init__(self, line: Line) -> None:
        """Watch nothing yet."""
        self._line = line
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._listeners: dict[Audience, set[Listener]] = {}
        self._seen: dict[Audience, _Seen] = {}
        self._number = 0
        self._listening_since = wall()

    async def start(self) -> None:
        """Begin to watch, in the loop that serves."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._watch, name="live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End every stream and the watch: a server that stops must not wait for browsers that never leave."""
        self._stop.set()
        with self._lock:
            everybody = [listener for group in self._listeners.values() for listener in group]
        for listener in everybody:
            _end(listener)

    def join(self, audience: Audience) -> Listener:
        """Add a listener; the first thing it is told is how everything stands."""
        listener = Listener(audience)
        with self._lock:
            self._listeners.setdefault(audience, set()).add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Take a listener away."""
        with self._lock:
            group = self._listeners.get(listener.audience)
            if group is not None:
                group.discard(listener)
                if not group:
                    del self._listeners[listener.audience]
                    self._seen.pop(listener.audience, None)

    @property
    def listeners(self) -> int:
        """Return how many browsers listen."""
        with self._lock:
            return sum(len(group) for group in self._listeners.values())

    def first_frames(self, audience: Audience) -> bytes:
        """Return what a new listener is told: the whole state and the whole wall."""
        with self._line.database.read() as connection:
            now = self._line.now()
            number = alarm_queries.last_number(connection)
            state = self._state(connection, audience, now)
            whole = wall_page.frame(connection, offices=audience.offices, writer=audience.writer, now=now)
        return (
            f"retry: {RETRY_MS}\n\n".encode()
            + _frame("state", {"number": number, **state}, number)
            + _frame("wall", {"number": number, "full": True, "gone": [], **whole}, number)
        )

    # ---- the watcher's thread --------------------------------------------------------------------------------

    def _watch(self) -> None:
        changes = self._line.database.changes()
        moment = time.monotonic()
        state_at = rows_at = touch_at = moment
        beat_at = consoles_at = again_at = moment
        waits_state = waits_rows = waits_touch = False
        with self._line.database.read() as connection:
            self._number = alarm_queries.last_number(connection)
        while not self._stop.wait(LOOK_EVERY_S):
            try:
                moment = time.monotonic()
                if changes.has_moved():
                    waits_touch = True
                    found, urgent = self._look()
                    waits_state, waits_rows = waits_state or found, waits_rows or found
                    if urgent:
                        state_at = moment
                waits_state = waits_state or moment >= again_at
                if waits_state and moment >= state_at:
                    again_at = moment + self._send_states()
                    waits_state, state_at = False, moment + GATHER_S
                if waits_rows and moment >= rows_at:
                    self._send_rows()
                    took = time.monotonic() - moment
                    waits_rows, rows_at = False, moment + max(ROWS_EVERY_S, took * ROWS_SHARE)
                if waits_touch and moment >= touch_at:
                    self._publish_all(_frame("touch", {}))
                    waits_touch, touch_at = False, moment + TOUCH_EVERY_S
                if moment >= beat_at:
                    self._publish_all(_frame("beat", {"at": self._line.now().isoformat()}))
                    beat_at = moment + BEAT_EVERY_S
                if moment >= consoles_at:
                    alarms.watch_consoles(
                        self._line.database,
                        now=self._line.now(),
                        wall=wall(),
                        required=self._line.home.settings.flag("alarms.consoles_watched"),
                        listening_since=self._listening_since,
                    )
                    consoles_at = moment + CONSOLES_EVERY_S
            except Exception:
                log.exception("the live view could not look; it looks again")
                self._stop.wait(BEAT_EVERY_S)
        changes.close()

    def _look(self) -> tuple[bool, bool]:
        """Return whether the journal has moved, and whether that concerns the siren."""
        with self._line.database.read() as connection:
            lines = alarm_queries.journal(connection, after=self._number, limit=JOURNAL_MAX)
        if not lines:
            return False, False
        self._number = lines[-1].number
        return True, any(line.is_urgent for line in lines)

    def _audiences(self) -> list[Audience]:
        with self._lock:
            return list(self._listeners)

    def _send_states(self) -> float:
        """Tell everybody the state, and return after how long it is to be told again though nothing happened [s]."""
        now = self._line.now()
        is_silenced = False
        for audience in self._audiences():
            with self._line.database.read() as connection:
                state = self._state(connection, audience, now)
            is_silenced = is_silenced or state["siren"]["silenced_until"] is not None
            seen = self._seen.setdefault(audience, _Seen())
            told = {name: value for name, value in state.items() if name != "at"}
            if told != seen.state:
                seen.state = told
                self._publish(audience, _frame("state", {"number": self._number, **state}, self._number))
        return SILENCE_EVERY_S if is_silenced else BEAT_EVERY_S

    def _send_rows(self) -> None:
        now = self._line.now()
        for audience in self._audiences():
            with self._line.database.read() as connection:
                number = alarm_queries.last_number(connection)
                whole = wall_page.frame(connection, offices=audience.offices, writer=audience.writer, now=now)
            seen = self._seen.setdefault(audience, _Seen())
            fresh = {row["key"]: row["digest"] for row in whole["rows"]}
            changed = [row for row in whole["rows"] if seen.rows.get(row["key"]) != row["digest"]]
            gone = [key for key in seen.rows if key not in fresh]
            seen.rows = fresh
            document = {"number": number, "full": False, **whole, "rows": changed, "gone": gone}
            self._publish(audience, _frame("wall", document, number))

    def _state(self, connection: Connection, audience: Audience, now: datetime) -> dict[str, Any]:
        return wall_page.state(connection, offices=audience.offices, writer=audience.writer, now=now)

    def _publish_all(self, frame: bytes) -> None:
        for audience in self._audiences():
            self._publish(audience, frame)

    def _publish(self, audience: Audience, frame: bytes) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._hand_out, audience, frame)

    def _hand_out(self, audience: Audience, frame: bytes) -> None:
        with self._lock:
            group = list(self._listeners.get(audience, ()))
        for listener in group:
            try:
                listener.queue.put_nowait(frame)
            except asyncio.QueueFull:
                _end(listener)


def _end(listener: Listener) -> None:
    while not listener.queue.empty():
        listener.queue.get_nowait()
    listener.queue.put_nowait(None)


def _frame(event: str, document: dict[str, Any], number: int | None = None) -> bytes:
    head = f"id: {number}\n" if number is not None else ""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return f"{head}event: {event}\ndata: {text}\n\n".encode()


@get("/live", opt={"signed_in": True})
async def listen(
    request: Request[Any, Any, Any],
    _last: Annotated[str, HeaderParameter(name="Last-Event-ID", max_length=32)] = "",
) -> Stream:
    """Stream what happens; whoever comes back is told first how everything stands now."""
    line, person = line_of(request), signed_in(request).person
    hub: Hub = request.app.state["hub"]
    token = request.cookies.get(SESSION_COOKIE, "")
    writer = Writer(language_of(request))

    def prepare() -> Audience:
        with line.database.read() as connection:
            return Audience(offices.offices_in_sight(connection, person=person), writer)

    audience = await asyncio.to_thread(prepare)
    return Stream(_events(line, hub, audience, token), media_type="text/event-stream")


async def _events(line: Line, hub: Hub, audience: Audience, token: str) -> AsyncIterator[bytes]:
    listener = hub.join(audience)
    try:
        yield await asyncio.to_thread(hub.first_frames, audience)
        beats = 0
        while True:
            frame = await listener.queue.get()
            if frame is None:
                return
            if frame.startswith(b"event: beat"):
                beats += 1
                if beats % SESSION_EVERY_BEATS == 0 and not await asyncio.to_thread(_still_in, line, token):
                    yield _frame("bye", {})
                    return
            yield frame
    finally:
        hub.leave(listener)


def _still_in(line: Line, token: str) -> bool:
    with line.database.read() as connection:
        return offices.session(connection, token=token, wall=wall()) is not None
