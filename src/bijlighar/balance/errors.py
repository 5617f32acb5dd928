"""The errors of this room."""

from bijlighar.base.errors import BijligharError


class BalanceError(BijligharError):
    """The root of the errors of this room."""

    code = "balance.error"


class UnusableRange(BalanceError):
    """The days asked for are no range that can be balanced."""

    code = "balance.unusable-range"
