"""Hashing passwords with argon2id, and checking them at a cost that is the same for every name."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_bytes
from threading import BoundedSemaphore

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY

from bijlighar.offices import rules
from bijlighar.offices.errors import SignInBusy

#: 64 MiB and three passes: the second recommendation of RFC 9106, section 4.
PARAMETERS = RFC_9106_LOW_MEMORY
#: How many passwords are checked at the same time; each takes the memory of `PARAMETERS`.
CHECKS_AT_ONCE = 2
#: Longest wait for a place among them [s].
PATIENCE_S = 10.0


class Passwords:
    """Hashes and checks passwords; one object bounds the checks of a process."""

    def __init__(
        self,
        parameters: Parameters = PARAMETERS,
        *,
        checks_at_once: int = CHECKS_AT_ONCE,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Hash with `parameters` from now on; hashes made with others are still understood."""
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._places = BoundedSemaphore(checks_at_once)
        self._patience_s = patience_s
        self._nobodys = _nobodys(parameters)

    @contextmanager
    def place(self) -> Iterator[None]:
        """
        Wait for one of the places where passwords are checked, and hold it.

        :raises SignInBusy: if none comes free in time.
        """
        if not self._places.acquire(timeout=self._patience_s):
            raise SignInBusy("too many sign in at the same time; try again in a minute")
        try:
            yield
        finally:
            self._places.release()

    def hashed(self, password: str) -> str:
        """Return the hash of a password, with its salt and parameters."""
        return self._hasher.hash(rules.normal_password(password))

    def is_right(self, password: str, *, known: str | None) -> bool:
        """Return whether `password` has the hash `known`; without one it takes as long to say no."""
        try:
            self._hasher.verify(known or self._nobodys, rules.normal_password(password))
        except VerifyMismatchError:
            return False
        return known is not None

    def is_outdated(self, known: str) -> bool:
        """Return whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(known)


def _nobodys(parameters: Parameters) -> str:
    """Return the hash of no password: random octets where a hash stands, as dear to check as a true one."""
    salt, digest = (
        b64encode(token_bytes(length)).rstrip(b"=").decode()
        for length in (parameters.salt_len, parameters.hash_len)
    )
    costs = f"m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
    return f"$argon2id$v={parameters.version}${costs}${salt}${digest}"
