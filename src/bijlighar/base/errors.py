"""The root of all anticipated errors."""


class BijligharError(Exception):
    """
    An anticipated failure that an operator can act on.

    Each subclass has a stable `code` of the form `room.what-is-wrong`; the message is one line that says what
    happened and what to do. Anything that is not a `BijligharError` is a fault of the program.
    """

    code = "base.error"

    def __str__(self) -> str:
        """Return the message on one line."""
        return " ".join(super().__str__().split())


class InvalidValue(BijligharError):
    """A value given from outside is not acceptable."""

    code = "base.invalid-value"
