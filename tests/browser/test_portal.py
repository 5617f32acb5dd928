"""A consumer's phone: sign in with the code, pay on the gateway's page, see it arrive; with and without scripts."""

import asyncio
import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page

from bijlighar.base.period import Period, local_midnight
from bijlighar.ledger import queries as ledger
from bijlighar.runtime import billing_run, payments, portal_access
from bijlighar.runtime.clock import set_demo_time, wall
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.sessions import PORTAL_COOKIE
from bijlighar.storage.schema import metadata
from bijlighar.web.app import create_app
from bijlighar.web.language import COOKIE
from tests.billing import town
from tests.browser.chromium import serious_findings
from tests.notices.kit import PATIENCE_S, SECRETS, ProviderProcess

NOW = town.THIRD_OF_MAY
PHONE = {"width": 360, "height": 740}
TARGET_MIN = 48
SMALL = (
    f"() => [...document.querySelectorAll('a,button,summary,input:not([type=hidden])')]"
    f".filter((one) => one.offsetHeight > 0 && one.getBoundingClientRect().height < {TARGET_MIN})"
    f".map((one) => one.outerHTML)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A running web server with its worker, and the providers it speaks with."""

    url: str
    line: Line
    providers: ProviderProcess


@contextlib.contextmanager
def serving(line: Line, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(create_app(line), log_level="warning", lifespan="on"))
    web = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.1):
            payments.settle_due(line, now=line.now())
            portal_access.send_codes(line, now=line.now(), wall=wall())

    worker = threading.Thread(target=work)
    web.start()
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join(PATIENCE_S)
        server.should_exit = True
        web.join(PATIENCE_S)


@pytest.fixture(scope="module")
def house(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("portal") / "home"
    folder.mkdir()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    providers = ProviderProcess(folder / "providers", callback_base_url=url)
    gateway, whatsapp = providers.gateway, providers.whatsapp
    settings = {
        "web.public_url": url,
        "gateway.url": gateway.base_url,
        "gateway.pages": gateway.base_url,
        "gateway.key_id": gateway.key_id,
        "gateway.key_secret": gateway.key_secret,
        "gateway.webhook_secret": gateway.webhook_secret,
        "whatsapp.url": whatsapp.url,
        "whatsapp.phone_number_id": whatsapp.phone_number_id,
        "whatsapp.token": whatsapp.token,
        "whatsapp.app_secret": SECRETS.whatsapp_app_secret,
    }
    text = "demo = true\n" + "".join(f'{name} = "{value}"\n' for name, value in settings.items())
    (folder / "settings.toml").write_text(text, encoding="utf-8")
    home = Home(folder)
    metadata.create_all(home.database.engine)
    set_demo_time(home.database, now=NOW)
    line = Line(home, worker="worker@test")
    bill(line)
    try:
        with serving(line, listener):
            yield House(url=url, line=line, providers=providers)
    finally:
        for gateway_of in (line.payment_gateway, line.message_gateway):
            if gateway_of is not None:
                gateway_of.close()
        listener.close()
        providers.stop()
        home.database.close()


def bill(line: Line) -> None:
    """N1 and N2 are billed for April; a day of the fortnight is estimated, one is missing."""
    for account, meter in (("N1", "M-101"), ("N2", "M-102")):
        town.register(line.database, town.row(account, meter, name="सुनीता पाटीदार"))
        period = Period(start=town.START, end=local_midnight(date(2025, 5, 1)))
        town.measure(line.database, meter, period=period, wh=140)
        town.measure(
            line.database, meter, period=Period.of_local_day(date(2025, 5, 1)), wh=90, estimated=(3,)
        )
    while billing_run.issue_due(line, NOW):
        pass


def phone(browser: Browser, house: House, *, language: str = "hi", scripts: bool = True) -> BrowserContext:
    context = browser.new_context(viewport=PHONE, java_script_enabled=scripts)
    context.add_cookies([{"name": COOKIE, "value": language, "url": house.url}])
    return context


def signed_in(context: BrowserContext, house: House, account: str) -> Page:
    token = portal_access.open_portal(house.line, account=account, wall=wall())
    context.add_cookies([{"name": PORTAL_COOKIE, "value": token, "url": house.url}])
    page = context.new_page()
    page.goto(f"{house.url}/me")
    return page


def owed(house: House, account: str) -> int:
    with house.line.database.read() as connection:
        return ledger.balance_paise(connection, account=account)


class TestPhone:
    def test_signs_in_and_pays(self, browser: Browser, house: House):
        context = phone(browser, house)
        page = context.new_page()
        complaints: list[str] = []
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if message.location["url"].startswith(house.url) else None
            ),
        )
        page.goto(f"{house.url}/me")
        assert page.url == f"{house.url}/me/sign-in"
        assert serious_findings(page) == []
        page.fill("#account", "n1")
        page.click("button.main")
        assert page.input_value("#account") == "n1"
        assert serious_findings(page) == []
        page.fill("#code", code_of(house))
        page.click("button.main")
        assert page.url == f"{house.url}/me"
        page.click("button.pay")
        assert page.url.startswith(house.providers.gateway.base_url)

        page.click("#pay")
        page.wait_for_url(f"{house.url}/me")
        page.wait_for_selector("text=कुछ देय नहीं", timeout=PATIENCE_S * 1000)

        assert owed(house, "N1") == 0
        assert "भुगतान" in page.inner_text("table >> nth=-1")
        assert complaints == []
        context.close()

    @pytest.mark.parametrize("language", ["hi", "en"])
    def test_shows_everything_within_its_width_and_under_the_thumb(
        self, browser: Browser, house: House, language: str
    ):
        context = phone(browser, house, language=language)
        page = signed_in(context, house, "N2")
        for summary in page.query_selector_all("summary"):
            summary.click()

        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert page.evaluate(SMALL) == []
        assert serious_findings(page) == []
        size = page.evaluate("getComputedStyle(document.body).fontSize")
        assert size == "17px"
        context.close()

    def test_works_without_scripts(self, browser: Browser, house: House):
        context = phone(browser, house, language="en", scripts=False)
        page = signed_in(context, house, "N2")
        before = owed(house, "N2")
        page.click("text=Pay another amount")
        page.fill("#amount", "10.50")
        page.click("text=Pay this amount")
        page.click("#pay")
        page.wait_for_url(f"{house.url}/me")
        give_up = time.monotonic() + PATIENCE_S
        while owed(house, "N2") == before and time.monotonic() < give_up:
            time.sleep(0.05)
        page.reload()

        assert owed(house, "N2") == before - 1_050
        assert "₹10.50" in page.inner_text("table >> nth=-1")
        page.click("text=हिन्दी")
        assert page.get_attribute("html", "lang") == "hi"
        page.click("text=बाहर निकलें")
        assert page.url == f"{house.url}/me/sign-in"
        context.close()


def code_of(house: House) -> str:
    """Return the code that has come to the telephone."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        for message in reversed(house.providers.control.messages()):
            if re.fullmatch(r"\d{6}", message["words"].get("code", "")):
                return str(message["words"]["code"])
        time.sleep(0.05)
    raise AssertionError("no code has come")
