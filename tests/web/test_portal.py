"""A consumer's pages: they work without scripts, show the own account alone, and say nothing of any other."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bijlighar.base.period import Period, local_midnight
from bijlighar.headend import session_store
from bijlighar.headend.model import SESSION_OK, SessionPurpose, SessionRow
from bijlighar.ledger.errors import GatewayUnavailable
from bijlighar.runtime import billing_run, payment_store, portal_access
from bijlighar.runtime.clock import set_demo_time, wall
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.payment_store import ToldPayment
from bijlighar.runtime.payments import settle_due
from bijlighar.runtime.portal_store import TRIES_MAX
from bijlighar.runtime.sessions import PORTAL_COOKIE
from bijlighar.storage.schema import metadata
from tests.arrears.world import World
from tests.billing import town
from tests.runtime.test_paying import SECRET, FakePages, signed
from tests.runtime.test_portal_access import FakeMessages
from tests.web.kit import Client, client_of, send_form

NOW = town.THIRD_OF_MAY
PAGE_OCTETS_MAX = 30_000
SCRIPT_OCTETS_MAX = 1_536


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """A home with a gateway, a provider of messages and a clock that the tests move."""
    folder = tmp_path / "home"
    folder.mkdir()
    settings = (
        f'demo = true\ngateway.key_id = "rzp"\ngateway.key_secret = "{SECRET}"\nweb.public_url = "http://t"\n'
    )
    (folder / "settings.toml").write_text(settings, encoding="utf-8")
    home = Home(folder)
    metadata.create_all(home.database.engine)
    set_demo_time(home.database, now=NOW)
    opened = Line(home, worker="worker@test")
    opened.message_gateway = FakeMessages()
    opened.payment_gateway = FakePages()
    yield opened
    home.database.close()


@pytest.fixture
def billed(line: Line) -> Line:
    """A1 and A2 are billed for April."""
    town.register(
        line.database,
        town.row("A1", "M-101", name="<b>सुनीता</b> & पाटीदार", phone="+919827000001"),
        town.row("A2", "M-102", phone="+919827000002"),
    )
    for meter in ("M-101", "M-102"):
        period = Period(start=town.START, end=local_midnight(date(2025, 5, 1)))
        town.measure(line.database, meter, period=period, wh=150)
        day = Period.of_local_day(date(2025, 5, 1))
        town.measure(line.database, meter, period=day, wh=150, estimated=(3,))
    while billing_run.issue_due(line, NOW):
        pass
    return line


def consumer(line: Line, account: str = "A1", *, language: str = "en") -> Client:
    """Return the browser of a consumer who has signed in."""
    client = client_of(line, language=language)
    client.cookies.set(PORTAL_COOKIE, portal_access.open_portal(line, account=account, wall=wall()))
    return client


def messages(line: Line) -> FakeMessages:
    gateway = line.message_gateway
    assert isinstance(gateway, FakeMessages)
    return gateway


def pages(line: Line) -> FakePages:
    gateway = line.payment_gateway
    assert isinstance(gateway, FakePages)
    return gateway


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


class TestSignIn:
    def test_leads_a_stranger_to_the_form(self, line: Line):
        for path in ("/me", "/me/status", "/me/bill.pdf"):
            answer = client_of(line).get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/me/sign-in")

    def test_takes_the_number_and_the_code(self, billed: Line):
        client = client_of(billed)
        asked = send_form(client, "/me/sign-in", account="a1")
        assert (asked.status_code, asked.headers["location"]) == (303, "/me/code")
        portal_access.send_codes(billed, now=NOW, wall=wall())
        form = client.get("/me/code")
        assert 'value="a1"' in form.text
        assert 'autocomplete="one-time-code"' in form.text

        entered = send_form(client, "/me/code", account="a1", code=messages(billed).codes[0])

        assert (entered.status_code, entered.headers["location"]) == (303, "/me")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=lax" in cookie.lower()
        assert client.get("/me").status_code == 200

    def test_tells_nobody_whether_a_number_is_somebodys(self, billed: Line):
        seen = set()
        for account in ("A1", "X1"):
            client = client_of(billed)
            asked = send_form(client, "/me/sign-in", account=account)
            form = client.get("/me/code")
            wrong = [
                send_form(client, "/me/code", account=account, code="000000") for _ in range(TRIES_MAX + 1)
            ]
            again = [send_form(client, "/me/sign-in", account=account).status_code for _ in range(3)]
            seen.add(
                (
                    asked.status_code,
                    len(asked.content),
                    form.status_code,
                    len(form.content),
                    tuple((each.status_code, len(each.content)) for each in wrong),
                    tuple(again),
                )
            )
            assert "X1" not in messages(billed).codes

        assert len(seen) == 1

    def test_says_in_hindi_what_is_wrong(self, billed: Line):
        answer = send_form(client_of(billed), "/me/code", account="A1", code="1")

        assert answer.status_code == 403
        assert "कोड सही नहीं है या अब मान्य नहीं है" in answer.text

    def test_says_so_where_no_code_can_be_sent(self, line: Line):
        line.message_gateway = None

        assert "not possible at the moment" in client_of(line, language="en").get("/me/sign-in").text

    def test_writes_in_the_language_of_the_records_until_one_is_chosen(self, line: Line):
        town.register(line.database, town.row("E1", "M-103", language="en"))
        client = client_of(line)
        client.cookies.delete("bijlighar_language")
        send_form(client, "/me/sign-in", account="E1")
        portal_access.send_codes(line, now=NOW, wall=wall())
        send_form(client, "/me/code", account="E1", code=messages(line).codes[0])

        assert '<html lang="en">' in client.get("/me").text

    def test_ends_by_signing_out(self, billed: Line):
        client = consumer(billed)
        token = client.cookies[PORTAL_COOKIE]

        assert send_form(client, "/me/sign-out").status_code == 303
        assert portal_access.portal_account(billed, token=token, wall=wall()) is None

    def test_takes_no_form_of_another_site(self, billed: Line):
        client = consumer(billed)
        answer = client.post("/me/pay", data={"amount": "5"})
        assert answer.status_code == 403
        assert pages(billed).asked == []


class TestAccount:
    @pytest.mark.parametrize("language", ["hi", "en"])
    def test_is_small_and_has_no_style_or_script_in_it(self, billed: Line, language: str):
        answer = consumer(billed, language=language).get("/me")

        assert answer.status_code == 200
        assert len(answer.content) < PAGE_OCTETS_MAX
        assert not re.search(r"style=|<style|\son\w+=|<script", answer.text)
        assert f'<html lang="{language}">' in answer.text

    def test_shows_bill_use_and_passbook(self, billed: Line):
        text = words(consumer(billed).get("/me").text)

        for part in (
            "Supply is on",
            "Bill of April 2025",
            "Last date of payment",
            "How was this worked out?",
            "Download the bill (PDF)",
            "units a day",
            "Hollow bar: estimated",
            "Passbook",
            "Ombudsman",
        ):
            assert part in text

    def test_explains_the_bill_to_the_paisa(self, billed: Line):
        html = consumer(billed).get("/me").text
        table = html[html.index('id="how"') : html.index("Payable when issued")]
        rows = [row for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL) if "total" not in row]
        sums = [
            round(float(amount.replace(",", "").replace("₹", "").replace("−", "-")) * 100)
            for row in rows
            for amount in re.findall(r'<td class="n">([^<]+)', row)
        ]
        total = re.search(r'This month.s bill</td><td class="n">₹([\d,.]+)', html.replace("&#39;", "'"))

        assert total is not None
        assert sum(sums) == round(float(total[1].replace(",", "")) * 100)

    def test_writes_names_as_in_the_records(self, billed: Line):
        html = consumer(billed).get("/me").text

        assert "&lt;b&gt;सुनीता&lt;/b&gt; &amp; पाटीदार" in html

    def test_shows_the_own_account_alone(self, billed: Line):
        html = consumer(billed, "A2").get("/me?account=A1").text

        assert "A2" in html
        assert "सुनीता" not in html

    def test_has_one_green_button_and_the_switch_of_languages(self, billed: Line):
        html = consumer(billed).get("/me").text

        assert html.count('class="pay"') == 1
        assert 'value="hi" lang="hi">हिन्दी' in html

    def test_looks_again_only_while_something_moves(self, billed: Line):
        client = consumer(billed)
        quiet = client.get("/me").text
        told = ToldPayment(payment_id="pay_1", account="A1", amount_paise=50_000, told_at=NOW)
        with billed.database.write() as connection:
            payment_store.tell(connection, payment=told)
        moving = client.get("/me").text

        assert "refresh" not in quiet
        assert "portal" not in re.findall(r"<script[^>]*>", quiet)
        assert '<noscript><meta http-equiv="refresh" content="15"></noscript>' in moving
        script = re.search(r'<script src="([^"]+)"', moving)
        assert script is not None
        assert (
            len(client.get(script[1], headers={"accept-encoding": "identity"}).content) <= SCRIPT_OCTETS_MAX
        )
        assert "Pending ₹500.00: The payment is being confirmed" in words(moving).replace(" :", ":")


class TestBill:
    def test_is_the_own_newest_one(self, billed: Line):
        client = consumer(billed)
        for language in ("hi", "en"):
            answer = client.get(f"/me/bill.pdf?lang={language}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
            assert answer.content.startswith(b"%PDF")

        assert f"PDF, {-(-len(answer.content) // 1024)} KB" in client.get("/me").text

    def test_of_another_account_is_not_found(self, billed: Line):
        numbers = re.findall(r"B2504-\d+-\d", consumer(billed, "A2").get("/me").text)
        client = consumer(billed)
        answers = [client.get(f"/me/bill.pdf?number={number}") for number in (numbers[0], "B2504-9999999-9")]

        assert [answer.status_code for answer in answers] == [404, 404]
        assert len({len(answer.content) for answer in answers}) == 1


class TestPay:
    def test_leads_to_the_gateway_and_back(self, billed: Line):
        client = consumer(billed)
        paid = send_form(client, "/me/pay")
        assert (paid.status_code, paid.headers["location"]) == (303, "https://pay.example/plink_1")
        (asked,) = pages(billed).asked
        assert urlsplit(asked.return_url or "").path == "/me/paid"

        back = pages(billed).pay("plink_1", account="A1")
        answer = client.get(
            "/me/paid",
            params={
                "razorpay_payment_id": back.payment_id,
                "razorpay_payment_link_id": back.link_id,
                "razorpay_payment_link_reference_id": back.reference,
                "razorpay_payment_link_status": back.status,
                "razorpay_signature": back.signature,
            },
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/me")
        assert 'data-moving="1"' in client.get("/me/status").text
        settle_due(billed, now=NOW)
        shown = client.get("/me").text
        assert "data-moving" not in shown
        assert "Nothing to pay" in shown

    def test_takes_a_part(self, billed: Line):
        send_form(consumer(billed), "/me/pay", amount="₹ 1,0.50")

        assert [request.amount_paise for request in pages(billed).asked] == [1_050]

    @pytest.mark.parametrize("amount", ["0", "0.99", "-5", "abc", "1.005", "99999999", "1e9", "NaN", "१०"])
    def test_says_what_amount_can_be_paid(self, billed: Line, amount: str):
        answer = send_form(consumer(billed), "/me/pay", amount=amount)

        if amount == "१०":
            assert answer.status_code == 303, "digits of Hindi are digits"
            return
        assert answer.status_code == 400
        assert "This amount cannot be taken" in answer.text
        assert "<details open>" in answer.text
        assert pages(billed).asked == []

    def test_says_so_where_the_gateway_does_not_answer(self, billed: Line, monkeypatch: pytest.MonkeyPatch):
        def silent(**_: object) -> None:
            raise GatewayUnavailable("no answer")

        monkeypatch.setattr(pages(billed), "create_payment_link", silent)
        answer = send_form(consumer(billed), "/me/pay")

        assert answer.status_code == 503
        assert "nothing was charged" in answer.text

    def test_offers_a_upi_app_where_no_gateway_is_set(self, billed: Line, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("BIJLIGHAR_GATEWAY_KEY_ID", "")
        del billed.home.settings
        html = consumer(billed).get("/me").text

        assert '<a class="pay" href="upi://pay?' in html
        assert "/me/pay" not in html

    def test_believes_no_return_without_the_gateways_signature(self, billed: Line):
        send_form(consumer(billed), "/me/pay")
        back = signed(pages(billed).pay("plink_1", account="A1"))
        answer = client_of(billed).get(
            "/me/paid",
            params={
                "razorpay_payment_id": back.payment_id,
                "razorpay_payment_link_id": back.link_id,
                "razorpay_payment_link_reference_id": back.reference,
                "razorpay_payment_link_status": back.status,
                "razorpay_signature": back.signature[::-1],
            },
        )

        assert answer.status_code == 403
        assert "पुष्टि नहीं हुई" in answer.text


@pytest.fixture
def world(line: Line) -> World:
    """N1 is cut for two bills; the others are there so that the policy lets one be cut."""
    return World(database=line.database)


def shown(line: Line, world: World, account: str = "N1") -> str:
    set_demo_time(line.database, now=world.now)
    return words(consumer(line, account).get("/me").text)


class TestSupply:
    def test_tells_of_the_notice_and_of_the_warning(self, line: Line, world: World):
        world.start().in_arrears("N1")
        text = shown(line, world)
        assert "Notice of disconnection" in text
        assert "Your supply will not be cut before" in text
        assert "₹3,000.00 overdue since" in text
        assert "deposit under protest" in text

    def test_tells_of_the_last_warning_with_its_day(self, line: Line, world: World):
        assert "may be cut on 17 July 2025 or after" in shown(line, world.start().approved("N1"))

    def test_tells_of_an_order_that_has_gone_out(self, line: Line, world: World):
        assert "The order to disconnect has gone out" in shown(line, world.start().sent("N1"))

    def test_tells_why_it_is_off_and_what_to_do(self, line: Line, world: World):
        text = shown(line, world.start().cut("N1"))

        assert "Supply is off since 17 Jul 2025 11:00" in text
        assert "As soon as the payment arrives" in text

    def test_tells_how_it_comes_back(self, line: Line, world: World):
        world.start().cut("N1")
        world.pay("N1", 300_000)
        assert "Your meter cannot be reached just now" in shown(line, world)
        row = SessionRow(
            meter="M-N1",
            purpose=SessionPurpose.CONTROL,
            started_at=world.now,
            duration_ms=1,
            outcome=SESSION_OK,
        )
        with line.database.write() as connection:
            session_store.log_sessions(connection, rows=[row])
        assert "The order to switch on has been sent to your meter" in shown(line, world)
        world.now += timedelta(hours=1)
        assert "By our lineman today, by 17:00" in shown(line, world)
        world.now += timedelta(hours=6)
        assert "Call 1912 and give your consumer number N1" in shown(line, world)
