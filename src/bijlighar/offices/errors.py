"""The errors of this room."""

from datetime import datetime

from bijlighar.base.errors import BijligharError


class OfficesError(BijligharError):
    """The root of the errors of this room."""

    code = "offices.error"


class UnknownOffice(OfficesError):
    """No office has this code."""

    code = "offices.unknown-office"


class UnknownPerson(OfficesError):
    """No person has this sign-in name."""

    code = "offices.unknown-person"


class KnownPerson(OfficesError):
    """A person with this sign-in name is there already, with other facts."""

    code = "offices.known-person"


class NotPermitted(OfficesError):
    """The person's role or place in the tree of offices does not allow the act."""

    code = "offices.not-permitted"


class SamePerson(OfficesError):
    """The one who proposed wants to approve."""

    code = "offices.same-person"


class BrokenTree(OfficesError):
    """The offices do not form a tree."""

    code = "offices.broken-tree"


class UnreadableFile(OfficesError):
    """A file given by a person cannot be read; the message names line and column."""

    code = "offices.unreadable-file"


class UnrecordableDetail(OfficesError):
    """The detail of an act cannot be written as JSON."""

    code = "offices.unrecordable-detail"


class WrongPassword(OfficesError):
    """The sign-in name is unknown, the password is wrong, or the person is no longer active: which, is not said."""

    code = "offices.wrong-password"


class SignInLocked(OfficesError):
    """Signing in has failed too often with this name or from this address; it is open again at `until`."""

    code = "offices.sign-in-locked"

    def __init__(self, message: str, *, until: datetime) -> None:
        """Keep the moment of the wall clock from which on another try is taken."""
        super().__init__(message)
        self.until = until


class SignInBusy(OfficesError):
    """So many sign in at the same time that this one was not looked at."""

    code = "offices.sign-in-busy"


class WeakPassword(OfficesError):
    """The password is too short, too long or too easily guessed."""

    code = "offices.weak-password"
