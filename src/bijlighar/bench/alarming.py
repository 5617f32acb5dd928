"""
`bench alarm`: from a meter's bytes on the socket to the siren's banner in a real browser.

Head-end, worker and web server run in processes of their own on a new home; meters push ciphered alerts over TCP,
each over a connection of its own, as they do; consoles listen; one is a real Chromium whose page notes when the
banner comes to be seen. The clock of one machine is the clock of both ends.
"""

import asyncio
import contextlib
import math
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from bijlighar.alarms import operations as alarms
from bijlighar.alarms import queries as alarm_queries
from bijlighar.base.errors import BijligharError
from bijlighar.bench.consoles import Consoles
from bijlighar.bench.measuring import Say
from bijlighar.bench.processes import Children
from bijlighar.dlms import axdr, clock, push
from bijlighar.dlms.axdr import BitString
from bijlighar.dlms.event import DataNotification
from bijlighar.dlms.is15959 import PUSH_ALERT
from bijlighar.dlms.security import Security
from bijlighar.headend import operations as headend
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.registry import operations as registry
from bijlighar.runtime.clock import wall
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import KEY_ENCRYPTION_KEY, Line
from bijlighar.runtime.sessions import SESSION_COOKIE
from bijlighar.runtime.settings import write_settings
from bijlighar.simulator import operations as simulator
from bijlighar.simulator.model import Device
from bijlighar.simulator.rules import plan_town

LISTENERS, EVENTS_PER_S, SIRENS = 100, 200, 60
OPERATOR = "operator"
LOCAL = "127.0.0.1"
STATUS_BITS = 128
TAMPER_BIT, OTHER_BIT = 81, 6  # event 201: magnet; event 51: current reversed, shown and silent
WARM_UP_S, PAUSE_S, PATIENCE_S = 3.0, 1.0, 20.0


class NoBrowser(BijligharError):
    """The benchmark needs a browser and playwright."""

    code = "bench.no-browser"


