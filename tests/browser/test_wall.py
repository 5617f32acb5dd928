"""The wall in a browser: counts that agree, floods in one row, rows that stand still, keys, refusals."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bijlighar.alarms import operations as alarms
from bijlighar.registry import queries as registry
from tests.browser.kit import (
    MAGNET,
    NEUTRAL_DISTURBED,
    OPERATOR,
    OVERLOAD,
    OpenTown,
    digits,
    open_wall,
    row_of,
    strangers,
    visit,
    wait_live,
)

WALL_BYTES_MAX = 120 * 1024
MANY = 60
#: What can be wrong with a meter: P1 magnet, single wire, cover, module; P2 neutral, CT open; P3 reversed, overload.
CODES = (MAGNET, 207, 251, 209, NEUTRAL_DISTURBED, 57, 51, OVERLOAD)
COUNTS = """
() => {
  const rows = [...document.querySelectorAll("#wall-rows tr")];
  const fresh = rows.filter((row) => row.classList.contains("fresh1"));
  const of = (row) => {
    const found = row.querySelector("[data-open]").textContent.match(/[0-9]+/);
    return found ? Number(found[0]) : 1;
  };
  return {
    tile: document.querySelector("#figures .figure b").textContent,
    banner: document.getElementById("banner-text").textContent.split(" ")[0],
    rows: fresh.reduce((sum, row) => sum + of(row), 0),
    hidden: document.getElementById("banner").hidden,
  };
}
"""


@pytest.fixture(scope="module")
def town(young_town: OpenTown) -> OpenTown:
    return young_town


@pytest.fixture(autouse=True)
def calm(town: OpenTown) -> None:
    town.calm()


@pytest.fixture
def desk(browser: Browser, town: OpenTown) -> Iterator[BrowserContext]:
    context = visit(browser, town, person=OPERATOR)
    yield context
    context.close()


@pytest.fixture
def wall(desk: BrowserContext) -> Page:
    return open_wall(desk)


def fresh(page: Page) -> Any:
    """Return the rows that nobody has acknowledged."""
    return page.locator("#wall-rows tr[class*=fresh]")


def keys_of(page: Page) -> list[str]:
    return [
        str(key) for key in page.locator("#wall-rows tr").evaluate_all("rows => rows.map(r => r.dataset.key)")
    ]


class TestRows:
    def test_stand_still_under_the_pointer_and_are_put_right_in_their_place(self, town, wall):
        first, second = town.untouched()[:2]
        town.demo.meters.tamper(serial=first, code=NEUTRAL_DISTURBED)
        row = row_of(wall, first)
        row.hover()
        before, place = keys_of(wall), row.bounding_box()
        town.demo.meters.tamper(serial=second, code=MAGNET)

        expect(wall.locator("#held")).to_be_visible()
        expect(wall.locator("#banner")).to_contain_text("1 not acknowledged")
        assert keys_of(wall) == before
        assert row.bounding_box()["x"] == place["x"]
        row.locator("[data-acknowledge]").click()
        expect(row).to_contain_text("Kiran Sharma")
        assert keys_of(wall) == before
        wall.mouse.move(5, 5)
        expect(wall.locator("#held")).to_be_hidden()
        expect(wall.locator("#wall-rows tr").first).to_contain_text(second)

    def test_obey_the_keys(self, town, wall):
        for meter in town.untouched()[:2]:
            town.demo.meters.tamper(serial=meter, code=MAGNET)
        expect(fresh(wall)).to_have_count(2)
        wall.mouse.move(5, 5)
        first, second = keys_of(wall)[:2]
        focused = wall.locator(":focus")
        for key, expected in (("j", first), ("j", second), ("k", first)):
            wall.keyboard.press(key)
            expect(focused).to_have_attribute("data-key", expected)
        wall.keyboard.press("a")

        expect(wall.locator(f"[data-key='{first}'] [data-acknowledge]")).to_have_count(0)
        expect(focused).to_have_attribute("data-key", first)
        wall.keyboard.press("Enter")
        wall.wait_for_url(f"**/alarms/{first.removeprefix('a')}")
        expect(wall.locator("h1")).to_contain_text("Magnet")


class TestRefusal:
    def test_shows_its_words_and_leaves_the_page_as_it_is(self, town, wall):
        meter = town.untouched()[0]
        town.demo.meters.tamper(serial=meter, code=MAGNET)
        row = row_of(wall, meter)
        expect(row.locator("[data-acknowledge]")).to_be_visible()
        before = wall.locator("#wall-rows tr").count()
        row.evaluate(
            "row => { row.querySelector('[data-acknowledge]').setAttribute('hx-post', '/alarms/999999/acknowledge') }"
        )
        with wall.expect_response(lambda response: "/999999/" in response.url) as answer:
            row.locator("[data-acknowledge]").click()

        assert answer.value.status == 404
        expect(wall.locator("#said .problem")).to_be_visible()
        expect(wall.locator("#said")).to_contain_text("999999")
        expect(wall.locator("header.top")).to_have_count(1)
        assert wall.locator("#wall-rows tr").count() == before


class TestFlood:
    def test_of_a_feeder_is_one_row_and_a_tamper_stays_its_own(self, town, wall):
        meter = next(one for one in town.untouched() if feeder_of(town, one) == town.demo.town.feeders[0])
        town.demo.meters.tamper(serial=meter, code=MAGNET)
        expect(row_of(wall, meter)).to_have_count(1)
        dark = [
            one
            for one in town.untouched()
            if one != meter and feeder_of(town, one) == town.demo.town.feeders[0]
        ]
        for one in dark[:10]:
            town.demo.meters.tamper(serial=one, code=NEUTRAL_DISTURBED)

        group = wall.locator("#wall-rows tr.group")
        expect(group).to_have_count(1)
        expect(group).to_contain_text("all within")
        expect(group.locator("[data-open]")).to_have_text(re.compile(rf"Open {len(dark[:10])}$"))
        expect(row_of(wall, meter).first).to_have_class("fresh1")
        expect(wall.locator("#figures")).to_contain_text("FLOOD since")
        group.locator("[data-open]").click()
        expect(wall.locator("table.wall tbody tr")).to_have_count(len(dark[:10]))


class TestManyAlarms:
    @pytest.fixture(autouse=True)
    def many(self, calm: None, town: OpenTown) -> None:
        meters = town.meters()
        for number in range(MANY):
            meter, code = meters[number % len(meters)], CODES[number // len(meters) * 2 % len(CODES)]
            town.demo.meters.tamper(serial=meter, code=code)
        with town.standing():
            town.demo.quiet.wait()

    def test_are_counted_alike_in_figures_banner_and_rows_and_the_page_stays_small(self, town, desk):
        urls: list[str] = []
        desk.on("request", lambda request: urls.append(request.url))
        page = open_wall(desk)
        waiting = [alarm for alarm in town.waiting() if alarm.priority == 1]
        expect(page.locator("#banner")).to_contain_text(f"{len(waiting)} not acknowledged")

        counts = page.evaluate(COUNTS)
        assert (digits(counts["tile"]), digits(counts["banner"]), counts["rows"]) == (len(waiting),) * 3
        assert len(waiting) > 10
        alarms.acknowledge(town.demo.line.database, number=waiting[0].number, person=OPERATOR, now=town.now)
        expect(page.locator("#banner")).to_contain_text(f"{len(waiting) - 1} not acknowledged")
        counts = page.evaluate(COUNTS)
        assert digits(counts["tile"]) == digits(counts["banner"]) == len(waiting) - 1
        assert strangers(urls, town=town) == []
        assert len(urls) > 5

    @pytest.mark.parametrize(
        ("language", "heading", "action"), [("en", "Alarms", "Open"), ("hi", "अलार्म", "खोलें")]
    )
    def test_are_shown_in_both_languages_within_the_budget(self, browser, town, language, heading, action):
        context = visit(browser, town, person=OPERATOR, language=language)
        page = context.new_page()
        answer = page.goto("/alarms")
        wait_live(page)

        assert answer is not None
        rows = page.locator("#wall-rows tr").count()
        assert len(answer.body()) * max(MANY / max(rows, 1), 1) <= WALL_BYTES_MAX or rows < 20
        assert len(answer.body()) <= WALL_BYTES_MAX
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.locator("h1")).to_have_text(heading)
        expect(page.locator("#wall-rows")).to_contain_text(action)
        context.close()


def feeder_of(town: OpenTown, meter: str) -> str | None:
    with town.demo.line.database.read() as connection:
        return registry.installations(connection, meter=meter)[-1].feeder
