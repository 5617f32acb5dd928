"""Every page, in both languages, at a desk and on a telephone: nothing serious is found, nothing is too wide."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from bijlighar.arrears import operations as arrears
from bijlighar.base.period import ONE_DAY, local_date
from bijlighar.ledger import queries as ledger
from bijlighar.runtime import portal_access
from bijlighar.runtime.clock import wall
from bijlighar.runtime.sessions import PORTAL_COOKIE
from tests.browser.chromium import serious_findings
from tests.browser.kit import APPROVER, CLERK, DESK, ENGINEER, OPERATOR, PHONE, OpenTown, strangers, visit

CONSUMER_BYTES_MAX = 30_000
TOO_WIDE = """
() => document.documentElement.scrollWidth <= window.innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > window.innerWidth + 1)
  .sort((one, other) => !!one.closest(".scroll, .wide-drawing") - !!other.closest(".scroll, .wide-drawing"))
  .map((one) => one.tagName + " " + (one.textContent || "").trim().slice(0, 40)).slice(0, 3)
"""
PAGES = (
    (None, "/"),
    (None, "/sign-in"),
    (None, "/me/sign-in"),
    (OPERATOR, "/"),
    (OPERATOR, "/alarms"),
    (OPERATOR, "/alarms/1"),
    (OPERATOR, "/network"),
    (OPERATOR, "/network/DT-DEP-001"),
    (CLERK, "/lists"),
    (CLERK, "/lists/new"),
    (CLERK, "/lists/1"),
    (APPROVER, "/lists/1/approve"),
    (OPERATOR, "/commands"),
    (CLERK, "/commands/hand"),
    (OPERATOR, "/commands/halts"),
    (CLERK, "/exceptions"),
    (ENGINEER, "/losses"),
    (ENGINEER, "/losses?doubt=yes"),
    (ENGINEER, "/losses/DT-DEP-001"),
    (ENGINEER, "/feeder-losses"),
    (ENGINEER, "/feeder-losses/F-DEPALPUR-1?doubt=yes"),
    (OPERATOR, "/meters/{meter}"),
    (OPERATOR, "/meters/{meter}?from={first}&to={last}"),
    (OPERATOR, "/meters/{meter}?from={last}&to={last}"),
    (ENGINEER, "/rollout"),
    (CLERK, "/collections"),
    ("consumer", "/me"),
    (OPERATOR, "/nothing-here"),
)


@pytest.fixture(scope="module")
def town(old_town: OpenTown) -> OpenTown:
    """A town that has drawn up a list."""
    line = old_town.demo.line
    arrears.draw_up_list(
        line.database, office=old_town.demo.town.office, person=CLERK, now=old_town.now, policy=line.policy
    )
    return old_town


@pytest.fixture(params=["hi", "en"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "telephone"])
def size(request: pytest.FixtureRequest) -> dict[str, int]:
    return dict(request.param)


@pytest.fixture
def looked_at(
    browser: Browser, town: OpenTown, language: str, size: dict[str, int]
) -> Iterator[list[tuple[str, Page, int, list[str]]]]:
    """Every page, opened by whoever it is for: its path, the page, its size and what it asked for."""
    yield_from = []
    contexts = []
    yesterday = local_date(town.now) - ONE_DAY
    told = {"meter": town.meters()[0], "first": yesterday - 30 * ONE_DAY, "last": yesterday}
    for person, path in [(person, path.format(**told)) for person, path in PAGES]:
        context = visit(
            browser, town, person=None if person == "consumer" else person, language=language, size=size
        )
        contexts.append(context)
        if person == "consumer":
            with town.demo.line.database.read() as connection:
                account = ledger.open_dues(connection)[0].account
            token = portal_access.open_portal(town.demo.line, account=account, wall=wall())
            context.add_cookies([{"name": PORTAL_COOKIE, "value": token, "url": town.address}])
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        answer = page.goto(path, wait_until="load")
        assert answer is not None
        assert answer.status in (200, 404), (path, answer.status)
        assert page.url.endswith(path), (path, page.url)
        yield_from.append((path, page, len(answer.body()), asked))
    yield yield_from
    for context in contexts:
        context.close()


def test_pages_can_be_read_by_everybody(looked_at, town):
    found = {}
    for path, page, octets, asked in looked_at:
        problems = serious_findings(page)
        problems += [f"wider than the screen: {one}" for one in page.evaluate(TOO_WIDE)]
        problems += [f"asks {url}" for url in strangers(asked, town=town)]
        if page.locator("h1").count() != 1:
            problems.append("has not one h1")
        for picture in page.locator("svg").evaluate_all("all => all.map((one) => one.outerHTML)"):
            ET.fromstring(picture)  # noqa: S314 - our own page
        if (path == "/me" or path.startswith("/me/")) and octets > CONSUMER_BYTES_MAX:
            problems.append(f"{octets} octets")
        if problems:
            found[path] = problems
    assert found == {}