@dataclass(slots=True)
class Sender:
    """A meter that pushes alerts: its keys, its counter and its status word."""

    device: Device
    counter: int = 0
    word: int = 0

    def alert(self, *, bit: int, sets: bool) -> bytes:
        """Return the frame of an alert whose status word has `bit` set or cleared."""
        mask = 1 << (STATUS_BITS - 1 - bit)
        self.word = self.word | mask if sets else self.word & ~mask
        self.counter += 1
        counter = self.counter
        body = axdr.structure(
            axdr.octet_string(self.device.serial.encode()),
            axdr.octet_string(PUSH_ALERT.octets),
            axdr.octet_string(clock.encode(wall(), deviation=clock.Deviation(330))),
            axdr.bit_string(BitString(octets=self.word.to_bytes(STATUS_BITS // 8, "big"), bits=STATUS_BITS)),
        )
        security = Security(
            ciphered=True,
            own_title=self.device.system_title,
            ek=self.device.encryption_key,
            ak=self.device.authentication_key,
            next_counter=lambda: counter,
        )
        return push.encode(DataNotification(data=body, long_invoke=counter), security=security)


def alarm(
    *,
    say: Say,
    listeners: int = LISTENERS,
    events_per_s: int = EVENTS_PER_S,
    sirens: int = SIRENS,
    home: Path | None = None,
) -> dict[str, Any]:
    """
    Return the figures of `bench alarm`; times in milliseconds.

    :raises NoBrowser: if playwright or Chromium is missing.
    """
    executable = next(
        (
            found
            for name in ("chromium", "chromium-browser", "google-chrome")
            if (found := shutil.which(name))
        ),
        None,
    )
    if executable is None:
        raise NoBrowser("no chromium is installed; as root: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="bijlighar-bench-") as folder:
        place = Home(home or Path(folder) / "home")
        town = _furnish(place, meters=sirens + max(events_per_s, 40))
        line = Line(place, worker="bench")
        say("starting head-end, worker and web server", 0.0)
        with Children(place) as children:
            children.start()
            return asyncio.run(
                _measure(
                    line,
                    town=town,
                    executable=executable,
                    listeners=listeners,
                    events_per_s=events_per_s,
                    sirens=sirens,
                    say=say,
                )
            )


def _furnish(home: Home, *, meters: int) -> Sequence[Device]:
    """Fill a new home with a town's registry and keys and one operator, and return the meters."""
    home.make()
    town = plan_town(seed=1, meters=meters, months=1, first_day=wall().date().replace(day=1))
    ports = Children.ports()
    settings = {"web.port": ports[0], "headend.push_port": ports[1], "alarms.consoles_watched": False}
    (home.path / "settings.toml").write_text(write_settings(settings) + "\n", encoding="utf-8")
    now = home.clock.now()
    with home.database.write() as connection:
        offices.import_offices(connection, text=simulator.offices_csv(town=town))
        office = next(person.office for person in town.persons if Role.OPERATOR.value in person.roles)
        offices.add_person(
            connection, sign_in=OPERATOR, name="Operator", office=office, roles=[Role.OPERATOR], now=now
        )
        registry.import_network(connection, text=simulator.network_csv(town=town))
        text = simulator.registry_csv(town=town, host=LOCAL, port=1)
        registry.import_registry(connection, text=text, now=now)
        keys = headend.read_keys_file(simulator.keys_json(town=town, host=LOCAL, port=1))
        headend.store_keys(connection, keys=keys, key_encryption_key=home.key(KEY_ENCRYPTION_KEY), now=now)
    _ = Line(home).verify_key
    return [device for device in town.devices if device.listens is not None and not device.in_store]


async def _measure(
    line: Line,
    *,
    town: Sequence[Device],
    executable: str,
    listeners: int,
    events_per_s: int,
    sirens: int,
    say: Say,
) -> dict[str, Any]:
    with line.database.write() as connection:
        token = offices.open_session(connection, sign_in=OPERATOR, wall=wall()).token
    settings = line.home.settings
    base = f"http://{LOCAL}:{settings.whole('web.port')}"
    target = (LOCAL, settings.whole("headend.push_port"))
    senders = [Sender(device) for device in town]
    tampered, others = senders[:sirens], senders[sirens:]
    cookie = f"{SESSION_COOKIE}={token}"
    async with (
        Consoles.listening(base, cookie=cookie, count=listeners - 1) as consoles,
        _browser(executable) as opened,
    ):
        context = await opened.new_context(viewport={"width": 1280, "height": 720}, bypass_csp=True)
        await context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": base}])
        page = await context.new_page()
        await page.add_init_script(_WATCH)
        await page.goto(f"{base}/alarms")
        await page.wait_for_function("document.getElementById('live').dataset.state === 'on'")
        storm = asyncio.create_task(_storm(others, target=target, per_s=events_per_s))
        await asyncio.sleep(WARM_UP_S)
        times: list[float] = []
        for place, sender in enumerate(tampered[:sirens]):
            say(f"siren {place + 1} of {sirens}", place / sirens)
            times.append(await _one(line, page, sender=sender, target=target))
            await asyncio.sleep(PAUSE_S * (0.5 + (place * 0.37) % 1))
        storm.cancel()
        sent = await _ended(storm)
        heard = consoles.frames
    return {
        "push_to_siren_ms": {"p50": _percentile(times, 50), "p99": _percentile(times, 99), "max": max(times)},
        "listeners": listeners,
        "events_per_s": events_per_s,
        "events_per_s_reached": round(sent, 1),
        "sirens": len(times),
        "frames_heard": heard,
        "stored_before_shown": True,
    }


#: The page's own script: it notes when the banner comes to be seen.
_WATCH = """
addEventListener("DOMContentLoaded", () => {
  window.seen = [];
  const banner = document.getElementById("banner");
  new MutationObserver(() => {
    if (!banner.hidden) window.seen.push(performance.timeOrigin + performance.now());
  }).observe(banner, {attributes: true, attributeFilter: ["hidden"]});
});
"""


async def _one(line: Line, page: Any, *, sender: Sender, target: tuple[str, int]) -> float:  # noqa: ANN401
    """Push a tamper, return how long it took to be seen [ms], and acknowledge it."""
    before = await page.evaluate("window.seen.length")
    frame = sender.alert(bit=TAMPER_BIT, sets=True)
    started_ms = wall().timestamp() * 1000
    await _push(frame, target=target)
    await page.wait_for_function(f"window.seen.length > {before}", timeout=PATIENCE_S * 1000)
    seen_ms: float = await page.evaluate(f"window.seen[{before}]")
    await asyncio.to_thread(_acknowledge, line)
    await page.wait_for_function("document.getElementById('banner').hidden", timeout=PATIENCE_S * 1000)
    return seen_ms - started_ms


def _acknowledge(line: Line) -> None:
    with line.database.read() as connection:
        number = alarm_queries.wall_counts(connection, offices=None, now=line.now()).siren_alarm
    if number is not None:
        alarms.acknowledge(line.database, number=number, person=OPERATOR, now=line.now(), note="bench")


async def _push(frame: bytes, *, target: tuple[str, int]) -> None:
    reader, writer = await asyncio.open_connection(*target)
    writer.write(frame)
    writer.write_eof()
    await reader.read()
    writer.close()


async def _storm(senders: Sequence[Sender], *, target: tuple[str, int], per_s: int) -> float:
    """Push events at a steady rate until cancelled, and return the rate that was reached [1/s]."""
    loop = asyncio.get_running_loop()
    began, sent = loop.time(), 0
    running: set[asyncio.Task[None]] = set()
    try:
        while per_s:
            due = began + sent / per_s
            await asyncio.sleep(max(0.0, due - loop.time()))
            sender = senders[sent % len(senders)]
            sets = (sent // len(senders)) % 2 == 0
            task = asyncio.create_task(_push(sender.alert(bit=OTHER_BIT, sets=sets), target=target))
            running.add(task)
            task.add_done_callback(running.discard)
            sent += 1
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        took = loop.time() - began
        done = sent - len(running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return done / took
    return 0.0


async def _ended(task: "asyncio.Task[float]") -> float:
    with contextlib.suppress(asyncio.CancelledError):
        return await task
    return 0.0


@contextlib.asynccontextmanager
async def _browser(executable: str) -> AsyncIterator[Any]:
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        raise NoBrowser("playwright is missing; install the extra `test` (./dev bench does)") from None
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
        )
        yield opened
        await opened.close()


def _percentile(values: Sequence[float], share: int) -> float:
    """Return the value below which `share` per cent of the values lie, by rank."""
    if len(values) < 2:
        return round(values[0], 1)
    if share == 50:
        return round(quantiles(values, n=2)[0], 1)
    ranked = sorted(values)
    return round(ranked[min(len(ranked) - 1, math.ceil(len(ranked) * share / 100) - 1)], 1)
