"""
Take the pictures of docs/pages.md: `python tools/pictures.py http://127.0.0.1:8080` while `./dev demo` is open.

Each page at 1280x720 and 360 px wide, in both languages, as the person whose page it is.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
#: Page, its path (or a page and which of its links is followed), and who looks at it.
PAGES = (
    ("story", "/", None),
    ("alarms", "/alarms", "k.sharma"),
    ("alarm", "/alarms/1", "k.sharma"),
    ("network", "/network", "k.sharma"),
    ("lists", "/lists/1", "r.verma"),
    ("commands", "/commands", "k.sharma"),
    ("meter", "/network/DT-DEP-001 td a[href^='/meters/']", "k.sharma"),
    ("losses", "/losses", "v.rathore"),
    ("loss", "/losses td a[href^='/losses/']", "v.rathore"),
    ("rollout", "/rollout", "v.rathore"),
    ("collections", "/collections", "r.verma"),
    ("consumer", "/me", "consumer"),
)
SIZES = ((1280, 720), (360, 740))


def take(browser: Browser, base: str, *, language: str, width: int, height: int) -> None:
    """Take every page in one language and size."""
    for name, path, person in PAGES:
        context = browser.new_context(viewport={"width": width, "height": height})
        context.add_cookies([{"name": "bijlighar_language", "value": language, "url": base}])
        page = context.new_page()
        page.goto(base)
        if person == "consumer":
            page.locator("form[action='/demo/sign-in-consumer'] button[name=account]").first.click()
        elif person is not None:
            page.locator(f"button[name=person][value='{person}']").click()
        start, _, link = path.partition(" ")
        page.goto(base + start)
        if link:
            page.locator(link).first.click()
        page.wait_for_timeout(1200)
        page.screenshot(path=str(PICTURES / f"{name}_{language}_{width}.png"), full_page=width < 700)
        context.close()


def main() -> None:
    """Take all of them."""
    base = sys.argv[1].rstrip("/")
    PICTURES.mkdir(exist_ok=True)
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for language in ("hi", "en"):
            for width, height in SIZES:
                take(browser, base, language=language, width=width, height=height)
        browser.close()


if __name__ == "__main__":
    main()
