"""The errors of this room."""

from bijlighar.base.errors import BijligharError


class ReadingsError(BijligharError):
    """The root of the errors of this room."""

    code = "readings.error"


class UnusableReadings(ReadingsError):
    """What was handed over as readings cannot be stored: wrong lengths, channels or interval length."""

    code = "readings.unusable-readings"


class TooManyMeters(ReadingsError):
    """There is no number left for another meter's meter-days."""

    code = "readings.too-many-meters"


class BrokenFile(ReadingsError):
    """A file of readings is torn or wrong; nothing of it is stored."""

    code = "readings.broken-file"


class ReadingsChanged(ReadingsError):
    """A meter-day is no longer what an edit of it was proposed on; nothing was written."""

    code = "readings.changed"


class MissingExtra(ReadingsError):
    """A file of this format needs a package that is not installed."""

    code = "readings.missing-extra"


class UnsupportedFormat(ReadingsError):
    """Files of this format are not taken in."""

    code = "readings.unsupported-format"


class UnknownSeal(ReadingsError):
    """There is no such seal, or it is another office's."""

    code = "readings.unknown-seal"


class MonthSealed(ReadingsError):
    """The month is sealed: nothing of it changes."""

    code = "readings.month-sealed"


class CannotSeal(ReadingsError):
    """The month cannot be sealed as it stands."""

    code = "readings.cannot-seal"


class SealChanged(ReadingsError):
    """A seal is not in the state that this step needs, or somebody was faster."""

    code = "readings.seal-changed"


class CannotRemove(ReadingsError):
    """The intervals of this month are not to be removed."""

    code = "readings.cannot-remove"
