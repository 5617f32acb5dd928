"""The errors of this room."""

from bijlighar.base.errors import BijligharError


class BalanceError(BijligharError):
    """The root of the errors of this room."""

    code = "balance.error"


class UnusableRange(BalanceError):
    """The days asked for are no range that can be balanced."""

    code = "balance.unusable-range"


class UnknownCase(BalanceError):
    """There is no such case, or it is another office's."""

    code = "balance.unknown-case"


class CaseStands(BalanceError):
    """A case of this meter is under way."""

    code = "balance.case-stands"


class CaseChanged(BalanceError):
    """A case is not in the state that this step needs, or somebody was faster."""

    code = "balance.case-changed"


class NotSuspected(BalanceError):
    """Nothing in these days points to the meter."""

    code = "balance.not-suspected"


class NotTheInspector(BalanceError):
    """Only who was sent to inspect says what was found."""

    code = "balance.not-the-inspector"


class RefusedCase(BalanceError):
    """A case cannot be opened, found or assessed so."""

    code = "balance.refused-case"


class RefusedFlatRate(BalanceError):
    """A file of loads without a meter cannot be taken in; nothing of it is stored."""

    code = "balance.refused-flat-rate"
