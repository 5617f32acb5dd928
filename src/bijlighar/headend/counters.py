"""
Invocation counters: given out ahead in durable blocks, so that a crash can only skip numbers and never repeat one.

A row of the database says "everything below this may have been used". A block is used only after the row that covers
it is committed; what a process has in memory and loses with its death is skipped. Reserving for many meters is one
transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bijlighar.headend import keys_store
from bijlighar.headend.errors import CounterRefused
from bijlighar.storage.engine import Database

#: How many counters one reservation covers: about a hundred sessions of a block-load day.
BLOCK = 1_024
#: A session that might need more than this asks for a new block first.
SESSION_NEED = 256
#: The counter has 32 bits. One this near to its end needs new keys, not another session.
LAST_COUNTER = 2**32 - 2**20
#: A meter's own word about its counter is not authenticated: it may move ours by so much and no more.
JUMP_LIMIT = 2**24
#: At first contact nothing is known; a counter beyond this is not believed.
FIRST_LIMIT = 2**31


@dataclass(slots=True)
class _Block:
    following: int
    end: int

    @property
    def left(self) -> int:
        return self.end - self.following


class Counters:
    """The counters of this process; each number is handed out once."""

    def __init__(self, database: Database) -> None:
        """Begin with nothing in memory: whatever a former process had left over is skipped."""
        self._database = database
        self._blocks: dict[tuple[str, int], _Block] = {}

    def reserve(self, *, meters: Sequence[str], client: int) -> frozenset[str]:
        """
        Make sure that each meter has counters for a session, and return the meters never spoken with by `client`.

        Whoever is returned needs `learn` first.
        """
        short = [meter for meter in meters if self._left(meter, client) < SESSION_NEED]
        if not short:
            return frozenset()
        with self._database.write() as connection:
            starts = keys_store.advance_counters(connection, meters=short, client=client, count=BLOCK)
        self._take(starts, client)
        return frozenset(short) - starts.keys()

    def learn(self, *, seen: Mapping[str, int], client: int) -> Mapping[str, CounterRefused]:
        """
        Take each meter's own word for the counter it has seen last, start above it, and return who is not believed.

        A counter never falls by it, and rises by no more than a limit: the word is not authenticated, and a forged
        one would lock us out of the meter.
        """
        refused: dict[str, CounterRefused] = {}
        floors: dict[str, int] = {}
        with self._database.write() as connection:
            known = keys_store.reserved_counters(connection, meters=sorted(seen), client=client)
            for meter, word in seen.items():
                limit = known[meter] + JUMP_LIMIT if meter in known else FIRST_LIMIT
                if 0 <= word < min(limit, LAST_COUNTER):
                    floors[meter] = word + 1
                    continue
                refused[meter] = CounterRefused(
                    f"meter {meter} says that its counter is {word}, which is not believable; "
                    "check the meter and its line before its counter is set by hand"
                )
            starts = keys_store.raise_counters(connection, floors=floors, client=client, count=BLOCK)
        self._take(starts, client)
        return refused

    def source(self, *, meter: str, client: int) -> Callable[[], int]:
        """Return what hands out the next counter of a meter; it raises `CounterRefused` when the block is used up."""

        def next_counter() -> int:
            block = self._blocks.get((meter, client))
            if block is None or block.left <= 0:
                raise CounterRefused(f"the session with meter {meter} has used up its counters; it is ended")
            number = block.following
            if number >= LAST_COUNTER:
                raise CounterRefused(f"the counter of meter {meter} is near its end; change the meter's keys")
            block.following = number + 1
            return number

        return next_counter

    def is_behind(self, *, meter: str, client: int, seen: int) -> bool:
        """Return whether the meter has `seen` a counter that our next one does not exceed."""
        block = self._blocks.get((meter, client))
        return block is None or seen >= block.following

    def _left(self, meter: str, client: int) -> int:
        block = self._blocks.get((meter, client))
        return 0 if block is None else block.left

    def _take(self, starts: Mapping[str, int], client: int) -> None:
        for meter, start in starts.items():
            self._blocks[meter, client] = _Block(following=start, end=start + BLOCK)
