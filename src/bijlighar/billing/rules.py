"""Pure decisions on bills: numbers, pricing, differences, plausibility, which months are due."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from urllib.parse import quote, urlencode

from bijlighar.base.identity import check_digit
from bijlighar.base.money import rupees
from bijlighar.base.period import Month
from bijlighar.base.words import Words
from bijlighar.billing.content import usage_of
from bijlighar.billing.model import (
    AccountFacts,
    Bill,
    BillLine,
    Computed,
    Determinants,
    Parked,
    Payee,
    Plausibility,
    Reason,
)
from bijlighar.tariffs.model import Area, Book, Books, Priced, Usage
from bijlighar.tariffs.rules import NoTariff, UnpriceableUsage, explain, price, windows_wh

SERIAL_DIGITS = 7
#: How many months back a parked account is tried again by itself.
MONTHS_BACK = 6


def bill_number(*, month: Month, serial: int) -> str:
    """
    Return the number of a bill: year and month of use, a serial number, and a check digit over both.

    >>> bill_number(month=Month(year=2025, month=4), serial=123)
    'B2504-0000123-9'
    """
    stamp = f"{month.year % 100:02d}{month.month:02d}"
    digits = f"{serial:0{SERIAL_DIGITS}d}"
    return f"B{stamp}-{digits}-{check_digit(stamp + digits)}"


def is_bill_number(text: str) -> bool:
    """
    Return whether a text has the form and the check digit of a bill's number.

    >>> is_bill_number("B2504-0000123-9"), is_bill_number("B2504-0000132-9"), is_bill_number("27")
    (True, False, False)
    """
    digits = text[1:].replace("-", "")
    return text.startswith("B") and text.count("-") == 2 and digits.isdecimal() and check_digit(digits) == "0"


def compute(*, facts: AccountFacts, determinants: Determinants, books: Books) -> Computed | Parked:
    """Return the month priced: a pure function of the determinants, the facts and the book; or why it cannot be."""
    on = determinants.month.first
    try:
        area = Area(facts.area)
    except ValueError:
        return Parked(reason=Reason.FACTS_UNKNOWN, detail=f"area {facts.area!r}")
    try:
        book = books.find(code=facts.category, on=on)
    except NoTariff:
        return Parked(reason=Reason.NO_TARIFF, detail=f"{facts.category} on {on}")
    half_hours = determinants.half_hours_wh if determinants.smart else ()
    category = book.category(code=facts.category, on=on)
    usage = Usage(
        category=facts.category,
        area=area,
        on=on,
        days=determinants.days,
        month_days=determinants.month.days,
        energy_wh=determinants.energy_wh,
        sanctioned_w=facts.sanctioned_w,
        smart=determinants.smart,
        demand_w=determinants.demand_w,
        windows_wh=windows_wh(category=category, half_hours_wh=half_hours) if half_hours else {},
    )
    try:
        priced = price(book=book, usage=usage)
    except UnpriceableUsage as problem:
        return Parked(reason=Reason.UNPRICEABLE, detail=str(problem))
    return Computed(
        usage=usage, book=book, priced=priced, explained=explain(book=book, usage=usage, priced=priced)
    )


def recomputed(*, content: str, book: Book) -> Priced:
    """
    Return the month of a bill priced again from its content alone.

    :raises NoTariff: if the book is not the one of the bill.
    """
    return price(book=book, usage=usage_of(content))


def out_of_proportion(
    *, determinants: Determinants, before: Determinants | None, limits: Plausibility
) -> Parked | None:
    """Return why a use waits for a person: it is many times that of the bill before, per day."""
    if before is None or determinants.energy_wh <= limits.least_wh:
        return None
    now_per = determinants.energy_wh * before.days
    before_per = before.energy_wh * determinants.days
    if now_per <= limits.times * before_per:
        return None
    detail = (
        f"{determinants.energy_wh // 1000} units in {determinants.days} days, "
        f"{before.energy_wh // 1000} in {before.days} before"
    )
    return Parked(reason=Reason.IMPLAUSIBLE, detail=detail)


def differences(*, billed: Sequence[Sequence[BillLine]], fresh: Sequence[BillLine]) -> tuple[BillLine, ...]:
    """
    Return the lines that bring what was billed (the bill and its corrections) to the fresh lines.

    Lines of one code and head are compared; a line without a difference is left out.
    """
    before: dict[tuple[str, str], int] = {}
    names: dict[tuple[str, str], BillLine] = {}
    for line in (line for lines in billed for line in lines):
        key = (line.code, line.head)
        before[key] = before.get(key, 0) + line.amount_paise
        names[key] = line
    after: dict[tuple[str, str], int] = {}
    for line in fresh:
        key = (line.code, line.head)
        after[key] = after.get(key, 0) + line.amount_paise
        names[key] = line
    return tuple(
        replace(
            names[key],
            amount_paise=after.get(key, 0) - before.get(key, 0),
            why=_difference_words(before_paise=before.get(key, 0), after_paise=after.get(key, 0)),
        )
        for key in names
        if after.get(key, 0) != before.get(key, 0)
    )


def _difference_words(*, before_paise: int, after_paise: int) -> Words:
    before, after = (rupees(paise).replace("-", "−") for paise in (before_paise, after_paise))
    return Words(hi=f"अब {after}, पहले {before}", en=f"now {after}, before {before}")


def months_due(*, today: date, bill_from_day: int, known: Sequence[Month]) -> tuple[Month, ...]:
    """
    Return the months to be billed on `today`, oldest first: those begun, up to the newest whose billing day has come.

    >>> april = Month(year=2025, month=4)
    >>> [str(month) for month in months_due(today=date(2025, 6, 3), bill_from_day=3, known=[april])]
    ['2025-04', '2025-05']
    >>> [str(month) for month in months_due(today=date(2025, 6, 2), bill_from_day=3, known=[april])]
    ['2025-04']
    """
    newest = Month.of(today).previous
    if today.day < bill_from_day:
        newest = newest.previous
    first = min((*known, newest))
    months = [newest]
    while len(months) < MONTHS_BACK and months[-1] > first:
        months.append(months[-1].previous)
    return tuple(reversed(months))


def sums_by_head(lines: Sequence[BillLine]) -> Mapping[str, int]:
    """Return the sums of lines [paise] by ledger head."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.head] = sums.get(line.head, 0) + line.amount_paise
    return sums


def is_covered(*, month: Month, later: Determinants | None) -> bool:
    """Return whether a later bill reaches back over the whole month, as after a month without a hand reading."""
    return later is not None and later.month > month and later.period_from <= month.first


def lines_sum_up(bill: Bill) -> bool:
    """Return whether the lines of a bill sum to its total, to the paisa."""
    return sum(line.amount_paise for line in bill.lines) == bill.total_paise


def upi_address(*, payee: Payee, amount_paise: int, reference: str, note: str) -> str:
    """
    Return the address that opens a payment of `amount_paise` [paise] in a UPI app.

    >>> payee = Payee(name=Words(hi="बिजलीघर", en="Bijlighar"), upi_id="bijlighar@upi")
    >>> upi_address(payee=payee, amount_paise=68_400, reference="B-1", note="N1")
    'upi://pay?pa=bijlighar@upi&pn=Bijlighar&tr=B-1&am=684.00&cu=INR&tn=N1'
    """
    parts = {
        "pa": payee.upi_id,
        "pn": payee.name.en,
        "tr": reference,
        "am": f"{Decimal(amount_paise) / 100:.2f}",
        "cu": "INR",
        "tn": note,
    }
    return "upi://pay?" + urlencode(parts, quote_via=quote, safe="@")
