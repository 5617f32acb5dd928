"""The ciphered forms of an APDU (glo-, ded-, general-glo-, general-ded-) and the counters of an association."""

from enum import Enum
from typing import NamedTuple

from bijlighar.dlms import axdr
from bijlighar.dlms.errors import (
    AnnouncedTooLong,
    Forged,
    LocalProtocolError,
    Malformed,
    Replayed,
    TooLong,
    Truncated,
    Unprotected,
    WrongKey,
    WrongTitle,
)
from bijlighar.dlms.post_mortem import FORGED, cause_of_forgery
from bijlighar.dlms.security import COUNTER_MAX, TITLE_OCTETS, Control, Protection, Security


class Form(Enum):
    """How an APDU travels."""

    PLAIN = "plain"
    GLO = "glo"
    DED = "ded"
    GENERAL_GLO = "general-glo"
    GENERAL_DED = "general-ded"


# To look a member of an enumeration up takes as long as a whole comparison; these are asked for with every message.
_PLAIN, _GLO, _DED, _GENERAL_DED = Form.PLAIN, Form.GLO, Form.DED, Form.GENERAL_DED
#: Makes a named tuple in half the time.
_new = tuple.__new__
#: What a length of two octets begins with.
_TWO_OCTETS = 0x82
_AUTHENTICATED = Control.AUTHENTICATED

GENERAL_GLO_TAG, GENERAL_DED_TAG, GENERAL_CIPHERING_TAG = 0xDB, 0xDC, 0xDD
_INITIATE_REQUEST, _INITIATE_RESPONSE, _SERVICE_ERROR = 0x01, 0x08, 0x0E

_GLO_TAGS = {
    _INITIATE_REQUEST: 0x21,
    _INITIATE_RESPONSE: 0x28,
    _SERVICE_ERROR: 0x2E,
    **{tag: tag + 8 for tag in (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC7)},
}
_DED_TAGS = {
    _INITIATE_REQUEST: 0x41,
    _INITIATE_RESPONSE: 0x48,
    _SERVICE_ERROR: 0x4E,
    **{tag: tag + 16 for tag in (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC7)},
}
_FORMS: dict[int, tuple[Form, int]] = {
    **{ciphered: (Form.GLO, plain) for plain, ciphered in _GLO_TAGS.items()},
    **{ciphered: (Form.DED, plain) for plain, ciphered in _DED_TAGS.items()},
}
_SERVICE_TAGS = frozenset((*_GLO_TAGS, 0x0F))

#: Octets that ciphering adds at most: tag, length, security header, authentication tag.
OVERHEAD_OCTETS = 1 + 3 + 5 + 12
GENERAL_OVERHEAD_OCTETS = OVERHEAD_OCTETS + 1 + TITLE_OCTETS


class Opened(NamedTuple):
    """An APDU as it was before it was protected."""

    plain: bytes
    form: Form
    control: int
    counter: int

    @property
    def authenticated(self) -> bool:
        """Return whether a tag vouches for it."""
        return bool(self.control & Control.AUTHENTICATED)


class GeneralApdu(NamedTuple):
    """The outside of a general-glo- or general-ded-ciphering APDU: form, system title, what is ciphered."""

    form: Form
    title: bytes
    content: bytes


def read_general(apdu: bytes) -> GeneralApdu | None:
    """
    Return the outside of a general ciphered APDU, None if it is another APDU.

    :raises RemoteProtocolError: if it is cut off or of a kind not known here.
    """
    tag = apdu[0] if apdu else 0
    if tag == GENERAL_CIPHERING_TAG:
        raise Malformed("general-ciphering (DDh) is not supported here")
    if tag not in (GENERAL_GLO_TAG, GENERAL_DED_TAG):
        return None
    count, at = axdr.read_length(apdu, 1)
    if at + count > len(apdu):
        raise Truncated("a ciphered message ends inside its system title")
    if count not in (0, TITLE_OCTETS):
        raise WrongTitle(f"a system title has {TITLE_OCTETS} octets, not {count}")
    title = apdu[at : at + count]
    form = Form.GENERAL_GLO if tag == GENERAL_GLO_TAG else Form.GENERAL_DED
    return GeneralApdu(form, title, apdu[_content_start(apdu, at + count) :])


