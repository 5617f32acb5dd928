"""How facts read in Hindi and English, and the shipped templates; only here Babel and the files are read."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources

from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal

from bijlighar.base.energy import WH_PER_UNIT
from bijlighar.base.errors import InvalidValue
from bijlighar.base.money import PAISE_PER_RUPEE
from bijlighar.base.period import IST, Month, parse_moment
from bijlighar.base.words import Language, Words
from bijlighar.notices.errors import UnreadableFact
from bijlighar.notices.model import Purpose, Template
from bijlighar.notices.rules import parse_template

_LOCALES: Mapping[Language, str] = {"hi": "hi_IN", "en": "en_IN"}
_DAY = "d MMMM y"
_MONTH = "MMMM y"
_TIME: Mapping[Language, str] = {"hi": "d MMMM y, B h:mm 'बजे'", "en": "d MMMM y, h:mm a"}
_CREDIT = Words(hi="(जमा)", en="(in credit)")
#: What stands in the place of a link where the company has none.
NO_LINK = Words(hi="अपने विद्युत वितरण केंद्र में", en="at your electricity office")


@cache
def template(purpose: Purpose) -> Template:
    """
    Return the shipped template of a purpose.

    :raises BrokenTemplate: if it cannot be used.
    """
    file = resources.files("bijlighar.notices").joinpath("templates", f"{purpose}.toml")
    return parse_template(file.read_text(encoding="utf-8"))


def read(*, fact: str, value: str, language: Language) -> str:
    """
    Return how a fact reads in a language; the end of its name tells what it is.

    >>> read(fact="amount_paise", value="12505050", language="hi")
    '₹1,25,050.50'
    >>> read(fact="owed_paise", value="-2000", language="en")
    '₹20.00 (in credit)'
    >>> read(fact="due_on", value="2025-05-11", language="hi"), read(fact="month", value="2025-04", language="en")
    ('11 मई 2025', 'April 2025')
    >>> read(fact="done_at", value="2025-05-11T12:35:00+00:00", language="hi")
    '11 मई 2025, शाम 6:05 बजे'
    >>> read(fact="energy_wh", value="125400", language="en"), read(fact="name", value="आशा ", language="hi")
    ('125.4', 'आशा')

    :raises UnreadableFact: if the value is not what the name says.
    """
    try:
        if fact.endswith("_paise"):
            return _money(int(value), language)
        if fact.endswith("_wh"):
            return format_decimal(Decimal(int(value)) / WH_PER_UNIT, locale=_LOCALES[language])
        if fact.endswith("_on"):
            return format_date(date.fromisoformat(value), _DAY, locale=_LOCALES[language])
        if fact.endswith("_at"):
            local = parse_moment(value).astimezone(IST)
            return format_datetime(local, _TIME[language], locale=_LOCALES[language])
        if fact == "month":
            return format_date(Month.parse(value).first, _MONTH, locale=_LOCALES[language])
    except (ValueError, InvalidValue) as problem:
        raise UnreadableFact(f"the fact {fact} of a message cannot be {value!r} ({problem})") from None
    return " ".join(value.split())


def _money(amount_paise: int, language: Language) -> str:
    text: str = format_currency(
        Decimal(abs(amount_paise)) / PAISE_PER_RUPEE, "INR", locale=_LOCALES[language]
    )
    return text if amount_paise >= 0 else f"{text} {_CREDIT.in_language(language)}"
