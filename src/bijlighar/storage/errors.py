"""The errors of this room."""

from bijlighar.base.errors import BijligharError


class StorageError(BijligharError):
    """The root of the errors of this room."""

    code = "storage.error"


class UnusableDatabase(StorageError):
    """The database URL is wrong, or the database does not answer."""

    code = "storage.unusable-database"
