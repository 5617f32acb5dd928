"""What the tests in a browser share: a town that lives while one looks at it, people who sign in, a siren armed."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from bijlighar.alarms import operations as alarms
from bijlighar.alarms import queries as alarm_queries
from bijlighar.alarms.model import STANDING, WAITING, Alarm
from bijlighar.demo import driver
from bijlighar.demo.children import free_ports
from bijlighar.demo.setup import Plan
from bijlighar.offices import operations as offices
from bijlighar.registry import queries as registry
from bijlighar.runtime.clock import set_demo_time, wall
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.sessions import SESSION_COOKIE
from bijlighar.web.app import create_app
from bijlighar.web.language import COOKIE as LANGUAGE_COOKIE
from bijlighar.web.live import Hub

#: The machine may be busy with other things: what shall happen is waited for so long.
PATIENCE_MS = 30_000
DESK = {"width": 1280, "height": 720}
PHONE = {"width": 360, "height": 740}
SEED = 7
ALARMS_MAX = 500

OPERATOR, ENGINEER, CLERK, APPROVER = "k.sharma", "v.rathore", "r.verma", "a.joshi"
MAGNET, COVER, NEUTRAL_DISTURBED, OVERLOAD = 201, 251, 203, 215


@dataclass(kw_only=True)
class OpenTown:
    """A town whose time passes as the machine's; `advance` lets more of it pass at once."""

    demo: driver.Demo
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.demo.ports.web}"

    @property
    def now(self) -> datetime:
        return self.demo.line.now()

    def keep(self) -> None:
        while not self._stop.wait(driver.LIVE_STEP_S):
            with self._lock:
                self._set(self.now + timedelta(seconds=driver.LIVE_STEP_S))

    def _set(self, now: datetime) -> None:
        self.demo.meters.set_time(now)
        self.demo.providers.set_time(now)
        set_demo_time(self.demo.line.database, now=now)

    def advance(self, delta: timedelta) -> None:
        """Let time pass at once; nothing is waited for but the meters."""
        with self._lock:
            self._set(self.now + delta)

    def move(self, now: datetime) -> None:
        """Let time pass until `now` and until everything that follows from it has happened."""
        with self._lock:
            driver.move(self.demo, now=now)

    @contextmanager
    def standing(self) -> Iterator[None]:
        """Let no time pass until the end of the block."""
        with self._lock:
            yield

    def end(self) -> None:
        self._stop.set()

    # ---- meters and alarms ---------------------------------------------------------------------------------------

    def meters(self) -> list[str]:
        """Return the smart meters of consumers that answer, in order."""
        now = self.now
        state = self.demo.meters.state()
        with self.demo.line.database.read() as connection:
            speaks = {each.serial for each in registry.end_devices(connection, hung_at=now) if each.url}
            hanging = registry.installations(connection)
        return sorted(
            row.meter
            for row in hanging
            if row.hangs_at(now)
            and row.account
            and row.meter in speaks
            and row.meter not in state.silent
            and row.feeder not in state.feeders_failed
        )

    def untouched(self) -> list[str]:
        """Return those of the meters that never raised an alarm."""
        with self.demo.line.database.read() as connection:
            known = {alarm.source for alarm in alarm_queries.alarms(connection, limit=ALARMS_MAX)}
        return [meter for meter in self.meters() if meter not in known]

    def open_alarms(self) -> tuple[Alarm, ...]:
        """Return what is open."""
        with self.demo.line.database.read() as connection:
            return alarm_queries.alarms(connection, states=tuple(STANDING), limit=ALARMS_MAX)

    def waiting(self) -> list[Alarm]:
        """Return what nobody has acknowledged."""
        with self.demo.line.database.read() as connection:
            return list(alarm_queries.alarms(connection, states=tuple(WAITING), limit=ALARMS_MAX))

    def calm(self) -> None:
        """Let everything that comes have come, and acknowledge it."""
        with self.standing():
            self.demo.quiet.wait()
            for alarm in self.waiting():
                alarms.acknowledge(
                    self.demo.line.database, number=alarm.number, person=OPERATOR, now=self.now
                )

    # ---- the web server's process --------------------------------------------------------------------------------

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the web server's process stand still until the end of the block, and the clock with it."""
        with self.standing():
            os.kill(self._web.pid, signal.SIGSTOP)
            try:
                yield
            finally:
                os.kill(self._web.pid, signal.SIGCONT)

    @contextmanager
    def without_web(self) -> Iterator[float]:
        """Ask the web server to end, tell how long that took [s], and start it anew at the end of the block."""
        with self.standing():
            asked = time.monotonic()
            self._web.terminate()
            self._web.wait(PATIENCE_MS / 1000)
            try:
                yield time.monotonic() - asked
            finally:
                self.demo.children.restart("web")

    @property
    def _web(self) -> subprocess.Popen[bytes]:
        return self.demo.children._running["web"]

    @contextmanager
    def second_server(self) -> Iterator[tuple[str, Hub]]:
        """Serve the same home from a thread of this process too, whose insides can be looked at."""
        line = Line(self.demo.home, worker="second")
        app = create_app(line)
        port = free_ports(count=1)
        server = uvicorn.Server(
            uvicorn.Config(app, port=port, log_config=None, lifespan="on", timeout_graceful_shutdown=2)
        )
        thread = threading.Thread(target=server.run, name="second server")
        thread.start()
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{port}", app.state["hub"]
        finally:
            app.state["hub"].close()
            server.should_exit = True
            thread.join()
            line.database.close()


