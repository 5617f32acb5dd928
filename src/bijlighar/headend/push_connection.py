"""What one sender has pushed: octets in, genuine pushes stored, everything else told to a quarantine."""

from collections.abc import Awaitable, Callable
from functools import partial

from bijlighar.dlms import push
from bijlighar.dlms.errors import (
    Forged,
    LocalProtocolError,
    RemoteProtocolError,
    Truncated,
    Unprotected,
    WrongKey,
)
from bijlighar.dlms.event import NeedData
from bijlighar.dlms.push import Pushed
from bijlighar.dlms.security import KEY_OCTETS_OF_SUITE, Security
from bijlighar.headend.errors import BrokenQuirk
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.keys import push_keys
from bijlighar.headend.model import MeterKeys
from bijlighar.headend.push_bodies import read_body
from bijlighar.headend.push_places import Taken
from bijlighar.headend.push_storer import PushStorer
from bijlighar.headend.quirks import ADVICE

#: Told of a push that is refused: (sender, why, frame).
Refuse = Callable[[str, RemoteProtocolError, bytes], Awaitable[None]]


class PushConnection:
    """What one connection, or one datagram, has sent."""

    def __init__(self, *, head_end: HeadEnd, peer: str, storer: PushStorer[Taken], refuse: Refuse) -> None:
        """Take pushes from the address `peer`."""
        self._storer = storer
        self._head_end = head_end
        self._peer = peer
        self._tell_refused = refuse
        self._receiver = push.Receiver(security_for=self._security_for)
        self._keys: MeterKeys | None = None
        self._title = b""
        self._unread = b""

    async def take(self, data: bytes) -> bool:
        """Take octets, and return whether every push in what has come is settled and none is half here."""
        self._receiver.receive_data(data)
        self._unread = (self._unread + data)[-push.PUSH_OCTETS_MAX :]
        settled = False
        while True:
            self._receiver.last_frame = b""
            self._title, self._keys = b"", None
            try:
                pushed = self._next()
                if not isinstance(pushed, Pushed):
                    return settled and not self._unread
                await self._store(pushed)
            except RemoteProtocolError as problem:
                await self._refuse(problem)
                if not self._receiver.last_frame:
                    return True  # not even a frame: what follows has no beginning
            settled = True
            self._unread = self._unread[len(self._receiver.last_frame) :]

    async def end(self) -> None:
        """Count a message that broke off."""
        if self._unread:
            await self._refuse(Truncated("the connection ended in the middle of a push"))

    def _next(self) -> Pushed | NeedData:
        try:
            return self._receiver.next_event()
        except (WrongKey, Forged) as problem:
            pushed = self._opened_otherwise(self._receiver.last_frame)
            if pushed is None:
                raise problem from None
            return pushed

    def _opened_otherwise(self, frame: bytes) -> Pushed | None:
        """
        Return a push that opens by other keys than were remembered, None if it does not.

        The keys may have been changed by another process; and a meter with one pair for all its clients pushes by
        those of reading once these were changed.
        """
        tried = self._keys
        if tried is None:
            return None
        self._head_end.forget_title(self._title)
        keys = self._head_end.keys_of_title(self._title)
        if keys is None:
            return None
        others = [pair for pair in (push_keys(keys), (keys.ek, keys.ak)) if pair != push_keys(tried)]
        for pair in dict.fromkeys(others):
            receiver = push.Receiver(security_for=partial(self._by, keys, pair))
            receiver.receive_data(frame)
            try:
                pushed = receiver.next_event()
            except RemoteProtocolError:
                continue
            if isinstance(pushed, Pushed):
                self._keys = keys
                return pushed
        return None

    def _security_for(self, title: bytes) -> Security | None:
        self._title = title
        self._keys = self._head_end.keys_of_title(title) if title else None
        return None if self._keys is None else self._by(self._keys, push_keys(self._keys), title)

    def _by(self, keys: MeterKeys, pair: tuple[bytes, bytes], title: bytes) -> Security:
        suite = self._suite(keys.serial)
        if not len(pair[0]) == len(pair[1]) == KEY_OCTETS_OF_SUITE[suite]:
            raise WrongKey(f"the keys of meter {keys.serial} are not of security suite {suite}; {ADVICE}")
        return Security(
            ciphered=True,
            own_title=self._head_end.settings.system_title,
            peer_title=title,
            ek=pair[0],
            ak=pair[1],
            suite=suite,
            next_counter=_never,
        )

    def _suite(self, serial: str) -> int:
        """Return the security suite of a meter; that its quirk file is broken keeps no last gasp out."""
        try:
            return self._head_end.settings.quirks.of_serial(serial).access.suite
        except BrokenQuirk:
            return 0

    async def _refuse(self, problem: RemoteProtocolError) -> None:
        frame = self._receiver.last_frame or self._unread
        await self._tell_refused(self._title.hex() or self._peer, problem, frame)

    async def _store(self, pushed: Pushed) -> None:
        keys = self._keys
        if keys is None or pushed.counter is None or not pushed.authenticated:
            raise Unprotected("a push without a tag is not accepted")
        taken = Taken(
            meter=keys.serial, counter=pushed.counter, body=read_body(pushed.notification), source=self._peer
        )
        refusal = await self._storer.store(taken)
        if refusal is not None:
            raise refusal


def _never() -> int:
    raise LocalProtocolError("a push is not answered")
