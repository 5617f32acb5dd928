"""The rows of a meter's profiles, by columns: what the running town knows, in the words of IS 15959."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bijlighar.dlms import clock
from bijlighar.simulator import faults
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.memory import (
    BILLING_MINUTES,
    BILLING_VA,
    BILLING_VA_AT,
    BILLING_VAH,
    BILLING_W,
    BILLING_W_AT,
    BILLING_WH,
    BILLING_ZONES,
    HalfHours,
)
from bijlighar.simulator.model import INTERVAL_S, INTERVALS_PER_DAY, TIME_ZONES, Device
from bijlighar.simulator.state import NEVER_S
from bijlighar.simulator.wiring import DAY_S, day_of

Whole = NDArray[np.int64]
#: Cells as they are kept: 32 or 64 bits wide.
Cells = NDArray[np.int64] | NDArray[np.int32]

BLOCK_DAYS = 45
BLOCK_ENTRIES = BLOCK_DAYS * INTERVALS_PER_DAY
DAILY_ENTRIES = 62
#: Rows of the billing fields; where not all meters' bills closed, one more tells whose did.
BILLING_ROWS = BILLING_ZONES + 2 * TIME_ZONES
BILLING_ENTRIES = 13
EVENT_ENTRIES = 100
FREQUENCY_TENTHS_HZ = 500
_CLOCKS_KEPT = 64
_LETTERS = ("r", "y", "b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows by columns: `stamps` in epoch seconds, `columns` by name; a name that is absent stands for zeros."""

    stamps: Whole
    columns: Mapping[str, Cells]

    def between(self, first: int, last: int) -> "Table":
        """Return the rows stamped from `first` to `last`, both included."""
        chosen = (self.stamps >= first) & (self.stamps <= last)
        return Table(
            stamps=self.stamps[chosen],
            columns={name: values[chosen] for name, values in self.columns.items()},
        )


