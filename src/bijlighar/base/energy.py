"""Energy is integer Wh; a unit (kWh) is what the tariff and the consumer speak of."""

from decimal import Decimal

WH_PER_UNIT = 1000


def units(energy_wh: int) -> str:
    """
    Return `energy_wh` [Wh] in units (kWh) as text, without rounding and without trailing zeros.

    >>> units(125_400), units(0), units(-1_050)
    ('125.4', '0', '-1.05')
    """
    text = f"{Decimal(energy_wh) / WH_PER_UNIT:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
