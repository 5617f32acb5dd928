"""The siren of a console, against a real server, real meters' octets and a real browser's sound."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bijlighar.alarms import operations as alarms
from bijlighar.alarms.model import NO_CONSOLE_CODE, Beat
from bijlighar.runtime.clock import wall
from tests.browser.kit import (
    COVER,
    ENGINEER,
    MAGNET,
    OPERATOR,
    PATIENCE_MS,
    OpenTown,
    arm,
    changed_after_s,
    loud,
    open_wall,
    row_of,
    time_siren,
    visit,
    wait_live,
    wait_siren,
)

TABS = 7
#: A page that acts by itself, as a page would that means to sound without being touched. Nothing is evaluated in it:
#: that would count as a touch.
SELF_ARMING = """
addEventListener("load", () => {
  setTimeout(() => document.getElementById("arm").click(), 500);
  setTimeout(() => console.log("told: " + document.body.dataset.siren + ": " +
    (document.getElementById("not-armed").hidden ? "" : document.getElementById("not-armed-why").textContent)), 5000);
});
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
def armed(desk: BrowserContext, town: OpenTown) -> Page:
    """The wall on an armed console, nothing to be acknowledged."""
    page = open_wall(desk)
    arm(page)
    expect(page.locator("body")).to_have_attribute("data-siren", re.compile("armed|sounding"))
    town.calm()
    wait_siren(page, "armed")
    return page


@pytest.fixture
def meters(town: OpenTown) -> list[str]:
    """Meters that nobody has tampered with yet."""
    return town.untouched()


class TestTamper:
    def test_shows_its_row_and_sounds_until_it_is_acknowledged(self, town, armed, meters):
        town.demo.meters.tamper(serial=meters[0], code=MAGNET)
        with armed.expect_request(loud, timeout=PATIENCE_MS):
            wait_siren(armed, "sounding")
        banner, row = armed.locator("#banner"), row_of(armed, meters[0])
        expect(banner).to_be_visible()
        expect(banner).to_contain_text("1 not acknowledged")
        expect(armed.locator("#siren-pill")).to_have_text("Siren sounding")
        row.locator("[data-acknowledge]").click()

        wait_siren(armed, "armed")
        expect(banner).to_be_hidden()
        expect(row).to_contain_text("Kiran Sharma")
        expect(row.locator("[data-acknowledge]")).to_have_count(0)
        expect(armed.locator("body")).to_have_attribute("data-loud", "false")

    def test_that_is_over_goes_on_sounding_until_somebody_has_seen_it(self, town, armed, meters):
        town.demo.meters.tamper(serial=meters[0], code=MAGNET)
        wait_siren(armed, "sounding")
        row = row_of(armed, meters[0])
        expect(row).to_have_class("fresh1")
        town.demo.meters.restore(serial=meters[0], code=MAGNET)

        expect(row).to_have_class("quiet returned")
        wait_siren(armed, "sounding")
        row.locator("[data-acknowledge]").click()
        wait_siren(armed, "armed")
        armed.mouse.move(5, 5)
        expect(row).to_have_count(0)


class TestSilence:
    def test_acknowledges_nothing_and_ends_by_itself_or_by_the_next_alarm(self, town, armed, meters):
        town.demo.meters.tamper(serial=meters[0], code=MAGNET)
        wait_siren(armed, "sounding")
        armed.locator("#banner-silence").click()

        wait_siren(armed, "silenced")
        expect(armed.locator("#banner")).to_contain_text("1 not acknowledged")
        expect(armed.locator("#banner")).to_contain_text("Silenced until")
        expect(row_of(armed, meters[0])).to_have_class("fresh1")

        town.demo.meters.tamper(serial=meters[1], code=COVER)
        wait_siren(armed, "sounding")
        expect(armed.locator("#banner")).to_contain_text("2 not acknowledged")

        armed.locator("#banner-silence").click()
        wait_siren(armed, "silenced")
        town.advance(timedelta(seconds=61))
        wait_siren(armed, "sounding")


class TestFrozenServer:
    def test_is_told_within_thirteen_seconds_and_forgotten_when_it_goes_on(self, town, armed):
        with town.frozen():
            time_siren(armed)
            wait_siren(armed, "not_armed")
            expect(armed.locator("#not-armed")).to_be_visible()
            expect(armed.locator("#not-armed-why")).to_contain_text("No word from the server for")
            expect(armed.locator("#live")).to_have_attribute("data-state", "stale")

        assert 6 < changed_after_s(armed, "not_armed") <= 13
        wait_siren(armed, "armed")
        wait_live(armed)
        expect(armed.locator("#not-armed")).to_be_hidden()


class TestTabs:
    def test_all_load_and_show_the_siren_and_the_hidden_one_misses_nothing(self, town, desk, armed, meters):
        others = [open_wall(desk) for _ in range(TABS - 1)]
        for page in others:
            expect(page.locator("#siren-pill")).to_contain_text("Siren armed, heard")
            expect(page.locator("#not-armed")).to_be_hidden()
        hidden = others[0]
        hidden.evaluate(
            "() => { Object.defineProperty(document, 'visibilityState', {get: () => 'hidden'});"
            " Object.defineProperty(document, 'hidden', {get: () => true});"
            " document.dispatchEvent(new Event('visibilitychange')); }"
        )
        for meter in meters[:3]:
            town.demo.meters.tamper(serial=meter, code=MAGNET)

        wait_siren(armed, "sounding")
        for page in (armed, *others):
            for meter in meters[:3]:
                expect(row_of(page, meter)).to_have_count(1)
            expect(page.locator("#banner")).to_contain_text("3 not acknowledged")
        assert all(page.locator("body").get_attribute("data-loud") == "false" for page in others)


