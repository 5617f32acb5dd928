"""What a judgement asks of the past: measured meter-days and registers, from wherever they are held."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from sqlalchemy import Connection

from bijlighar.base.period import Period, date_of
from bijlighar.readings import queries as readings
from bijlighar.readings.model import ABSENT, CHANNELS, ENERGY_CHANNELS, DayBlock, Midnights
from bijlighar.validation import edit_store
from bijlighar.validation.model import EditState, ReadingEdit


class Past(Protocol):
    """Measured values and registers, by meter and IST day number; each answer is as of one moment."""

    def days(
        self, *, meters: Sequence[str], first: int, last: int, channels: Sequence[str] = CHANNELS
    ) -> tuple[DayBlock, ...]:
        """Return the meter-days `first` to `last` as measured, or edited, a block for each interval length."""

    def rows(
        self, *, keys: Sequence[tuple[str, int]], minutes: int, channels: Sequence[str] = CHANNELS
    ) -> DayBlock:
        """Return the (meter, day) keys as measured, or edited, in their order; version 0 where nothing is stored."""

    def measured(self, *, keys: Sequence[tuple[str, int]], minutes: int) -> DayBlock:
        """Return the same as the meters themselves said them."""

    def edits(self, *, meters: Sequence[str], first: int, last: int) -> Sequence[ReadingEdit]:
        """Return the confirmed edits of these days, in the order of their confirmation."""

    def registers(self, *, meters: Sequence[str], first: int, last: int) -> Midnights:
        """Return the registers at the midnights that begin the days, in the order of the meters."""

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

    def rows(
        self, *, keys: Sequence[tuple[str, int]], minutes: int, channels: Sequence[str] = CHANNELS
    ) -> DayBlock:
        """See `Past.rows`."""
        return readings.raw_rows(
            self._connection, keys=keys, minutes=minutes, with_edits=True, channels=channels
        )

    def measured(self, *, keys: Sequence[tuple[str, int]], minutes: int) -> DayBlock:
        """See `Past.measured`."""
        return readings.raw_rows(self._connection, keys=keys, minutes=minutes)

    def edits(self, *, meters: Sequence[str], first: int, last: int) -> Sequence[ReadingEdit]:
        """See `Past.edits`."""
        period = Period.of_local_days(date_of(first), date_of(last))
        return edit_store.select_overlapping(
            self._connection, state=EditState.CONFIRMED, period=period, meters=meters
        )

    def registers(self, *, meters: Sequence[str], first: int, last: int) -> Midnights:
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

    def __init__(self, packed: readings.PackedDays, registers: Midnights) -> None:
        """Hold packed rows and the registers at the midnights that begin some days."""
        self._packed = packed
        self._registers = registers
        self._place = {meter: row for row, meter in enumerate(registers.meters)}

    def days(
        self, *, meters: Sequence[str], first: int, last: int, channels: Sequence[str] = CHANNELS
    ) -> tuple[DayBlock, ...]:
        """See `Past.days`."""
        wanted = tuple({"wh_import", *channels})
        found = self._packed.days(meters=meters, first=first, last=last, channels=wanted)
        return (readings.edited_block(found),)

    def rows(
        self, *, keys: Sequence[tuple[str, int]], minutes: int, channels: Sequence[str] = CHANNELS
    ) -> DayBlock:
        """See `Past.rows`."""
        wanted = tuple({"wh_import", *channels})
        return readings.edited_block(self._held(minutes).rows(keys, channels=wanted))

    def measured(self, *, keys: Sequence[tuple[str, int]], minutes: int) -> DayBlock:
        """See `Past.measured`."""
        return readings.raw_block(self._held(minutes).rows(keys, channels=CHANNELS))

    def edits(self, *, meters: Sequence[str], first: int, last: int) -> Sequence[ReadingEdit]:  # noqa: ARG002
        """See `Past.edits`: nothing is edited."""
        return ()

    def registers(self, *, meters: Sequence[str], first: int, last: int) -> Midnights:
        """See `Past.registers`."""
        rows = np.array([self._place.get(meter, -1) for meter in meters], dtype=np.int64)
        found = {}
        low, high = max(first - self._registers.first_day, 0), last + 1 - self._registers.first_day
        begin = low + self._registers.first_day - first
        for channel in ENERGY_CHANNELS:
            held = self._registers.channel(channel)[:, low:high]
            values = np.full((len(meters), last + 1 - first), ABSENT, dtype=np.int64)
            known = rows >= 0
            values[known, begin : begin + held.shape[1]] = held[rows[known]]
            found[channel] = values
        return Midnights(meters=tuple(meters), first_day=first, **found)

    def spans(self, *, meters: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        """
        See `Past.spans`.

        :raises NotImplementedError: if a meter is asked for, for it hangs since ever.
        """
        raise NotImplementedError(f"{len(meters)} meters hang since ever")

    def _held(self, minutes: int) -> readings.PackedDays:
        return self._packed if minutes == self._packed.minutes else readings.PackedDays((), minutes)
