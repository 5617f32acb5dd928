"""What is printed on a bill, as plain text in one language: the template lays it out and decides nothing."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Any

import segno
from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from bijlighar.base.period import ONE_DAY, Month, local_date
from bijlighar.base.words import Language, Words
from bijlighar.billing.content import determinants_of, facts_of, place_of
from bijlighar.billing.model import Bill, BillKind, Payee, Segment
from bijlighar.billing.rules import upi_address

LOCALES: Mapping[Language, Locale] = {"hi": Locale("hi", "IN"), "en": Locale("en", "IN")}
HISTORY_MONTHS = 12
#: The white border that a reader of a QR code needs.
QUIET_MODULES = 4
MINUS = "−"
#: Rows of readings and lines above which a bill is set smaller, and how long an explanation on one row may be.
ROOMY_ROWS = 12
ROW_CHARACTERS = 66

_WORDS: Mapping[str, Words] = {
    "title": Words(hi="बिजली बिल", en="Electricity bill"),
    "correction": Words(hi="बिल सुधार", en="Bill correction"),
    "corrects": Words(hi="जिस बिल का सुधार है", en="Corrects bill no."),
    "bill_no": Words(hi="बिल क्रमांक", en="Bill no."),
    "bill_month": Words(hi="बिल माह", en="Bill month"),
    "bill_date": Words(hi="बिल दिनांक", en="Bill date"),
    "consumer_no": Words(hi="उपभोक्ता नंबर", en="Consumer no."),
    "category": Words(hi="टैरिफ श्रेणी", en="Tariff category"),
    "load": Words(hi="स्वीकृत लोड", en="Sanctioned load"),
    "phase": Words(hi="फेज", en="Phase"),
    "office": Words(hi="वितरण केंद्र", en="Office"),
    "feeder": Words(hi="फीडर कोड", en="Feeder"),
    "dtr": Words(hi="डीटीआर कोड", en="DTR"),
    "connection_no": Words(hi="संयोजन क्रमांक", en="Connection no."),
    "payable": Words(hi="कुल देय राशि", en="Total amount payable"),
    "nothing": Words(hi="कुछ देय नहीं", en="Nothing to pay"),
    "due_on": Words(hi="अंतिम तिथि", en="Due date"),
    "scan": Words(hi="भुगतान हेतु स्कैन करें", en="Scan to pay"),
    "readings": Words(hi="मीटर रीडिंग", en="Meter readings"),
    "meter": Words(hi="मीटर क्रमांक", en="Meter no."),
    "from": Words(hi="से", en="From"),
    "to": Words(hi="तक", en="To"),
    "previous": Words(hi="पिछली रीडिंग", en="Previous reading"),
    "current": Words(hi="वर्तमान रीडिंग", en="Current reading"),
    "factor": Words(hi="एम.एफ.", en="MF"),
    "units": Words(hi="खपत (यूनिट)", en="Units used"),
    "assessed": Words(hi="आंकलित यूनिट", en="Assessed units"),
    "demand": Words(hi="एम.डी. (kW)", en="MD (kW)"),
    "period": Words(hi="बिल अवधि", en="Billed period"),
    "days": Words(hi="दिन", en="days"),
    "total_units": Words(hi="कुल खपत", en="Total consumption"),
    "unit": Words(hi="यूनिट", en="units"),
    "tod": Words(hi="टीओडी विवरण", en="Time-of-day details"),
    "history": Words(hi="पिछले 12 माह की खपत (यूनिट)", en="Units used in the last 12 months"),
    "hollow": Words(hi="खाली स्तंभ: आंशिक या पूर्ण आंकलित", en="hollow bar: estimated in part or whole"),
    "lines": Words(hi="बिल का विवरण", en="How the bill is made up"),
    "line": Words(hi="मद", en="Item"),
    "why": Words(hi="गणना", en="Calculation"),
    "amount": Words(hi="राशि", en="Amount"),
    "current_bill": Words(hi="चालू माह बिल", en="Current month bill"),
    "current_correction": Words(hi="इस सुधार की राशि", en="This correction"),
    "arrears": Words(hi="पिछला बकाया", en="Previous outstanding"),
    "advance": Words(hi="अग्रिम जमा", en="Paid in advance"),
    "complain": Words(hi="शिकायत कैसे करें", en="How to complain"),
    "estimated_note": Words(
        hi="जहाँ मीटर से रीडिंग नहीं मिली वहाँ खपत आंकलित है। रीडिंग मिलने पर अंतर अगले बिल में समायोजित होगा।",
        en="Where the meter could not be read, the use is estimated; the difference is settled when it is read.",
    ),
}
_COMPLAIN: tuple[Words, ...] = (
    Words(
        hi="बिल में कोई गलती लगे तो 1912 पर (24 घंटे, निःशुल्क) या अपने वितरण केंद्र में बताएँ।",
        en="If you think the bill is wrong, call 1912 (day and night, free) or tell your electricity office.",
    ),
    Words(
        hi="समाधान न हो तो विद्युत उपभोक्ता शिकायत निवारण फोरम में, और उसके बाद विद्युत लोकपाल के पास जाएँ।",
        en="If that does not help: the Consumer Grievance Redressal Forum (ECGRF), then the Electricity Ombudsman.",
    ),
)


def document(
    *, bill: Bill, history: Sequence[tuple[Month, int, int]], language: Language, payee: Payee
) -> str:
    """Return all that is printed on a bill, as JSON."""
    return json.dumps(_Printer(bill=bill, language=language, payee=payee).pages(history), ensure_ascii=False)


def upi_link(*, payee: Payee, bill: Bill) -> str:
    """Return the UPI link that pays what is payable on a bill."""
    return upi_address(
        payee=payee,
        amount_paise=bill.payable_paise,
        reference=bill.number,
        note=f"{bill.account} {bill.number}",
    )


class _Printer:
    """Says what stands on one bill in one language."""

    def __init__(self, *, bill: Bill, language: Language, payee: Payee) -> None:
        self._bill = bill
        self._language = language
        self._locale = LOCALES[language]
        self._payee = payee
        self._stored = json.loads(bill.content)
        self._measured = determinants_of(bill.content)

    def pages(self, history: Sequence[tuple[Month, int, int]]) -> dict[str, Any]:
        """Return what is printed."""
        bill = self._bill
        return {
            "language": self._language,
            "words": {key: self._say(words) for key, words in _WORDS.items()},
            "company": self._say(self._payee.name),
            "title": self._word("correction" if bill.kind is BillKind.CORRECTION else "title"),
            "of": bill.of or "",
            "number": bill.number,
            "month": self._month(bill.month),
            "issued_on": self._day(bill.issued_on),
            "due_on": self._day(bill.due_on),
            "name": facts_of(bill.content).name,
            "account": bill.account,
            "facts": self._facts(),
            "payable": self._rupees(max(0, bill.payable_paise)),
            "is_payable": bill.payable_paise > 0,
            "qr": self._qr(),
            "upi": self._payee.upi_id,
            "period": self._period(),
            "segments": [self._segment(segment) for segment in self._measured.segments],
            "total_units": self._units(self._measured.energy_wh),
            "assessed": self._units(self._measured.estimated_wh) if self._measured.estimated else "",
            "windows": self._windows(),
            "history": self._history(history),
            "lines": [
                {
                    "name": self._say(line.name),
                    "why": self._say(line.why),
                    "amount": self._rupees(line.amount_paise),
                }
                for line in bill.lines
            ],
            "sums": self._sums(),
            "last_payment": self._last_payment(),
            "complain": [self._say(words) for words in _COMPLAIN],
            "basis": self._basis(),
            "is_dense": self._rows() > ROOMY_ROWS,
        }

    def _say(self, words: Words) -> str:
        return words.in_language(self._language)

    def _word(self, key: str) -> str:
        return self._say(_WORDS[key])

    def _rupees(self, amount_paise: int) -> str:
        return (
            format_currency(Decimal(amount_paise) / 100, "INR", locale=self._locale)
            .replace("\xa0", "")
            .replace("-", MINUS)
        )

    def _units(self, energy_wh: int) -> str:
        return format_decimal(Decimal(energy_wh) / 1000, format="#,##,##0.###", locale=self._locale)

    def _day(self, day: date) -> str:
        return format_date(day, "d MMMM y", locale=self._locale)

    def _short_day(self, day: date) -> str:
        return format_date(day, "dd-MM-y", locale=self._locale)

    def _month(self, month: Month) -> str:
        return format_date(month.first, "LLLL y", locale=self._locale)

    def _facts(self) -> list[list[str]]:
        facts, place = facts_of(self._bill.content), place_of(self._bill.content)
        category = Words(**self._stored["category_name"])
        load = format_decimal(Decimal(facts.sanctioned_w) / 1000, format="0.###", locale=self._locale)
        rows = [
            ("consumer_no", facts.number),
            ("connection_no", place.usage_point),
            ("category", f"{facts.category} {self._say(category)}"),
            ("load", f"{load} kW"),
            ("phase", place.phase),
            ("office", self._say(place.office_name)),
            ("feeder", place.feeder),
            ("dtr", place.transformer),
        ]
        return [[self._word(key), value] for key, value in rows if value]

    def _period(self) -> str:
        measured = self._measured
        first, last = self._day(measured.period_from), self._day(measured.period_to - ONE_DAY)
        return f"{first} – {last} ({measured.days} {self._word('days')})"

    def _segment(self, segment: Segment) -> list[str]:
        factor = Decimal(segment.multiplier)
        last = local_date(segment.to_at)
        return [
            segment.meter,
            self._short_day(local_date(segment.from_at)),
            self._short_day(last),
            "—" if segment.start_wh is None else self._units(segment.start_wh),
            "—" if segment.end_wh is None else self._units(segment.end_wh),
            format_decimal(factor, locale=self._locale),
            "—" if segment.demand_w is None else self._units(segment.demand_w),
            self._units(segment.energy_wh),
        ]

    def _windows(self) -> list[list[str]]:
        if not self._measured.smart:
            return []
        return [
            [self._say(Words(**window["name"])), self._units(window["energy_wh"])]
            for window in self._stored["windows"]
        ]

    def _history(self, history: Sequence[tuple[Month, int, int]]) -> list[dict[str, Any]]:
        own = (self._bill.month, self._bill.energy_wh, self._bill.estimated)
        months = [own if each[0] == self._bill.month else each for each in history[-HISTORY_MONTHS:]]
        most = max((energy_wh for _, energy_wh, _ in months), default=0) or 1
        return [
            {
                "label": format_date(month.first, "LLL", locale=self._locale),
                "year": str(month.year) if place == 0 or month.month == 1 else "",
                "permille": max(0, energy_wh) * 1000 // most,
                "units": format_decimal(round(Decimal(energy_wh) / 1000), locale=self._locale),
                "estimated": estimated > 0,
            }
            for place, (month, energy_wh, estimated) in enumerate(months)
        ]

    def _sums(self) -> list[list[str]]:
        bill = self._bill
        own = "current_correction" if bill.kind is BillKind.CORRECTION else "current_bill"
        rows = [[self._word(own), self._rupees(bill.total_paise)]]
        if bill.previous_paise > 0:
            rows.append([self._word("arrears"), self._rupees(bill.previous_paise)])
        elif bill.previous_paise < 0:
            rows.append([self._word("advance"), self._rupees(bill.previous_paise)])
        return rows

    def _rows(self) -> int:
        explained = sum(-(-len(self._say(line.why)) // ROW_CHARACTERS) for line in self._bill.lines)
        return len(self._measured.segments) + explained

    def _last_payment(self) -> str:
        last = self._stored["last_payment"]
        if last is None:
            return ""
        amount, day = self._rupees(last["amount_paise"]), self._day(date.fromisoformat(last["paid_on"]))
        return self._say(
            Words(
                hi=f"पिछला भुगतान: {amount}, {day} को प्राप्त। धन्यवाद।",
                en=f"Last payment: {amount}, received on {day}. Thank you.",
            )
        )

    def _qr(self) -> str:
        if self._bill.payable_paise <= 0 or not self._payee.upi_id:
            return ""
        code = segno.make(upi_link(payee=self._payee, bill=self._bill), error="m", micro=False)
        picture = BytesIO()
        code.save(picture, kind="svg", border=QUIET_MODULES, xmldecl=False, omitsize=True)
        return picture.getvalue().decode()

    def _basis(self) -> str:
        digest = self._bill.book_digest[:12]
        book = self._stored["book"]
        order = Words(hi=book.get("order_hi") or book["order"], en=book["order"])
        return self._say(
            Words(
                hi=f"दर: {order.hi} (पुस्तिका {self._bill.book_id}, {digest})",
                en=f"Rates: {order.en} (book {self._bill.book_id}, {digest})",
            )
        )
