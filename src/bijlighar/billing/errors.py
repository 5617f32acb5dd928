"""The errors of this room."""

from bijlighar.base.errors import BijligharError


class BillingError(BijligharError):
    """The root of the errors of this room."""

    code = "billing.error"


class UnknownBill(BillingError):
    """There is no bill with this number or token."""

    code = "billing.unknown-bill"


class MonthNotOver(BillingError):
    """A month is billed only after its last day."""

    code = "billing.month-not-over"


class NothingParked(BillingError):
    """The account is not parked in that month, so there is nothing to release."""

    code = "billing.nothing-parked"


class CannotBill(BillingError):
    """A bill cannot be made again under today's facts; the message says why."""

    code = "billing.cannot-bill"


class BrokenTypesetting(BillingError):
    """The PDF of a bill could not be made."""

    code = "billing.broken-typesetting"
