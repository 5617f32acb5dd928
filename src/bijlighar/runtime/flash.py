"""The one sentence that a page says once, of what was just done: a code in a cookie, never a text of the address."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from litestar.datastructures import Cookie

from bijlighar.base.words import Words
from bijlighar.runtime.line import Line
from bijlighar.runtime.sessions import cookie

FLASH_COOKIE = "bijlighar_said"
FLASH_AGE_S = 60
_VALUE = re.compile(r"([a-z-]{1,40}):([A-Za-z0-9._-]{0,64}):(\d{1,12})")

#: What can be said; {of} is a serial, an account, a feeder or a sign-in, {count} a number.
FLASHES: Mapping[str, Words] = MappingProxyType(
    {
        "tampered": Words(
            hi="मीटर {of} के पास चुंबक लगाया गया। सूचना आते ही सायरन बजेगा।",
            en="A magnet was held to meter {of}. The siren sounds as soon as its alert is here.",
        ),
        "paid": Words(
            hi="उपभोक्ता {of} ने गेटवे पर ₹{count} चुका दिए। सप्लाई कटी थी तो अब जुड़ जाएगी।",
            en="Consumer {of} has paid ₹{count} at the gateway. A supply that was cut comes back now.",
        ),
        "feeder-failed": Words(
            hi="फीडर {of} बंद हो गया: {count} मीटर बिना बिजली के। अधिकतर मीटर जाते-जाते सूचना भेज रहे हैं।",
            en="Feeder {of} has failed: {count} meters without supply. Most of them are sending a last gasp.",
        ),
        "feeder-restored": Words(
            hi="फीडर {of} फिर चालू: {count} मीटरों में बिजली लौटी।",
            en="Feeder {of} is back: {count} meters have supply again.",
        ),
        "forward": Words(
            hi="शहर का समय {of}, {count}:00 बजे तक आगे बढ़ रहा है; इसमें कुछ सेकंड लगते हैं।",
            en="The town's time goes on to {count}:00 on {of}; that takes some seconds.",
        ),
        "signed-in": Words(hi="आप {of} के नाम से साइन इन हैं।", en="You are signed in as {of}."),
    }
)


def flash(line: Line, *, code: str, of: str = "", count: int = 0) -> Cookie:
    """Return the cookie by which the next page says what was done."""
    return cookie(line, name=FLASH_COOKIE, value=f"{code}:{of}:{count}", age_s=FLASH_AGE_S)


def flash_words(value: str | None) -> Words | None:
    """
    Return what the cookie's value says; None for anything that we have not set.

    >>> flash_words("feeder-restored:F-1:148").en
    'Feeder F-1 is back: 148 meters have supply again.'
    >>> flash_words("<script>::0") is None
    True
    """
    read = _VALUE.fullmatch(value or "")
    words = FLASHES.get(read[1]) if read else None
    if read is None or words is None:
        return None
    facts = {"of": read[2], "count": f"{int(read[3]):,}"}
    return Words(hi=words.hi.format(**facts), en=words.en.format(**facts))
