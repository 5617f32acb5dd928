"""What an operator of the arrears room can act on."""

from bijlighar.base.errors import BijligharError


class ArrearsError(BijligharError):
    """The root of the room's errors."""

    code = "arrears.error"


class BrokenPolicy(ArrearsError):
    """The policy file cannot be used."""

    code = "arrears.broken-policy"


class UnknownList(ArrearsError):
    """There is no list of that number."""

    code = "arrears.unknown-list"


class UnknownOrder(ArrearsError):
    """There is no order of that number."""

    code = "arrears.unknown-order"


class UnknownAccount(ArrearsError):
    """There is no account of that number."""

    code = "arrears.unknown-account"


class NotToBeApproved(ArrearsError):
    """The list was approved, replaced or has lapsed, or there is nothing on it to approve."""

    code = "arrears.not-to-be-approved"


class CountDiffers(ArrearsError):
    """The approver confirmed another number of rows than would be approved now."""

    code = "arrears.count-differs"


class NothingRunning(ArrearsError):
    """There is no halt to lift, or no circumstance to end."""

    code = "arrears.nothing-running"


class NotByHand(ArrearsError):
    """The order is not one that the town office carries out by hand."""

    code = "arrears.not-by-hand"


class ReasonNeeded(ArrearsError):
    """A reason in words is asked for and was not given."""

    code = "arrears.reason-needed"
