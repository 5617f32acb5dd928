"""The errors of this room."""

from bijlighar.base.errors import BijligharError


class RolloutError(BijligharError):
    """The root of the errors of this room."""

    code = "rollout.error"


class RefusedPlan(RolloutError):
    """A plan's file or figures are wrong; nothing was stored."""

    code = "rollout.refused-plan"


class RefusedStock(RolloutError):
    """A receipt of stock is wrong; nothing was stored."""

    code = "rollout.refused-stock"


class UnknownStock(RolloutError):
    """No meter in stock has this serial number."""

    code = "rollout.unknown-stock"


class UnknownOrder(RolloutError):
    """No work order has this number."""

    code = "rollout.unknown-order"


class CannotPlan(RolloutError):
    """A work order cannot be made for this place."""

    code = "rollout.cannot-plan"


class CannotInstall(RolloutError):
    """The installation cannot be recorded as given."""

    code = "rollout.cannot-install"


class UnknownCheck(RolloutError):
    """No check on the spot has this number in the person's offices."""

    code = "rollout.unknown-check"


class CheckChanged(RolloutError):
    """A check on the spot is no longer what it was when it was looked at."""

    code = "rollout.check-changed"