class Rows:
    """Reads the rows of meters out of the running town."""

    def __init__(self, live: LiveTown) -> None:
        """Read from `live`."""
        self._live = live
        self._clocks: OrderedDict[tuple[bytes, int], NDArray[np.uint8]] = OrderedDict()

    def block_load(self, device: Device, first: int, last: int) -> Table:
        """Return the block-load rows stamped (at the end of the half-hour) from `first` to `last`."""
        live = self._live
        oldest = max(
            live.now_s - BLOCK_DAYS * DAY_S, int(live.state.captured_since[device.index]) - INTERVAL_S + 1
        )
        first_start = max(first - INTERVAL_S, oldest)
        last_start = min(last, live.now_s, live.clock_s(device.index)) - INTERVAL_S
        pieces = [
            self._block_piece(device, live.block_day(day), first_start, last_start)
            for day in range(day_of(first_start), day_of(last_start) + 1)
        ]
        if not pieces:
            return Table(stamps=np.zeros(0, dtype=np.int64), columns={})
        whole = pieces[0] if len(pieces) == 1 else _joined(pieces)
        if live.settings.period_s(device.index) != INTERVAL_S:
            whole = _in_quarters(whole).between(first, last)
            whole = whole.between(int(live.state.captured_since[device.index]) + 1, last)
        if not (
            live.has_fault(device.index, "repeated_rows") or live.has_fault(device.index, "duplicated_rows")
        ):
            return whole
        given, shown = faults.rows_given(live.state, device.index, len(whole.stamps))
        return Table(
            stamps=whole.stamps[given],
            columns={name: values[shown] for name, values in whole.columns.items()},
        )

    def _block_piece(self, device: Device, block: HalfHours, first_start: int, last_start: int) -> Table:
        index = device.index
        chosen = (block.starts >= first_start) & (block.starts <= last_start)
        if len(block.starts):
            chosen &= block.present[:, index]
        whole: slice | NDArray[np.bool_] = slice(None) if chosen.all() else chosen
        at = int(self._live.wiring.channel_of[index])
        columns: dict[str, Cells] = {}
        if len(block.starts):
            columns["wh_import"] = block.energy_wh[whole, index]
            columns["vah_import"] = block.apparent_vah[whole, index]
            for channel, suffix in self._suffixes(device):
                columns[f"volt{suffix}"] = block.volt[whole, at + channel]
                columns[f"amp{suffix}"] = block.amp[whole, at + channel]
        else:
            columns = {name: np.zeros(0, dtype=np.int64) for name in self.block_names(device)}
        return Table(stamps=block.starts[whole] + INTERVAL_S, columns=columns)

    def block_names(self, device: Device) -> tuple[str, ...]:
        """Return the names of the measured block-load columns of a meter."""
        suffixes = [suffix for _, suffix in self._suffixes(device)]
        return (
            "wh_import",
            "vah_import",
            *(f"{what}{suffix}" for suffix in suffixes for what in ("volt", "amp")),
        )

    def block_count(self, device: Device) -> int:
        """Return how many block-load rows a meter holds."""
        state = self._live.state
        since = max(int(state.hung_from[device.index]) // INTERVAL_S * INTERVAL_S, 0)
        kept = int(state.captured_since[device.index])
        first = max(since, kept, self._live.now_s - BLOCK_DAYS * DAY_S)
        count = self._live.memory.half_hour_count(first=first, end=self._live.now_s)
        return min(BLOCK_ENTRIES, count * INTERVAL_S // self._live.settings.period_s(device.index))

    def daily(self, device: Device) -> Table:
        """Return the daily rows, stamped at the end of the day."""
        kept = self._closings(
            [(at, (wh, vah)) for at, wh, vah in self._live.midnights], device, DAILY_ENTRIES
        )
        index = device.index
        stamps = np.array([at for at, _ in kept], dtype=np.int64)
        energy = np.array([registers[0][index] for _, registers in kept], dtype=np.int64)
        apparent = np.array([registers[1][index] for _, registers in kept], dtype=np.int64)
        return Table(stamps=stamps, columns=self._registers(index, stamps, energy, apparent))

    def billing(self, device: Device) -> Table:
        """Return the billing rows, stamped at the end of the month."""
        kept = self._closings(
            [(at, (fields,)) for at, fields in self._closed(device.index)], device, BILLING_ENTRIES
        )
        stamps = np.array([at for at, _ in kept], dtype=np.int64)
        if not kept:
            return Table(stamps=stamps, columns={})
        fields = np.stack([row[0][:BILLING_ROWS, device.index] for _, row in kept], axis=1)
        columns = {
            **self._registers(device.index, stamps, fields[BILLING_WH], fields[BILLING_VAH]),
            "md_w": fields[BILLING_W],
            "md_w_time": fields[BILLING_W_AT],
            "md_va": fields[BILLING_VA],
            "md_va_time": fields[BILLING_VA_AT],
            "power_on_min": fields[BILLING_MINUTES],
            "power_factor": _power_factor(fields[BILLING_WH], fields[BILLING_VAH]),
        }
        for zone in range(TIME_ZONES):
            columns[f"wh_import_tz{zone + 1}"] = fields[BILLING_ZONES + zone]
            columns[f"vah_import_tz{zone + 1}"] = fields[BILLING_ZONES + TIME_ZONES + zone]
        return Table(stamps=stamps, columns=columns)

    def _closed(self, index: int) -> list[tuple[int, Whole]]:
        """Return the billing fields of the moments at which a meter's own bills closed."""
        return [
            (at, fields)
            for at, fields in self._live.billings
            if len(fields) == BILLING_ROWS or fields[-1, index]
        ]

    def load_limit_w(self, device: Device) -> int:
        """Return the load limit that a meter shows [W]: as it was set, else the sanctioned load, which acts not."""
        limit = self._live.settings.limited().get(device.index)
        if limit is not None:
            return limit.watts
        return 0 if device.consumer is None else self._live.town.consumers[device.consumer].sanctioned_w

    def _registers(self, index: int, at: Whole, energy: Whole, apparent: Whole) -> dict[str, Whole]:
        """Return the two total registers as the meter shows them."""
        state = self._live.state
        return {
            "wh_import": faults.shown_register(state, index, at, energy, is_energy=True),
            "vah_import": faults.shown_register(state, index, at, apparent, is_energy=False),
        }

    def _closings(
        self, kept: list[tuple[int, tuple[Whole, ...]]], device: Device, newest: int
    ) -> list[tuple[int, tuple[Whole, ...]]]:
        state = self._live.state
        hung, gone = int(state.hung_from[device.index]), int(state.hung_to[device.index])
        return [row for row in kept if hung <= row[0] <= min(gone, NEVER_S)][-newest:]

    def events(self, device: Device, family: int) -> Table:
        """Return the rows of an event log, oldest first."""
        logged = self._live.memory.events(device=device.index, family=family, newest=EVENT_ENTRIES)
        columns = {
            "event_code": [event.code for event in logged],
            "volt": [event.volt for event in logged],
            "amp": [event.amp for event in logged],
            "power_factor": [event.power_factor for event in logged],
            "wh_import": [event.energy_wh for event in logged],
            "tamper_count": [event.tampers for event in logged],
        }
        for letter in _LETTERS:
            for name in ("volt", "amp", "power_factor"):
                columns[f"{name}_{letter}"] = columns[name]
        return Table(
            stamps=np.array([event.at for event in logged], dtype=np.int64),
            columns={name: np.array(values, dtype=np.int64) for name, values in columns.items()},
        )

    def present(self, device: Device) -> Table:
        """Return what a meter shows now, one row."""
        live, index = self._live, device.index
        state, measured = live.state, live.present()
        now, (energy, apparent) = np.array([live.now_s]), live.register_now(index)
        shown = self._registers(index, now, np.array([energy]), np.array([apparent]))
        energy, apparent = int(shown["wh_import"][0]), int(shown["vah_import"][0])
        at = int(live.wiring.channel_of[index])
        power_factor = int(live.wiring.power_factor[index] * 100 + 0.5)
        power = int(measured.energy_wh[0, index]) * 2
        past_minutes = sum(int(fields[BILLING_MINUTES, index]) for _, fields in self._closed(index))
        values: dict[str, int] = {
            "w": power,
            "va": int(measured.apparent_vah[0, index]) * 2,
            "power_factor": power_factor,
            "frequency": FREQUENCY_TENTHS_HZ,
            "wh_import": energy,
            "vah_import": apparent,
            "md_w": int(state.demand_w[index]),
            "md_w_time": int(state.demand_w_at[index]),
            "md_va": int(state.demand_va[index]),
            "md_va_time": int(state.demand_va_at[index]),
            "power_on_min": int(state.on_minutes[index]) + past_minutes,
            "tamper_count": int(state.tampers[index]),
            "billing_count": int(state.billings[index]),
            "relay_connected": int(live.shows_closed(index)),
            "load_limit_w": self.load_limit_w(device),
        }
        for channel, suffix in self._suffixes(device):
            values[f"volt{suffix}"] = _hundredths(measured.volt[0, at + channel])
            values[f"amp{suffix}"] = _hundredths(measured.amp[0, at + channel])
            values[f"power_factor{suffix}"] = power_factor
        values["amp_neutral"] = values.get("amp", 0)
        for zone in range(TIME_ZONES):
            values[f"wh_import_tz{zone + 1}"] = int(state.zone_wh[zone, index])
            values[f"vah_import_tz{zone + 1}"] = int(state.zone_vah[zone, index])
        return Table(
            stamps=np.array([live.clock_s(index)], dtype=np.int64),
            columns={name: np.array([value], dtype=np.int64) for name, value in values.items()},
        )

    def clocks(self, stamps: Whole, deviation: int) -> NDArray[np.uint8]:
        """Return stamps as COSEM times; those of a day's rows are kept ready."""
        if not len(stamps):
            return np.zeros((0, clock.OCTETS), dtype=np.uint8)
        key = (stamps.tobytes(), deviation)
        if key not in self._clocks:
            defined = np.where(stamps <= 0, clock.ABSENT, stamps)
            self._clocks[key] = clock.encode_epochs(defined, deviation=clock.Deviation(deviation))
            while len(self._clocks) > _CLOCKS_KEPT:
                self._clocks.popitem(last=False)
        return self._clocks[key]

    @staticmethod
    def _suffixes(device: Device) -> tuple[tuple[int, str], ...]:
        if device.kind.phases == 1:
            return ((0, ""),)
        return tuple((channel, f"_{letter}") for channel, letter in enumerate(_LETTERS))


def _in_quarters(table: Table) -> Table:
    """Return half-hours as quarters: their energy is parted, the voltage and current are those of the half-hour."""
    columns: dict[str, Cells] = {}
    for name, values in table.columns.items():
        doubled: Whole = np.repeat(np.asarray(values, dtype=np.int64), 2)
        if name in ("wh_import", "vah_import"):
            doubled[0::2], doubled[1::2] = values // 2, values - values // 2
        columns[name] = doubled
    stamps = np.repeat(table.stamps, 2)
    stamps[0::2] -= INTERVAL_S // 2
    return Table(stamps=stamps, columns=columns)


def _joined(pieces: list[Table]) -> Table:
    return Table(
        stamps=np.concatenate([piece.stamps for piece in pieces]),
        columns={
            name: np.concatenate([piece.columns[name] for piece in pieces]) for name in pieces[0].columns
        },
    )


def _hundredths(value: float) -> int:
    return int(value * 100 + 0.5)


def _power_factor(energy_wh: Whole, apparent_vah: Whole) -> Whole:
    return np.where(
        apparent_vah > 0, (energy_wh * 100 + apparent_vah // 2) // np.maximum(apparent_vah, 1), 100
    )