class TestTwoConsoles:
    def test_that_acknowledge_at_once_are_told_who_was_first(self, browser, town, armed, meters):
        context = visit(browser, town, person=ENGINEER)
        pages = {OPERATOR: armed, ENGINEER: open_wall(context)}
        answers: list[tuple[str, int]] = []
        for person, page in pages.items():
            page.on(
                "response",
                lambda response, person=person: (
                    answers.append((person, response.status)) if "/acknowledge" in response.url else None
                ),
            )
        town.demo.meters.tamper(serial=meters[0], code=MAGNET)
        for page in pages.values():
            row_of(page, meters[0]).locator("[data-acknowledge]").wait_for()
        moment = armed.evaluate("Date.now() + 1500")
        for page in pages.values():
            page.evaluate(
                "([moment, meter]) => { const row = [...document.querySelectorAll('#wall-rows tr')]"
                ".find((one) => one.textContent.includes(meter));"
                " setTimeout(() => row.querySelector('[data-acknowledge]').click(), moment - Date.now()); }",
                [moment, meters[0]],
            )
        wait_siren(armed, "armed")
        for page in pages.values():
            expect(row_of(page, meters[0]).locator("[data-acknowledge]")).to_have_count(0)
        armed.wait_for_timeout(200)

        assert sorted(status for _, status in answers) == [204, 409]
        first = next(person for person, status in answers if status == 204)
        last = next(person for person, status in answers if status == 409)
        expect(pages[last].locator("#said .problem")).to_contain_text(f"acknowledged by {first}")
        expect(pages[first].locator("#said .problem")).to_have_count(0)
        context.close()


class TestNotArmed:
    def test_says_that_a_page_must_be_touched(self, desk):
        page = desk.new_page()
        page.add_init_script(SELF_ARMING)
        with page.expect_console_message(
            lambda message: message.text.startswith("told: "), timeout=PATIENCE_MS
        ) as told:
            page.goto("/alarms")

        assert told.value.text == (
            "told: not_armed: The browser lets no page sound before it is touched; press On duty."
        )

    def test_says_that_the_tone_was_not_heard(self, desk):
        page = open_wall(desk)
        expect(page.locator("#not-armed-why")).to_have_text("Press On duty to arm it.")
        arm(page, heard=False)

        wait_siren(page, "not_armed")
        expect(page.locator("#not-armed-why")).to_contain_text("The test tone was not heard")
        expect(page.locator("#siren-pill")).to_have_text("Siren NOT armed")


class TestUnwatched:
    def test_raises_an_alarm_half_a_minute_after_the_last_armed_console_was_heard(self, browser, town):
        page = open_wall(context := visit(browser, town, person=ENGINEER))
        heard_at = wall() - timedelta(seconds=20)
        beat = Beat(console="0123456789", state="armed", heard_at=town.now)
        alarms.beat(town.demo.line.database, beat=beat, person=OPERATOR, now=town.now, wall=heard_at)

        expect(page.locator("#banner-title")).to_have_text("SYSTEM ALARM", timeout=2 * PATIENCE_MS)
        assert wall() - heard_at >= timedelta(seconds=30)
        assert [alarm.code for alarm in town.waiting()] == [NO_CONSOLE_CODE]
        arm(page)
        wait_siren(page, "sounding")
        page.locator("[data-acknowledge]").click()
        page.mouse.move(5, 5)
        wait_siren(page, "armed")
        expect(page.locator("#wall-rows tr.fresh1, #wall-rows tr.returned")).to_have_count(0)
        context.close()


class TestRestart:
    def test_ends_with_streams_open_and_sounds_again_for_what_still_waits(self, town, armed, meters):
        town.demo.meters.tamper(serial=meters[0], code=MAGNET)
        wait_siren(armed, "sounding")
        with town.without_web() as took_s:
            assert took_s < 3
            wait_siren(armed, "not_armed")
            expect(armed.locator("#not-armed-why")).to_contain_text("No word from the server for")

        wait_siren(armed, "sounding")
        expect(row_of(armed, meters[0])).to_have_class("fresh1")
        town.demo.meters.tamper(serial=meters[1], code=MAGNET)
        expect(row_of(armed, meters[1])).to_have_class("fresh1")


class TestListeners:
    def test_are_forgotten_when_their_browsers_are_gone(self, browser, town):
        with town.second_server() as (address, hub):
            contexts = [visit(browser, town, person=OPERATOR) for _ in range(3)]
            for context in contexts:
                page = context.new_page()
                page.goto(f"{address}/alarms")
                wait_live(page)
            most = hub.listeners
            for context in contexts:
                context.close()
            deadline = time.monotonic() + 2 * 5
            while hub.listeners and time.monotonic() < deadline:
                time.sleep(0.1)

            assert (most, hub.listeners) == (3, 0)
