"""
The language of a page: Hindi unless a person chose English, remembered in a cookie.

The texts of templates stand in them in English and are looked up in `locale/hi/LC_MESSAGES/bijlighar.po`; the texts
of rooms come as `Words`, which hold both. Numbers, money and days are written by Babel for hi_IN and en_IN.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from babel import Locale
from babel.dates import format_date, format_datetime, format_time
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal
from litestar import Request

from bijlighar.base.period import IST
from bijlighar.base.words import LANGUAGES, Language, Words

COOKIE = "bijlighar_language"
COOKIE_AGE_S = 365 * 86_400
LOCALES: Mapping[Language, Locale] = {"hi": Locale.parse("hi_IN"), "en": Locale.parse("en_IN")}


def language_of(request: Request[Any, Any, Any]) -> Language:
    """Return the language of a request: what its `lang` says, else the cookie, else Hindi."""
    for wish in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        for language in LANGUAGES:
            if wish == language:
                return language
    return "hi"


@cache
def hindi_texts() -> Mapping[str, str]:
    """Return the Hindi of the templates' texts by their English."""
    file = resources.files("bijlighar.web") / "locale" / "hi" / "LC_MESSAGES" / "bijlighar.po"
    with file.open("rb") as opened:
        catalog = read_po(opened, locale="hi")
    return {str(message.id): str(message.string) for message in catalog if message.id and message.string}


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes everything that a page shows in one language."""

    language: Language

    @property
    def locale(self) -> Locale:
        """Return the locale of the language."""
        return LOCALES[self.language]

    def text(self, english: str, **facts: object) -> str:
        """Return a text of a template in the language, with its {facts} put in."""
        found = hindi_texts().get(english, english) if self.language == "hi" else english
        return found.format(**facts) if facts else found

    def words(self, words: Words | None) -> str:
        """Return a text of a room in the language, a dash for none."""
        return "–" if words is None else words.in_language(self.language)

    def money(self, paise: int | None, *, whole: bool = False) -> str:
        """
        Return a sum of money with the signs of rupees, a dash for none.

        >>> Writer("en").money(384126050)
        '₹38,41,260.50'
        >>> Writer("hi").money(68400, whole=True)
        '₹684'
        """
        if paise is None:
            return "–"
        pattern = "¤#,##,##0" if whole and paise % 100 == 0 else "¤#,##,##0.00"
        return format_currency(
            Decimal(paise) / 100, "INR", format=pattern, locale=self.locale, currency_digits=False
        )

    def number(self, value: float | None, digits: int = 0) -> str:
        """
        Return a number with lakh grouping, a dash for none.

        >>> Writer("hi").number(1234567)
        '12,34,567'
        """
        if value is None:
            return "–"
        pattern = "#,##,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(value, format=pattern, locale=self.locale)

    def energy(self, watt_hours: int | None, digits: int = 0) -> str:
        """
        Return an energy in kWh, a dash for none.

        >>> Writer("en").energy(1234567, 1)
        '1,234.6'
        """
        return "–" if watt_hours is None else self.number(Decimal(watt_hours) / 1000, digits)  # type: ignore[arg-type]

    def day(self, moment: date | datetime | None, *, short: bool = False) -> str:
        """
        Return a day of the Indian calendar, a dash for none.

        >>> Writer("hi").day(date(2026, 12, 9))
        '9 दिसंबर 2026'
        >>> Writer("en").day(date(2026, 12, 9), short=True)
        '9 Dec'
        """
        if moment is None:
            return "–"
        local = moment.astimezone(IST).date() if isinstance(moment, datetime) else moment
        return format_date(local, format="d MMM" if short else "d MMMM yyyy", locale=self.locale)

    def month(self, day: date, *, short: bool = False) -> str:
        """
        Return the month of a day.

        >>> Writer("hi").month(date(2026, 12, 9))
        'दिसंबर 2026'
        >>> Writer("en").month(date(2026, 12, 9), short=True)
        'Dec'
        """
        return format_date(day, format="MMM" if short else "MMMM yyyy", locale=self.locale)

    def moment(self, moment: datetime | None, *, seconds: bool = False) -> str:
        """Return a moment in IST with its day, a dash for none."""
        if moment is None:
            return "–"
        pattern = "d MMM yyyy HH:mm:ss" if seconds else "d MMM yyyy HH:mm"
        return format_datetime(moment.astimezone(IST), format=pattern, locale=self.locale)

    def time(self, moment: datetime | None, *, seconds: bool = False) -> str:
        """Return the time of day of a moment in IST, a dash for none."""
        if moment is None:
            return "–"
        pattern = "HH:mm:ss" if seconds else "HH:mm"
        return format_time(moment.astimezone(IST), format=pattern, locale=self.locale)

    def age(self, seconds: float | None) -> str:
        """
        Return how long ago, in the largest unit that fits, a dash for none.

        >>> Writer("en").age(38), Writer("en").age(100), Writer("hi").age(7300)
        ('38 s', '1 min', '2 घंटे')
        """
        if seconds is None:
            return "–"
        whole = max(int(seconds), 0)
        for size, hindi, english in ((86_400, "दिन", "d"), (3_600, "घंटे", "h"), (60, "मिनट", "min")):
            if whole >= size:
                return f"{whole // size} {hindi if self.language == 'hi' else english}"
        return f"{whole} {'से.' if self.language == 'hi' else 's'}"