@contextmanager
def open_town(
    folder: Path, *, months: int, live: Callable[[driver.Demo], None], seed: int = SEED
) -> Iterator[OpenTown]:
    """Set up a town, let it `live` through its past, then keep it open until the end of the block."""
    plan = Plan(meters=20, months=months, seed=seed, profiles=None, web_port=None)
    with driver.running(Home(folder / "home"), plan=plan) as demo:
        live(demo)
        town = OpenTown(demo=demo)
        keeper = threading.Thread(target=town.keep, name="town", daemon=True)
        keeper.start()
        try:
            yield town
        finally:
            town.end()
            keeper.join()


# ---- browsers ------------------------------------------------------------------------------------------------


def visit(
    browser: Browser,
    town: OpenTown,
    *,
    person: str | None,
    language: str = "en",
    size: dict[str, int] = DESK,
) -> BrowserContext:
    """Return a fresh browser of a person who has signed in (None: a stranger)."""
    context = browser.new_context(viewport=size, base_url=town.address, service_workers="block")
    context.set_default_timeout(PATIENCE_MS)
    cookies = [{"name": LANGUAGE_COOKIE, "value": language, "url": town.address}]
    if person is not None:
        cookies.append({"name": SESSION_COOKIE, "value": session_of(town, person), "url": town.address})
    context.add_cookies(cookies)
    return context


def session_of(town: OpenTown, person: str) -> str:
    with town.demo.line.database.write() as connection:
        return offices.open_session(connection, sign_in=person, wall=wall()).token


def sign_in(page: Page, *, person: str, password: str) -> None:
    """Sign in through the form."""
    page.goto("/sign-in")
    page.locator("input[name=name]").fill(person)
    page.locator("input[name=password]").fill(password)
    page.locator("form[action='/sign-in'] button").click()


def open_wall(context: BrowserContext) -> Page:
    """Open the wall and wait until it is live."""
    page = context.new_page()
    page.goto("/alarms")
    wait_live(page)
    return page


def wait_live(page: Page) -> None:
    expect(page.locator("#live")).to_have_attribute("data-state", "on", timeout=PATIENCE_MS)


def arm(page: Page, *, heard: bool = True) -> None:
    """Go on duty: the test tone, and the answer to whether it was heard."""
    page.locator("#arm").click()
    page.locator("#heard-yes" if heard else "#heard-no").click(timeout=PATIENCE_MS)


def wait_siren(page: Page, state: str, *, timeout_ms: float = PATIENCE_MS) -> None:
    expect(page.locator("body")).to_have_attribute("data-siren", state, timeout=timeout_ms)


def time_siren(page: Page) -> None:
    """Note in the page when the siren's state changes; `changed_after_s` tells it."""
    page.evaluate(
        "() => { const began = performance.now(); window.changes = {};"
        " new MutationObserver(() => { window.changes[document.body.dataset.siren] ??= performance.now() - began; })"
        ".observe(document.body, {attributes: true, attributeFilter: ['data-siren']}); }"
    )


def changed_after_s(page: Page, state: str) -> float:
    """Return how long after `time_siren` the siren came into a state [s]."""
    return float(page.evaluate("state => window.changes[state]", state)) / 1000


def row_of(page: Page, text: str) -> Any:
    return page.locator("#wall-rows tr", has_text=text)


def beat_of(request: Request) -> dict[str, Any] | None:
    """Return what a console tells of itself in a request, None if it is another request."""
    if not request.url.endswith("/console/beat"):
        return None
    document: dict[str, Any] = request.post_data_json
    return document


def loud(request: Request) -> bool:
    """Return whether a console tells that it hears itself."""
    beat = beat_of(request)
    return beat is not None and (beat["rms"] or 0.0) > 0.01


def digits(text: str) -> int:
    """Return the number that stands in a text."""
    return int("".join(sign for sign in text if sign.isdigit()) or "-1")


def strangers(urls: Sequence[str], *, town: OpenTown) -> list[str]:
    """Return the addresses that are not the town's own."""
    return [url for url in urls if not url.startswith((town.address, "data:", "blob:"))]
