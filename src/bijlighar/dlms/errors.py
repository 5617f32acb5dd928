"""What can go wrong in the protocol: we broke a rule, or the peer did, and which one."""

from bijlighar.base.errors import BijligharError


class DlmsError(BijligharError):
    """Anything that goes wrong in the protocol."""

    code = "dlms.error"


class LocalProtocolError(DlmsError):
    """Our own side asked for what the protocol does not allow now."""

    code = "dlms.local"


class RemoteProtocolError(DlmsError):
    """The peer sent what the protocol does not allow; nothing was changed by it."""

    code = "dlms.remote"


class Truncated(RemoteProtocolError):
    """A message ends before what it announces."""

    code = "dlms.truncated"


class TooLong(RemoteProtocolError):
    """What stands inside a message is longer, or announces more, than is allowed."""

    code = "dlms.too-long"


class AnnouncedTooLong(TooLong):
    """A frame or a ciphered message announces more than any meter sends: most likely no meter answers there."""

    code = "dlms.announced-too-long"


class TooDeep(RemoteProtocolError):
    """A value is nested deeper than is allowed."""

    code = "dlms.too-deep"


class Malformed(RemoteProtocolError):
    """A message is not built as the standard says."""

    code = "dlms.malformed"


class BadChecksum(RemoteProtocolError):
    """The check sequence of an HDLC frame does not hold."""

    code = "dlms.bad-checksum"


class Unexpected(RemoteProtocolError):
    """A well-formed message is not legal in this state."""

    code = "dlms.unexpected"


class BlockOutOfOrder(Unexpected):
    """A block of a long transfer is not the next one."""

    code = "dlms.block-out-of-order"


class Forged(RemoteProtocolError):
    """A message deciphers to the service it names, but its tag does not hold: octets changed, or another AK."""

    code = "dlms.forged"


class TagDamaged(Forged):
    """The tag of a message is nearly the right one: most likely the tag alone was changed on its way."""

    code = "dlms.tag-damaged"


class WrongKey(RemoteProtocolError):
    """A message does not even decipher to the service it names: most likely another EK or system title."""

    code = "dlms.wrong-key"


class Replayed(RemoteProtocolError):
    """A message carries a counter that is not higher than the last good one."""

    code = "dlms.replayed"

    def __init__(self, message: str, *, expected: int) -> None:
        super().__init__(message)
        self.expected = expected


class Unprotected(RemoteProtocolError):
    """A message is plain, or less protected than the policy demands."""

    code = "dlms.unprotected"


class WrongTitle(RemoteProtocolError):
    """A system title is missing, is not 8 octets, or belongs to another device."""

    code = "dlms.wrong-title"


class PeerNotProven(RemoteProtocolError):
    """The peer's password or its answer to our challenge is wrong."""

    code = "dlms.peer-not-proven"


class WrongPassword(PeerNotProven):
    """The password of a client is wrong."""

    code = "dlms.wrong-password"
