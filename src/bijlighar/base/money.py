"""Money is integer paise; it is rounded once, half up away from zero, at the bill line."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from bijlighar.base.errors import InvalidValue

PAISE_PER_RUPEE = 100


def round_half_up(exact: Decimal | Fraction) -> int:
    """
    Return `exact` rounded to an integer, halves away from zero.

    >>> round_half_up(Decimal("85962.5")), round_half_up(Fraction(-5, 2)), round_half_up(Fraction(7, 3))
    (85963, -3, 2)
    """
    if isinstance(exact, Decimal):
        return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    doubled = 2 * abs(exact)
    magnitude = (doubled.numerator + doubled.denominator) // (2 * doubled.denominator)
    return magnitude if exact >= 0 else -magnitude


def paise_from_rupees(text: str) -> int:
    """
    Return the paise of a sum written in rupees, without rounding.

    >>> paise_from_rupees("1,250.50")
    125050

    :raises InvalidValue: if the text is no number or has more than two decimals.
    """
    try:
        paise = Decimal(text.strip().replace(",", "")) * PAISE_PER_RUPEE
    except ArithmeticError:
        raise InvalidValue(f"{text!r} is not a sum in rupees; write it like 1250.50") from None
    if not paise.is_finite() or paise != paise.to_integral_value():
        raise InvalidValue(f"{text!r} has more than two decimals; write it like 1250.50")
    return int(paise)


def rupees(amount_paise: int) -> str:
    """
    Return `amount_paise` [paise] in rupees with lakh grouping, for logs, the command line and English text.

    >>> rupees(384126050), rupees(-5), rupees(100)
    ('₹38,41,260.50', '-₹0.05', '₹1.00')
    """
    whole, paise = divmod(abs(amount_paise), PAISE_PER_RUPEE)
    digits = str(whole)
    head, tail = digits[:-3], digits[-3:]
    groups = [tail]
    while head:
        groups.append(head[-2:])
        head = head[:-2]
    sign = "-" if amount_paise < 0 else ""
    return f"{sign}₹{','.join(reversed(groups))}.{paise:02d}"
