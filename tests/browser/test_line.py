"""The way of a debt in the browser: list, another's approval, the relay, the payment on a telephone, the light."""

from datetime import timedelta

import pytest
from playwright.sync_api import Browser, expect

from bijlighar.arrears import queries as arrears
from bijlighar.arrears.model import OrderState
from bijlighar.base.period import local_date, local_time
from bijlighar.demo.deeds import OFFICE_HOUR
from bijlighar.runtime import portal_access
from bijlighar.runtime.clock import wall
from bijlighar.runtime.sessions import PORTAL_COOKIE
from tests.browser.kit import APPROVER, CLERK, OPERATOR, PATIENCE_MS, PHONE, OpenTown, digits, visit

DAYS_MAX = 30
OFF = (OrderState.OPEN,)


@pytest.fixture
def town(old_town: OpenTown) -> OpenTown:
    return old_town


def orders(town: OpenTown):
    with town.demo.line.database.read() as connection:
        return arrears.orders(connection)


def live_a_day(town: OpenTown) -> None:
    """Let a day pass in which the town's people hand out what is to be handed out, and pay nothing."""
    day = local_date(town.now) + timedelta(days=1)
    town.move(local_time(day, OFFICE_HOUR))
    with town.standing():
        town.demo.people.hand_out_notices(town.now)
        town.demo.people.work_by_hand(town.now)
        town.demo.quiet.wait()


def test_goes_from_the_list_to_the_light(browser: Browser, town: OpenTown):
    clerk, approver = (visit(browser, town, person=who).new_page() for who in (CLERK, APPROVER))
    for _ in range(DAYS_MAX):
        clerk.goto("/lists/new")
        send = clerk.locator("form[action='/lists'] button.main")
        if send.count() and digits(send.inner_text()) > 0:
            break
        live_a_day(town)
    send.click()
    clerk.wait_for_url("**/lists/*")
    number = clerk.url.rsplit("/", 1)[1]

    clerk.goto(f"/lists/{number}/approve")
    expect(clerk.locator("main")).to_contain_text("may not approve list")
    assert clerk.locator("form[action$='/approve'] button.main").count() == 0
    approver.goto(f"/lists/{number}/approve")
    assert approver.locator("form[action$='/approve'] button.main").count() == 1, approver.inner_text("main")
    approver.locator("form[action$='/approve'] button.main").click()
    expect(approver.locator("main")).to_contain_text("approved", ignore_case=True)

    for _ in range(DAYS_MAX):
        if any(order.state in OFF for order in orders(town)):
            break
        live_a_day(town)
    cut = next(order for order in orders(town) if order.state in OFF)
    assert cut.meter in town.demo.meters.state().relays_open
    operator = visit(browser, town, person=OPERATOR).new_page()
    operator.goto("/commands")
    expect(operator.locator("main")).to_contain_text(cut.account)

    phone = visit(browser, town, person=None, language="hi", size=PHONE)
    token = portal_access.open_portal(town.demo.line, account=cut.account, wall=wall())
    phone.add_cookies([{"name": PORTAL_COOKIE, "value": token, "url": town.address}])
    page = phone.new_page()
    page.goto("/me")
    expect(page.locator("main")).to_contain_text("आपूर्ति")
    page.click("button.pay")
    page.click("#pay")
    page.wait_for_url("**/me")
    for _ in range(PATIENCE_MS // 500):
        if next(order for order in orders(town) if order.number == cut.number).state is OrderState.CLOSED:
            break
        page.wait_for_timeout(500)
    assert next(order for order in orders(town) if order.number == cut.number).state is OrderState.CLOSED
    assert cut.meter not in town.demo.meters.state().relays_open
    page.goto("/me")
    expect(page.locator("main")).to_contain_text("आपूर्ति चालू है")
    operator.goto(f"/commands/{cut.number}")
    expect(operator.locator("main")).to_contain_text("reconnected", ignore_case=True)
