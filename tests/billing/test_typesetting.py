"""The PDF: one page, the same octets each time, text from data only."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.billing.town import APRIL, LINKS, PAYEE, THIRD_OF_MAY, measure, register, row

from bijlighar.base.period import Month
from bijlighar.billing import operations, queries
from bijlighar.billing.content import bill_of, canonical
from bijlighar.billing.document import document, upi_link
from bijlighar.billing.errors import UnknownBill
from bijlighar.billing.model import Bill, Payee
from bijlighar.billing.typesetting import render
from bijlighar.storage.engine import Database
from bijlighar.tariffs.model import Books

HISTORY = tuple(
    (Month(year=2024 + (place + 4) // 12, month=(place + 4) % 12 + 1), 90_000 + 7_000 * place, place % 3)
    for place in range(12)
)


@pytest.fixture
def bill(database: Database, books: Books) -> Bill:
    register(database, row("A1", "MP000101"))
    measure(database, "MP000101", period=APRIL.period, estimated=(3, 4))
    operations.issue_due(database, now=THIRD_OF_MAY, books=books, due_days=10, bill_base_url=LINKS)
    with database.read() as connection:
        return queries.bills(connection, account="A1")[0]


def changed(bill: Bill, **changes: object) -> Bill:
    return bill_of(content=canonical({**json.loads(bill.content), **changes}), token=bill.token)


def printed(
    bill: Bill, language: str = "hi", history: Sequence[tuple[Month, int, int]] = HISTORY
) -> dict[str, object]:
    return json.loads(document(bill=bill, history=history, language=language, payee=PAYEE))  # type: ignore[arg-type]


class TestDocument:
    def test_says_the_discoms_words_in_hindi(self, bill: Bill) -> None:
        said = printed(bill)

        assert said["title"] == "बिजली बिल"
        assert ["उपभोक्ता नंबर", "A1"] in said["facts"]
        assert (said["month"], said["due_on"]) == ("अप्रैल 2025", "13 मई 2025")
        assert [line["name"] for line in said["lines"]][:2] == ["ऊर्जा शुल्क", "स्थिर शुल्क"]

    def test_names_the_tariff_order_in_the_language_of_the_bill(self, bill: Bill) -> None:
        hindi, english = printed(bill)["basis"], printed(bill, language="en")["basis"]

        assert str(hindi).startswith("दर: म.प्र. विद्युत नियामक आयोग का खुदरा आपूर्ति दर आदेश, वित्तीय वर्ष 2025-26 (")
        assert str(english).startswith("Rates: MPERC retail supply tariff order for FY 2025-26 (")

    def test_of_a_book_with_one_language_names_the_order_in_that(self, bill: Bill) -> None:
        before = changed(bill, book={"id": "x", "digest": "0" * 64, "order": "An order"})

        assert str(printed(before)["basis"]).startswith("दर: An order (")

    def test_groups_lakhs_and_hollows_estimated_months(self, bill: Bill) -> None:
        said = printed(changed(bill, previous_paise=384_126_050), language="en")

        assert said["sums"][1] == ["Previous outstanding", "₹38,41,260.50"]
        assert [month["estimated"] for month in said["history"]][:4] == [False, True, True, False]
        assert len(said["history"]) == 12

    def test_has_no_code_where_nothing_is_to_be_paid(self, bill: Bill) -> None:
        said = printed(changed(bill, previous_paise=-9_000_000))

        assert (said["is_payable"], said["qr"], said["payable"]) == (False, "", "₹0.00")

    def test_asks_for_the_sum_on_the_bill(self, bill: Bill) -> None:
        link = upi_link(payee=PAYEE, bill=bill)

        assert link.startswith("upi://pay?pa=bijlighar@upi&pn=MP%20Paschim")
        assert f"&am={bill.total_paise // 100}.00&cu=INR" in link

    def test_shows_no_token(self, bill: Bill) -> None:
        assert bill.token not in document(bill=bill, history=HISTORY, language="hi", payee=PAYEE)


class TestRender:
    @pytest.mark.parametrize("language", ["hi", "en"])
    def test_gives_the_same_octets_each_time(self, bill: Bill, language) -> None:
        first, second = (render(bill=bill, history=HISTORY, language=language, payee=PAYEE) for _ in range(2))

        assert first.startswith(b"%PDF-")
        assert first == second

    def test_takes_a_consumers_text_as_text(self, bill: Bill) -> None:
        facts = {
            **json.loads(bill.content)["facts"],
            "name": '#panic() $x$ " \\ ] <a> #sys.inputs [क्ष] *b* _i_ @c',
        }

        assert render(
            bill=changed(bill, facts=facts), history=HISTORY, language="hi", payee=PAYEE
        ).startswith(b"%PDF")

    def test_keeps_the_fullest_bill_on_one_page(self, bill: Bill) -> None:
        stored = json.loads(bill.content)
        line = {**stored["lines"][0], "why": {"hi": "50 यूनिट × ₹4.45 + " * 6, "en": "x " * 60}}
        facts = {**stored["facts"], "name": "श्रीमती ज्ञानेश्वरी कृष्णामूर्ति त्रिपाठी श्रीवास्तव एवं अन्य सात सहस्वामी"}
        segments = stored["determinants"]["segments"] * 3
        full = changed(
            bill,
            facts=facts,
            lines=[line] * 9,
            previous_paise=1_00_00_000,
            total_paise=99_99_99_900,
            determinants={**stored["determinants"], "segments": segments},
        )

        picture = render(bill=full, history=HISTORY, language="hi", payee=PAYEE, form="png")

        assert picture.startswith(b"\x89PNG")

    def test_can_be_searched_in_hindi(self, bill: Bill, tmp_path: Path) -> None:
        file = tmp_path / "bill.pdf"
        file.write_bytes(render(bill=bill, history=HISTORY, language="hi", payee=PAYEE))
        try:
            found = subprocess.run(
                ["pdftotext", "-raw", str(file), "-"], capture_output=True, check=True, timeout=60
            )
        except FileNotFoundError:
            pytest.skip("pdftotext is not installed")

        text = "".join(found.stdout.decode().split())
        for words in ("कुलदेयराशि", "श्रीमतीकृष्णाशर्मा", "विद्युतशुल्क(ड्यूटी)", "क्षेत्र", "स्वीकृतलोड", "वर्तमानरीडिंग"):
            assert words in text


class TestBillPdf:
    def test_is_made_once_and_kept(self, database: Database, bill: Bill, tmp_path: Path) -> None:
        def made(payee: Payee) -> Path:
            return operations.bill_pdf(
                database, number=bill.number, language="hi", documents=tmp_path, payee=payee
            )

        first = made(PAYEE)
        octets = first.read_bytes()

        again = made(Payee(name=PAYEE.name, upi_id="other@upi"))

        assert again == first
        assert again.read_bytes() == octets
        assert sorted(path.name for path in first.parent.iterdir()) == [f"{bill.number}-hi.pdf"]

    def test_does_not_make_what_is_no_bill(self, database: Database, tmp_path: Path) -> None:
        with pytest.raises(UnknownBill):
            operations.bill_pdf(
                database, number="../../etc/passwd", language="hi", documents=tmp_path, payee=PAYEE
            )
