"""The errors of this room."""

from bijlighar.base.errors import BijligharError


class NoticesError(BijligharError):
    """The root of the errors of this room."""

    code = "notices.error"


class BrokenTemplate(NoticesError):
    """A template cannot be used as written."""

    code = "notices.broken-template"


class MissingFact(NoticesError):
    """A template needs a fact that was not given."""

    code = "notices.missing-fact"


class UnusedFact(NoticesError):
    """A fact was given that no template of the purpose uses."""

    code = "notices.unused-fact"


class UnreadableFact(NoticesError):
    """A fact is not what its name says."""

    code = "notices.unreadable-fact"


class BrokenCallback(NoticesError):
    """The body of a provider's callback cannot be understood."""

    code = "notices.broken-callback"


class UnknownMessage(NoticesError):
    """No such message is known."""

    code = "notices.unknown-message"


class ImplausibleService(NoticesError):
    """A notice cannot have been served as recorded."""

    code = "notices.implausible-service"


class NotToBeStored(NoticesError):
    """A one-time code was given to be queued; it may only be sent at once."""

    code = "notices.not-to-be-stored"
