"""Progress and forecast of the roll-out: pure arithmetic in fractions, and the sentences that tell of it."""

from datetime import date, timedelta
from fractions import Fraction

from bijlighar.base.period import ONE_DAY, Month
from bijlighar.base.words import Words
from bijlighar.rollout.errors import RefusedPlan
from bijlighar.rollout.model import Forecast, Observed, StockCount, Target

METERS_MAX = 1_000_000_000
MONTHS_MAX = 1_200
_MONTHS_EN = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MONTHS_HI = (
    *("जनवरी", "फरवरी", "मार्च", "अप्रैल", "मई", "जून"),
    *("जुलाई", "अगस्त", "सितंबर", "अक्टूबर", "नवंबर", "दिसंबर"),
)


def spread(*, office: str, planned: int, first: Month, last: Month) -> tuple[Target, ...]:
    """
    Return `planned` meters spread evenly over the months `first` to `last`, the odd ones in the first months.

    >>> targets = spread(office="M", planned=8, first=Month.parse("2026-04"), last=Month.parse("2026-06"))
    >>> [target.meters for target in targets]
    [3, 3, 2]

    :raises RefusedPlan: if the window is empty or the number is not positive.
    """
    if planned < 1 or planned > METERS_MAX:
        raise RefusedPlan(f"{planned} meters are no plan; give a number from 1 to {METERS_MAX}")
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    if not 1 <= count <= MONTHS_MAX:
        raise RefusedPlan(
            f"the window {first} to {last} is empty or too long; give its first and its last month"
        )
    month = first
    targets: list[Target] = []
    for place in range(count):
        meters = planned // count + (place < planned % count)
        targets.append(Target(office=office, month=month, meters=meters))
        month = month.next
    return tuple(targets)


def months_between(start: date, end: date) -> Fraction:
    """
    Return the months from the morning of `start` to the morning of `end`: whole ones, and a part by its days.

    >>> months_between(date(2025, 4, 1), date(2025, 8, 1)), months_between(date(2025, 4, 1), date(2025, 5, 16))
    (Fraction(4, 1), Fraction(46, 31))
    """
    if end <= start:
        return Fraction(0)
    whole = (end.year - start.year) * 12 + end.month - start.month
    if after_months(start, whole) > end:
        whole -= 1
    begun, complete = after_months(start, whole), after_months(start, whole + 1)
    return whole + Fraction((end - begun).days, (complete - begun).days)


