"""A real browser for each module, a town of one day for each module, and one with months behind it for all."""

from collections.abc import Iterator
from datetime import date, timedelta
from datetime import time as wall_time

import pytest
from playwright.sync_api import Browser

from bijlighar.base.period import local_time
from bijlighar.demo import driver
from tests.browser import chromium
from tests.browser.kit import OpenTown, open_town

NOON = wall_time(12)
#: When two bills of some consumer are unpaid for more than sixty days, and a list may name them.
LIST_DAY = date(2025, 7, 16)
MONTHS = 5
#: A past in which nobody looks is lived in steps; the meters remember what was between.
STEP = timedelta(days=5)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; the test is skipped where it cannot be run."""
    if (why := chromium.missing()) is not None:
        pytest.skip(why)
    with chromium.browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def young_town(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenTown]:
    """A town at noon of its first day."""

    def live(demo: driver.Demo) -> None:
        driver.move(demo, now=local_time(demo.town.first_day, NOON))

    with open_town(tmp_path_factory.mktemp("young"), months=1, live=live) as town:
        yield town


@pytest.fixture(scope="package")
def old_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenTown]:
    """A town with months behind it, in which nobody has drawn up a list yet."""
    if (why := chromium.missing()) is not None:
        pytest.skip(why)
    with open_town(tmp_path_factory.mktemp("old"), months=MONTHS, live=live_until_listing) as town:
        yield town


def live_until_listing(demo: driver.Demo) -> None:
    """Let the town live until somebody is to be listed: bills, payments, tampers, exchanges; no list is drawn up."""
    actions = list(demo.town.actions)
    day = demo.town.first_day
    while day <= LIST_DAY:
        now = local_time(day, driver.OFFICE_OPENS)
        driver.move(demo, now=now)
        while actions and actions[0].at <= now:
            demo.people.act(actions.pop(0), now)
        demo.people.pay(now)
        demo.people.acknowledge_alarms(now)
        demo.people.look_into_letterboxes(now)
        demo.quiet.wait()
        day = min(day + STEP, LIST_DAY) if day < LIST_DAY else day + STEP
