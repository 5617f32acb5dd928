"""A real browser: the system's Chromium, driven by playwright."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: Nothing but the tests' own host is asked for anything.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


def executable() -> str | None:
    """Return the path of the system's Chromium, None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@cache
def missing() -> str | None:
    """Return why no browser can be run here and what helps, None where one can."""
    if executable() is None:
        return "Chromium is not installed; as root: apt-get install chromium"
    driver = subprocess.run([sys.executable, "-m", "playwright", "--version"], capture_output=True)
    if driver.returncode:
        told = driver.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return f"playwright's driver does not start ({''.join(told)}); as root: apt-get install libatomic1"
    return None


@contextmanager
def browser() -> Iterator[Browser]:
    """Run a browser until the end of the block."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        yield opened
        opened.close()


def serious_findings(page: Page) -> list[str]:
    """Return what axe finds serious or critical on a page."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate(
        "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
        ".filter((one) => ['serious', 'critical'].includes(one.impact))"
        ".map((one) => one.id + ': ' + one.nodes.map((node) => node.html).slice(0, 3).join(' | '))"
    )
    return [str(one) for one in found]
