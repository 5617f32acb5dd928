"""The errors of this room."""

from bijlighar.base.errors import BijligharError


class ValidationError(BijligharError):
    """The root of the errors of this room."""

    code = "validation.error"


class UnusableRange(ValidationError):
    """The days asked for are no range, or too many."""

    code = "validation.unusable-range"


class UnknownException(ValidationError):
    """There is no such exception, or it is another office's."""

    code = "validation.unknown-exception"


class ExceptionChanged(ValidationError):
    """What was found has changed since the page was opened, or somebody was faster."""

    code = "validation.exception-changed"


class NotTheHolder(ValidationError):
    """Only who has taken an exception settles it."""

    code = "validation.not-the-holder"
