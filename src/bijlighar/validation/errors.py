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


class UnknownEdit(ValidationError):
    """There is no such edit of readings, or it is another office's."""

    code = "validation.unknown-edit"


class EditDecided(ValidationError):
    """An edit of readings was decided or withdrawn meanwhile."""

    code = "validation.edit-decided"


class EditStands(ValidationError):
    """Another edit of these intervals waits to be decided."""

    code = "validation.edit-stands"


class RefusedEdit(ValidationError):
    """The readings cannot be edited so."""

    code = "validation.refused-edit"


class ExceptionChanged(ValidationError):
    """What was found has changed since the page was opened, or somebody was faster."""

    code = "validation.exception-changed"


class NotTheHolder(ValidationError):
    """Only who has taken an exception settles it."""

    code = "validation.not-the-holder"
