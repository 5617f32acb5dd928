"""The errors of this room."""

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
