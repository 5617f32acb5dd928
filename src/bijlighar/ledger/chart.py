"""The chart of accounts: the heads, what they are, and where the money of a payment lies at first."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.words import Words


class HeadKind(StrEnum):
    """What a head is in the accounts."""

    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"


class Head(StrEnum):
    """A head of the chart of accounts; each is kept per customer account, and its total is the sum of those."""

    RECEIVABLE = "receivable"
    ADVANCE = "advance"
    ENERGY = "energy_income"
    FIXED = "fixed_income"
    DEMAND = "demand_income"
    TOD = "tod_adjustment"
    FUEL = "fuel_adjustment"
    MINIMUM = "minimum_charge_income"
    PENAL = "penal_income"
    REBATE = "rebate"
    LATE_PAYMENT = "late_payment_income"
    RECONNECTION = "reconnection_income"
    OTHER_INCOME = "other_income"
    DUTY = "electricity_duty_payable"
    SUBSIDY = "subsidy_receivable"
    ROUNDING = "rounding"
    GATEWAY = "gateway_clearing"
    CHEQUES = "cheque_clearing"
    CASH = "cash"
    BANK = "bank"
    UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartLine:
    """One line of the chart of accounts."""

    head: Head
    kind: HeadKind
    name: Words


def _line(head: Head, kind: HeadKind, en: str, hi: str) -> ChartLine:
    return ChartLine(head=head, kind=kind, name=Words(hi=hi, en=en))


#: The chart of accounts, in the order of a statement.
CHART: tuple[ChartLine, ...] = (
    _line(Head.RECEIVABLE, HeadKind.ASSET, "Receivable from consumers", "उपभोक्ताओं से प्राप्य"),
    _line(Head.SUBSIDY, HeadKind.ASSET, "Subsidy receivable from the State", "राज्य शासन से प्राप्य सब्सिडी"),
    _line(Head.GATEWAY, HeadKind.ASSET, "Payment gateway, not yet settled", "पेमेंट गेटवे, निपटान शेष"),
    _line(Head.CHEQUES, HeadKind.ASSET, "Cheques in clearing", "समाशोधन में चेक"),
    _line(Head.CASH, HeadKind.ASSET, "Cash at the counters", "काउंटर पर नकद"),
    _line(Head.BANK, HeadKind.ASSET, "Bank", "बैंक"),
    _line(Head.ADVANCE, HeadKind.LIABILITY, "Advance from consumers", "उपभोक्ताओं का अग्रिम"),
    _line(Head.DUTY, HeadKind.LIABILITY, "Electricity duty payable", "देय विद्युत शुल्क (ड्यूटी)"),
    _line(Head.UNMATCHED, HeadKind.LIABILITY, "Payments not yet matched", "अमिलानित भुगतान"),
    _line(Head.ENERGY, HeadKind.INCOME, "Energy charge", "ऊर्जा शुल्क"),
    _line(Head.FIXED, HeadKind.INCOME, "Fixed charge", "स्थिर शुल्क"),
    _line(Head.DEMAND, HeadKind.INCOME, "Demand charge", "डिमांड शुल्क"),
    _line(Head.TOD, HeadKind.INCOME, "Time-of-day rebate and surcharge", "टीओडी छूट एवं अधिभार"),
    _line(
        Head.FUEL, HeadKind.INCOME, "Fuel and power purchase adjustment", "ईंधन एवं पावर परचेज एडजस्टमेंट सरचार्ज"
    ),
    _line(Head.MINIMUM, HeadKind.INCOME, "Minimum charge", "न्यूनतम शुल्क"),
    _line(Head.PENAL, HeadKind.INCOME, "Penal charge", "दंड शुल्क"),
    _line(Head.REBATE, HeadKind.INCOME, "Rebates given", "दी गई रियायत"),
    _line(Head.LATE_PAYMENT, HeadKind.INCOME, "Late payment surcharge", "विलंब शुल्क"),
    _line(Head.RECONNECTION, HeadKind.INCOME, "Reconnection charge", "पुनर्संयोजन शुल्क"),
    _line(Head.OTHER_INCOME, HeadKind.INCOME, "Other charges", "अन्य शुल्क"),
    _line(Head.ROUNDING, HeadKind.INCOME, "Rounding", "पूर्णांकन"),
)


#: Where the money of a payment method lies until the bank has it; what is not named here lies at the gateway.
CLEARING: Mapping[str, Head] = MappingProxyType(
    {"cash": Head.CASH, "cheque": Head.CHEQUES, "bank": Head.BANK}
)