def after_months(start: date, count: int) -> date:
    """
    Return the day `count` months after `start`, the last of the month where there is no such day.

    >>> after_months(date(2026, 1, 31), 1), after_months(date(2025, 11, 15), 2)
    (datetime.date(2026, 2, 28), datetime.date(2026, 1, 15))
    """
    place = start.month - 1 + count
    month = Month(year=start.year + place // 12, month=place % 12 + 1)
    return date(month.year, month.month, min(start.day, month.days))


def day_when_done(start: date, months: Fraction) -> date:
    """
    Return the day within which work of `months` that begins on the morning of `start` is done.

    >>> day_when_done(date(2025, 8, 1), Fraction(24, 13)), day_when_done(date(2025, 8, 1), Fraction(1))
    (datetime.date(2025, 9, 26), datetime.date(2025, 8, 31))
    """
    whole = months.numerator // months.denominator
    begun, complete = after_months(start, whole), after_months(start, whole + 1)
    part = (months - whole) * (complete - begun).days
    days = -(-part.numerator // part.denominator)
    return max(start, begun + timedelta(days=days) - ONE_DAY)


def forecast(observed: Observed) -> Forecast:
    """
    Return what follows from what was observed.

    Without stock the work goes on at the observed rate until the stock is used up, then at the rate of deliveries.

    :raises RefusedPlan: if a figure is below zero or the months are.
    """
    _check(observed)
    remaining = max(0, observed.planned - observed.installed)
    rate = (
        observed.hung_in_window / observed.months if observed.months > 0 and observed.hung_in_window else None
    )
    claimed = observed.claimed
    months_left = None if rate is None else remaining / rate
    stock_lasts = None if rate is None or observed.stock is None else observed.stock / rate
    needed, short = months_left, 0
    if observed.stock is not None and observed.stock < remaining:
        coming = observed.received / observed.months if observed.months > 0 else Fraction(0)
        if coming:
            wait = (remaining - observed.stock) / coming
            needed = None if needed is None else max(needed, wait)
        else:
            needed, short = None, remaining - observed.stock
    return Forecast(
        remaining=remaining,
        rate_per_month=rate,
        claim_ratio=None if claimed is None or rate is None else claimed / rate,
        left_after_claim=None if claimed is None else max(0, remaining + observed.this_month - claimed),
        months_left=months_left,
        done_on=None if needed is None or needed > MONTHS_MAX else day_when_done(observed.on, needed),
        stock_lasts_months=stock_lasts,
        stock_short=short,
        limited_by_stock=short > 0 or (needed is not None and needed != months_left),
    )


def _check(observed: Observed) -> None:
    figures = {
        "planned": observed.planned,
        "installed": observed.installed,
        "claimed": observed.claimed or 0,
        "stock": observed.stock or 0,
    }
    for name, value in figures.items():
        if not 0 <= value <= METERS_MAX:
            raise RefusedPlan(f"{name} is {value}; give a number from 0 to {METERS_MAX}")
    if not 0 <= observed.months <= MONTHS_MAX:
        raise RefusedPlan(f"months is {observed.months}; give a number from 0 to {MONTHS_MAX}")


def total(counts: tuple[StockCount, ...]) -> StockCount:
    """Return the sum over the stores."""
    names = ("in_store", "issued", "installed", "faulty", "sent_back")
    return StockCount(store="", **{name: sum(getattr(count, name) for count in counts) for name in names})


def grouped(value: Fraction | int, *, decimals: int = 0) -> str:
    """
    Return a number with the commas of India, rounded half up, without zeros at the end of its decimals.

    >>> grouped(9500), grouped(1234567), grouped(Fraction(20, 13), decimals=2), grouped(Fraction(4), decimals=2)
    ('9,500', '12,34,567', '1.54', '4')
    """
    scale = 10**decimals
    scaled = (2 * value * scale + 1) // 2
    whole, part = divmod(int(scaled), scale)
    digits = str(whole)
    head, tail = digits[:-3], digits[-3:]
    groups = [tail]
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    fraction = str(part).zfill(decimals).rstrip("0") if decimals else ""
    return ",".join(groups) + (f".{fraction}" if fraction else "")


def day_words(day: date) -> Words:
    """
    Return a day as people say it.

    >>> day_words(date(2025, 9, 26))
    Words(hi='26 सितंबर 2025', en='26 September 2025')
    """
    return Words(
        hi=f"{day.day} {_MONTHS_HI[day.month - 1]} {day.year}",
        en=f"{day.day} {_MONTHS_EN[day.month - 1]} {day.year}",
    )


def forecast_words(observed: Observed, found: Forecast) -> Words:
    """Return progress and forecast in words: what was done, what is claimed, how long the rest takes, the stock."""
    if not observed.planned:
        return Words(hi="अभी कोई योजना नहीं बनी है।", en="There is no plan yet.")
    done, claim, rest = _done_words(observed), _claim_words(observed, found), _rest_words(found)
    middle = rest if claim is None else Words(hi=f"{claim.hi}; {rest.hi}", en=f"{claim.en}; {rest.en}")
    said = [Words(hi=f"{part.hi}।", en=f"{part.en[0].upper()}{part.en[1:]}.") for part in (done, middle)]
    said += _stock_words(observed, found)
    return Words(hi=" ".join(part.hi for part in said), en=" ".join(part.en for part in said))


def _done_words(observed: Observed) -> Words:
    planned, installed = grouped(observed.planned), grouped(observed.installed)
    return Words(
        hi=f"योजना {planned} मीटर की है, अब तक {installed} लगे", en=f"planned {planned}, installed {installed}"
    )


def _claim_words(observed: Observed, found: Forecast) -> Words | None:
    if observed.claimed is None or found.left_after_claim is None:
        return None
    claimed, left = grouped(observed.claimed), grouped(found.left_after_claim)
    if found.rate_per_month is None or found.claim_ratio is None:
        return Words(
            hi=f"इस माह का दावा {claimed} मीटर का है; अब तक कोई गति नहीं देखी गई, इसलिए तुलना नहीं हो सकती",
            en=f"claimed for this month: {claimed}; no rate has been observed yet to compare it with",
        )
    times, rate = grouped(found.claim_ratio, decimals=2), grouped(found.rate_per_month, decimals=1)
    return Words(
        hi=f"इस माह का दावा {claimed} मीटर का है, जो देखी गई गति {rate} प्रति माह का {times} गुना है; "
        f"इसके बाद भी {left} शेष रहेंगे",
        en=f"claimed for this month: {claimed}, {times} times the observed rate of {rate} a month; "
        f"would leave {left}",
    )


def _rest_words(found: Forecast) -> Words:
    if not found.remaining:
        return Words(hi="योजना पूरी हो चुकी है", en="the plan is complete")
    remaining = grouped(found.remaining)
    if found.months_left is None:
        return Words(
            hi=f"{remaining} मीटर शेष हैं; पूरा होने की तिथि अभी नहीं बताई जा सकती",
            en=f"{remaining} remain; nothing observed so far tells when they will hang",
        )
    months = grouped(found.months_left, decimals=2)
    done = Words(hi="पर उतने मीटर भंडार में नहीं हैं", en="but the stock does not suffice")
    if found.done_on is not None:
        day = day_words(found.done_on)
        done = Words(hi=f"{day.hi} को पूर्ण", en=f"done on {day.en}")
    return Words(
        hi=f"देखी गई गति से शेष {remaining} मीटर में {months} माह लगेंगे ({done.hi})",
        en=f"at the observed rate the remaining {remaining} take {months} months ({done.en})",
    )


def _stock_words(observed: Observed, found: Forecast) -> list[Words]:
    if observed.stock is None or not found.limited_by_stock:
        return []
    stock, short = grouped(observed.stock), grouped(found.stock_short)
    if found.stock_short:
        return [
            Words(
                hi=f"भंडार में केवल {stock} मीटर हैं; {short} की आपूर्ति अभी बाकी है।",
                en=f"The stock is {stock} meters; {short} have still to be delivered.",
            )
        ]
    return [
        Words(
            hi=f"भंडार में केवल {stock} मीटर हैं; पूर्ण होने की तिथि आपूर्ति की देखी गई गति पर निर्भर है।",
            en=f"The stock is {stock} meters; the day depends on the observed rate of deliveries.",
        )
    ]
