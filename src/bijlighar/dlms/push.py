"""Push: notifications outside an association, in wrappers; sealed with general-glo-ciphering where keys are known."""

from collections.abc import Callable
from dataclasses import dataclass

from bijlighar.dlms import wrapper, xdlms
from bijlighar.dlms.ciphering import Envelope, Form, read_general
from bijlighar.dlms.errors import Unprotected, WrongTitle
from bijlighar.dlms.event import NEED_DATA, NeedData, Notification
from bijlighar.dlms.notification import notification_apdu, notification_event
from bijlighar.dlms.security import Control, Security

PUSH_CLIENT = 64
PUSH_OCTETS_MAX = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """
    A notification that came in.

    title -- the sender's system title (b"" if it was plain).
    authenticated -- whether a tag vouches for it.
    counter -- its invocation counter, None if it was plain; keep it for the `received_counter` of the next.
    frame -- the whole frame as it came.
    """

    source: int
    destination: int
    title: bytes
    notification: Notification
    authenticated: bool
    counter: int | None
    frame: bytes


def encode(
    notification: Notification, *, security: Security | None, source: int = 1, destination: int = PUSH_CLIENT
) -> bytes:
    """Return the wrapper frame of a push; with `security` it is ciphered and carries our system title."""
    apdu = notification_apdu(notification).encode()
    if security is not None:
        apdu = Envelope(security).seal(apdu, form=Form.GENERAL_GLO)
    return wrapper.encode(apdu, source=source, destination=destination)


class Receiver:
    """
    Takes the octets of one connection and gives notifications.

    `security_for` is asked by system title (b"" for a plain push) and answers None if such a push is not accepted.
    """

    __slots__ = ("_buffer", "_security_for", "last_frame")

    def __init__(self, *, security_for: Callable[[bytes], Security | None]) -> None:
        self._buffer = wrapper.WrapperBuffer(octets_max=PUSH_OCTETS_MAX)
        self._security_for = security_for
        self.last_frame = b""

    def receive_data(self, data: bytes) -> None:
        """Take octets that came in."""
        self._buffer.receive(data)

    def next_event(self) -> Pushed | NeedData:
        """
        Return the next notification, NEED_DATA if more octets must come first.

        :raises RemoteProtocolError: if a push is refused; it is dropped, `last_frame` holds it for the quarantine.
        """
        found = self._buffer.next_frame()
        if found is None:
            return NEED_DATA
        header, apdu = found
        frame = wrapper.encode(apdu, source=header.source, destination=header.destination)
        self.last_frame = frame
        general = read_general(apdu)
        title = general.title if general else b""
        security = self._security_for(title)
        if security is None:
            if general is None:
                raise Unprotected("a plain push is not accepted")
            raise WrongTitle(f"no meter with system title {title.hex()} is known")
        opened = Envelope(security).open(apdu)
        if opened.form is Form.PLAIN and security.ciphered:
            raise Unprotected("a plain push came where ciphering is demanded")
        return Pushed(
            source=header.source,
            destination=header.destination,
            title=title,
            notification=notification_event(xdlms.decode(opened.plain)),
            authenticated=bool(opened.control & Control.AUTHENTICATED),
            counter=None if opened.form is Form.PLAIN else opened.counter,
            frame=frame,
        )