def _content_start(apdu: bytes, at: int) -> int:
    """Return where the content starts of the octet-string at `at` with which the APDU ends."""
    try:
        count, at = axdr.read_length(apdu, at)
    except TooLong as problem:
        raise AnnouncedTooLong(f"of a ciphered message {problem}") from None
    left = len(apdu) - at
    if left == count:
        return at
    if left < count:
        raise Truncated(f"a ciphered message announces {count} octets, {left} are there")
    raise Malformed("octets are left over after a ciphered message")


class _Channel:
    """A key pair at work and the last counters that came under it; those without a tag count by themselves."""

    __slots__ = ("keys", "received", "received_weak")

    def __init__(self, keys: Protection, *, received: int) -> None:
        self.keys = keys
        self.received = received
        self.received_weak = -1

    def count(self, counter: int, *, strong: bool) -> None:
        """Check a counter against the last, and raise the last; one without a tag raises only its own."""
        if counter <= self.received or counter <= self.received_weak:
            last = max(self.received, self.received_weak)
            raise Replayed(
                f"invocation counter {counter} is not higher than the last, {last}",
                expected=min(last + 1, COUNTER_MAX),
            )
        if strong:
            self.received = counter
        else:
            self.received_weak = counter


class Envelope:
    """
    Protects what we send and opens what we receive; holds the counters.

    `is_client`: who sent us a forged message learns nothing of why we refuse it, so the error may say more.
    """

    __slots__ = ("_dedicated", "_global", "_is_client", "peer_title", "security")

    def __init__(self, security: Security, *, is_client: bool = False) -> None:
        self.security = security
        self._is_client = is_client
        self.peer_title = security.peer_title
        has_keys = bool(security.ek and security.ak)
        self._global: _Channel | None = None
        if has_keys:
            keys = Protection(ek=security.ek, ak=security.ak, suite=security.suite)
            self._global = _Channel(keys, received=security.received_counter)
        self._dedicated: _Channel | None = None

    @property
    def received_counter(self) -> int:
        """Return the last good counter of the peer under the global key."""
        return self.security.received_counter if self._global is None else self._global.received

    @property
    def has_dedicated_key(self) -> bool:
        """Return whether a dedicated key was agreed."""
        return self._dedicated is not None

    def use_dedicated_key(self, key: bytes | None) -> None:
        """
        Take the dedicated key of this association, or none.

        :raises Malformed: if it is not as long as the keys of the suite.
        """
        security = self.security
        if key is not None and len(key) != security.key_octets:
            raise Malformed(f"a dedicated key has {security.key_octets} octets, not {len(key)}")
        self._dedicated = None
        if key is not None:
            keys = Protection(ek=key, ak=security.ak, suite=security.suite)
            self._dedicated = _Channel(keys, received=-1)

    def learn_title(self, title: bytes | None) -> None:
        """
        Take the system title that the peer gave in AARQ or AARE.

        :raises WrongTitle: if it is not 8 octets, or not the one we know.
        """
        if title is None:
            return
        if len(title) != TITLE_OCTETS:
            raise WrongTitle(f"a system title has {TITLE_OCTETS} octets, not {len(title)}")
        known = self.security.peer_title
        if known is not None and title != known:
            raise WrongTitle(f"system title {title.hex()} is not {known.hex()}; is it another meter?")
        self.peer_title = title

    def next_counter(self) -> int:
        """
        Return the invocation counter of our next message.

        :raises LocalProtocolError: if there is none.
        """
        if self.security.next_counter is None:
            raise LocalProtocolError("ciphering needs an invocation counter")
        return self.security.next_counter()

    def protection(self) -> Protection:
        """
        Return the global keys at work.

        :raises LocalProtocolError: if there are none.
        """
        if self._global is None:
            raise LocalProtocolError("there are no keys for this association")
        return self._global.keys

    def known_peer_title(self) -> bytes:
        """
        Return the peer's system title.

        :raises WrongTitle: if it is not known.
        """
        if self.peer_title is None:
            raise WrongTitle("the peer has not told its system title and it is not configured")
        return self.peer_title

    def seal(self, apdu: bytes, *, form: Form, control: int | None = None) -> bytes:
        """
        Return `apdu` protected in `form`.

        :raises LocalProtocolError: if there is no key or no counter for it.
        """
        if form is _PLAIN:
            return apdu
        is_dedicated = form is _DED or form is _GENERAL_DED
        channel = self._dedicated if is_dedicated else self._global
        if channel is None:
            raise LocalProtocolError(f"there is no key for {form.value} ciphering")
        own_title = self.security.own_title
        content = channel.keys.protect(
            apdu,
            control=self.security.control if control is None else control,
            title=own_title,
            counter=self.next_counter(),
        )
        tags = _GLO_TAGS if form is _GLO else _DED_TAGS if form is _DED else None
        tag = None if tags is None else tags.get(apdu[0])
        if tag is not None:
            return bytes((tag,)) + axdr.length(len(content)) + content
        general = GENERAL_DED_TAG if is_dedicated else GENERAL_GLO_TAG
        title = bytes((general, len(own_title))) + own_title
        return title + axdr.length(len(content)) + content

    def open(self, apdu: bytes) -> Opened:
        """
        Return what a received APDU holds; a plain one as it is.

        :raises RemoteProtocolError: Forged, WrongKey, Replayed, WrongTitle, Unprotected, Truncated, Malformed.
        """
        if not apdu:
            raise Truncated("a message is empty")
        found = _FORMS.get(apdu[0])
        if found is not None:
            form, service = found
            octets = len(apdu) - 4
            if octets > 0 and apdu[1] == _TWO_OCTETS and (apdu[2] << 8 | apdu[3]) == octets:
                at = 4  # nearly all long messages
            else:
                at = _content_start(apdu, 1)
            return self._open_content(form, apdu, at, service, self.peer_title)
        general = read_general(apdu)
        if general is None:
            return Opened(apdu, Form.PLAIN, 0, -1)
        if general.title and general.title != (self.peer_title or general.title):
            raise WrongTitle(f"system title {general.title.hex()} is not that of the peer")
        return self._open_content(general.form, general.content, 0, None, general.title or self.peer_title)

    def _open_content(
        self, form: Form, message: bytes, at: int, service: int | None, title: bytes | None
    ) -> Opened:
        """Return what a message holds whose security header starts at `at`; `service` is what its tag names."""
        channel = self._dedicated if form is _DED or form is _GENERAL_DED else self._global
        if channel is None:
            raise Unprotected(f"a {form.value} message came, but there is no key for it")
        plain, holds = channel.keys.unprotect(message, title=title or self.known_peer_title(), at=at)
        reads_right = bool(plain) and (
            plain[0] == service if service is not None else plain[0] in _SERVICE_TAGS
        )
        control = message[at]
        strong = control & _AUTHENTICATED != 0
        if not (holds and reads_right and strong):
            if self._is_client and reads_right and not holds:
                raise cause_of_forgery(channel.keys, message[at:], title=title or self.known_peer_title())
            self._check(control, holds=holds, reads_right=reads_right)
        counter = int.from_bytes(message[at + 1 : at + 5], "big")
        if strong and counter > channel.received and counter > channel.received_weak:
            channel.received = counter
        else:
            channel.count(counter, strong=strong)
        return _new(Opened, (plain, form, control, counter))

    def _check(self, control: int, *, holds: bool, reads_right: bool) -> None:
        """Tell what is wrong with a message; nothing is with one that has no tag where the policy allows that."""
        if not holds:
            if reads_right:
                raise Forged(FORGED)
            raise WrongKey("a message does not decipher: EK or system title is another")
        if control & Control.AUTHENTICATED:
            raise Malformed("a ciphered message holds another service than it names")
        if not self.security.accept_unauthenticated:
            raise Unprotected(f"security control {control:02X}h has no tag; the policy does not accept it")
        if not reads_right:
            raise WrongKey("a message does not decipher: EK or system title is another")
