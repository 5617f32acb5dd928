"""What a judgement asks of the past: measured meter-days and registers, from wherever they are held."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from sqlalchemy import Connection

from bijlighar.base.period import Period, date_of
from bijlighar.readings import queries as readings
from bijlighar.readings.model import CHANNELS, DayBlock
from bijlighar.validation import edit_store
from bijlighar.validation.model import EditState, ReadingEdit


class Past(Protocol):
    """Measured values and registers, by meter and IST day number; each answer is as of one moment."""

    def days(
        self, *, meters: Sequence[str], first: int, last: int, channels: Sequence[str] = CHANNELS
    ) -> tuple[DayBlock, ...]:
        """Return the meter-days `first` to `last` as measured, or edited, a block for each interval length."""

    def rows(self, *, keys: Sequence[tuple[str, int]], minutes: int) -> DayBlock:
        """Return the (meter, day) keys as measured, or edited, in their order; version 0 where nothing is stored."""

    def measured(self, *, keys: Sequence[tuple[str, int]], minutes: int) -> DayBlock:
        """Return the same as the meters themselves said them."""

    def edits(self, *, meters: Sequence[str], first: int, last: int) -> Sequence[ReadingEdit]:
        """Return the confirmed edits of these days, in the order of their confirmation."""

    def registers(
        self, *, meters: Sequence[str], first: int, last: int
    ) -> Mapping[int, Mapping[str, tuple[int, int]]]:
        """Return import and export registers [Wh] at the midnights that begin the days, `ABSENT` if not known."""

    def spans(self, *, meters: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        """Return the start of each meter's first and the end of its last measured interval [s since the epoch]."""


class StoredPast:
    """The past as the database holds it."""

    def __init__(self, connection: Connection) -> None:
        """Read by `connection`."""
        self._connection = connection

    def days(
        self, *, meters: Sequence[str], first: int, last: int, channels: Sequence[str] = CHANNELS
    ) -> tuple[DayBlock, ...]:
        """See `Past.days`."""
        return readings.raw_days(
            self._connection, meters=meters, first=first, last=last, channels=channels, with_edits=True
        )

    def rows(self, *, keys: Sequence[tuple[str, int]], minutes: int) -> DayBlock:
        """See `Past.rows`."""
        return readings.raw_rows(self._connection, keys=keys, minutes=minutes, with_edits=True)

    def measured(self, *, keys: Sequence[tuple[str, int]], minutes: int) -> DayBlock:
        """See `Past.measured`."""
        return readings.raw_rows(self._connection, keys=keys, minutes=minutes)

    def edits(self, *, meters: Sequence[str], first: int, last: int) -> Sequence[ReadingEdit]:
        """See `Past.edits`."""
        period = Period.of_local_days(date_of(first), date_of(last))
        return edit_store.select_overlapping(
            self._connection, state=EditState.CONFIRMED, period=period, meters=meters
        )

    def registers(
        self, *, meters: Sequence[str], first: int, last: int
    ) -> Mapping[int, Mapping[str, tuple[int, int]]]:
        """See `Past.registers`."""
        return readings.midnight_registers(self._connection, meters=meters, first=first, last=last)

    def spans(self, *, meters: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        """See `Past.spans`."""
        return readings.measured_spans(self._connection, meters=meters)


class PackedPast:
    """
    The past as packed rows in memory, of one interval length, and registers: what the rules cost without a database.

    Its meters hang since a day that is known, and nothing of it is edited.
    """

    def __init__(
        self, packed: readings.PackedDays, registers: Mapping[int, Mapping[str, tuple[int, int]]]
    ) -> None:
        """Hold packed rows and the registers at the midnights that begin some days."""
        self._packed = packed
        self._registers = registers

    def days(
        self, *, meters: Sequence[str], first: int, last: int, channels: Sequence[str] = CHANNELS
    ) -> tuple[DayBlock, ...]:
        """See `Past.days`."""
        wanted = tuple({"wh_import", *channels})
        found = self._packed.days(meters=meters, first=first, last=last, channels=wanted)
        return (readings.edited_block(found),)

    def rows(self, *, keys: Sequence[tuple[str, int]], minutes: int) -> DayBlock:
        """See `Past.rows`."""
        return readings.edited_block(self._held(minutes).rows(keys))

    def measured(self, *, keys: Sequence[tuple[str, int]], minutes: int) -> DayBlock:
        """See `Past.measured`."""
        return readings.raw_block(self._held(minutes).rows(keys))

    def edits(self, *, meters: Sequence[str], first: int, last: int) -> Sequence[ReadingEdit]:  # noqa: ARG002
        """See `Past.edits`: nothing is edited."""
        return ()

    def registers(
        self, *, meters: Sequence[str], first: int, last: int
    ) -> Mapping[int, Mapping[str, tuple[int, int]]]:
        """See `Past.registers`."""
        held = {day: self._registers.get(day, {}) for day in range(first, last + 1)}
        return {day: {meter: own[meter] for meter in meters if meter in own} for day, own in held.items()}

    def spans(self, *, meters: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        """
        See `Past.spans`.

        :raises NotImplementedError: if a meter is asked for, for it hangs since ever.
        """
        raise NotImplementedError(f"{len(meters)} meters hang since ever")

    def _held(self, minutes: int) -> readings.PackedDays:
        return self._packed if minutes == self._packed.minutes else readings.PackedDays((), minutes)
