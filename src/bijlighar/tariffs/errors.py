"""The errors of this room."""

from bijlighar.base.errors import BijligharError


class TariffError(BijligharError):
    """The root of the errors of this room."""

    code = "tariffs.error"


class BrokenBook(TariffError):
    """A tariff book cannot be used; the message names the place in the book and what is wrong there."""

    code = "tariffs.broken-book"


class NoTariff(TariffError):
    """No tariff book has the category on that day."""

    code = "tariffs.no-tariff"


class UnpriceableUsage(TariffError):
    """The usage given to be priced contradicts itself or the book."""

    code = "tariffs.unpriceable-usage"
