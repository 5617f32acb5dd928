"""
What the meters keep when their process dies: one SQLite file in the simulator's own format.

Arrays are stored as little-endian octets of whole-town rows, one row a half-hour; everything that one step of the
clock or one operation of a relay changes is written in one transaction.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BUSY_TIMEOUT_S = 30.0

_TABLES = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS half_hour (
    start INTEGER PRIMARY KEY, wh BLOB NOT NULL, vah BLOB NOT NULL, volt BLOB NOT NULL, amp BLOB NOT NULL,
    present BLOB NOT NULL, stolen BLOB NOT NULL, line_loss BLOB NOT NULL, own_loss BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS midnight (at INTEGER PRIMARY KEY, wh BLOB NOT NULL, vah BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS billing (at INTEGER PRIMARY KEY, fields BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS event (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, device INTEGER NOT NULL, family INTEGER NOT NULL,
    code INTEGER NOT NULL, at INTEGER NOT NULL, volt INTEGER NOT NULL, amp INTEGER NOT NULL,
    power_factor INTEGER NOT NULL, wh INTEGER NOT NULL, tampers INTEGER NOT NULL, UNIQUE (device, code, at));
CREATE TABLE IF NOT EXISTS relay_act (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, device INTEGER NOT NULL, closes INTEGER NOT NULL,
    at INTEGER NOT NULL, client INTEGER NOT NULL, moved INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS push (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, device INTEGER NOT NULL, code INTEGER NOT NULL, at INTEGER NOT NULL,
    status_word BLOB NOT NULL, state TEXT NOT NULL, UNIQUE (device, code, at));
"""

PENDING, SENT, FAILED = "pending", "sent", "failed"
#: Rows of the billing fields in memory; the zones of Wh, then of VAh, follow.
(
    BILLING_WH,
    BILLING_VAH,
    BILLING_W,
    BILLING_W_AT,
    BILLING_VA,
    BILLING_VA_AT,
    BILLING_MINUTES,
    BILLING_ZONES,
) = range(8)


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfHours:
    """
    Half-hours that are over; rows are half-hours.

    `energy_wh`, `apparent_vah` and `present` by meter, `volt` and `amp` in hundredths by channel (a meter has one per
    phase), `stolen_wh` by consumer, the losses [Wh] by transformer.
    """

    starts: NDArray[np.int64]
    energy_wh: NDArray[np.int32]
    apparent_vah: NDArray[np.int32]
    volt: NDArray[np.int32]
    amp: NDArray[np.int32]
    present: NDArray[np.bool_]
    stolen_wh: NDArray[np.int32]
    line_loss_wh: NDArray[np.int32]
    own_loss_wh: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """A row of an event log; volt, amp and power factor in hundredths at the moment, the register in Wh."""

    device: int
    family: int
    code: int
    at: int
    volt: int
    amp: int
    power_factor: int
    energy_wh: int
    tampers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPush:
    """An alert that waits to be taken by the listener."""

    sequence: int
    device: int
    code: int
    at: int
    status_word: bytes


class Memory:
    """The memory of all meters of a town."""

    def __init__(self, path: Path | None) -> None:
        """Open the file at `path`, or a memory that is forgotten at the end where `path` is None."""
        place = ":memory:" if path is None else str(path)
        self._connection = sqlite3.connect(
            place, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def begin(self) -> None:
        """Begin a transaction."""
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Put on disk what was written since `begin`."""
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        """Forget what was written since `begin`."""
        self._connection.execute("ROLLBACK")

    def save_state(self, arrays: Mapping[str, bytes]) -> None:
        """Write parts of the state by name."""
        self._connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", arrays.items())

    def state(self) -> dict[str, bytes]:
        """Return every part of the state."""
        return dict(self._connection.execute("SELECT name, value FROM state"))

    def add_half_hours(self, block: HalfHours) -> None:
        """Write half-hours that are over."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO half_hour VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    int(start),
                    block.energy_wh[row].tobytes(),
                    block.apparent_vah[row].tobytes(),
                    block.volt[row].tobytes(),
                    block.amp[row].tobytes(),
                    block.present[row].tobytes(),
                    block.stolen_wh[row].tobytes(),
                    block.line_loss_wh[row].tobytes(),
                    block.own_loss_wh[row].tobytes(),
                )
                for row, start in enumerate(block.starts)
            ],
        )

    def half_hours(self, *, first: int, end: int) -> HalfHours:
        """Return the half-hours that start from `first` to before `end` (epoch seconds), in order."""
        rows = self._connection.execute(
            "SELECT * FROM half_hour WHERE start >= ? AND start < ? ORDER BY start", (first, end)
        ).fetchall()
        columns = list(zip(*rows, strict=True)) if rows else [()] * 9
        return HalfHours(
            starts=np.array(columns[0], dtype=np.int64),
            energy_wh=_matrix(columns[1]),
            apparent_vah=_matrix(columns[2]),
            volt=_matrix(columns[3]),
            amp=_matrix(columns[4]),
            present=_bits(columns[5]),
            stolen_wh=_matrix(columns[6]),
            line_loss_wh=_matrix(columns[7]),
            own_loss_wh=_matrix(columns[8]),
        )

    def half_hour_count(self, *, first: int, end: int) -> int:
        """Return how many half-hours that start from `first` to before `end` are kept."""
        query = "SELECT COUNT(*) FROM half_hour WHERE start >= ? AND start < ?"
        return int(self._connection.execute(query, (first, end)).fetchone()[0])

    def add_midnight(self, *, at: int, energy_wh: NDArray[np.int64], apparent_vah: NDArray[np.int64]) -> None:
        """Write the registers of all meters at the start of a day."""
        self._connection.execute(
            "INSERT OR REPLACE INTO midnight VALUES (?, ?, ?)",
            (at, energy_wh.tobytes(), apparent_vah.tobytes()),
        )

    def midnights(self) -> list[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Return the registers [Wh, VAh] at the start of every day, in order."""
        return [
            (at, np.frombuffer(wh, dtype="<i8"), np.frombuffer(vah, dtype="<i8"))
            for at, wh, vah in self._connection.execute("SELECT at, wh, vah FROM midnight ORDER BY at")
        ]

    def add_billing(self, *, at: int, fields: NDArray[np.int64]) -> None:
        """Write the billing fields (rows) of all meters (columns) at the start of a month."""
        self._connection.execute("INSERT OR REPLACE INTO billing VALUES (?, ?)", (at, fields.tobytes()))

    def billings(self, *, devices: int) -> list[tuple[int, NDArray[np.int64]]]:
        """Return the billing fields of every month, in order."""
        return [
            (at, np.frombuffer(fields, dtype="<i8").reshape(-1, devices))
            for at, fields in self._connection.execute("SELECT at, fields FROM billing ORDER BY at")
        ]

    def add_event(self, event: LoggedEvent) -> bool:
        """Write an event; return False if the same was there."""
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO event (device, family, code, at, volt, amp, power_factor, wh, tampers) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event.device,
                event.family,
                event.code,
                event.at,
                event.volt,
                event.amp,
                event.power_factor,
                event.energy_wh,
                event.tampers,
            ),
        )
        return cursor.rowcount > 0

    def events(self, *, device: int, family: int, newest: int) -> list[LoggedEvent]:
        """Return the newest events of a log, oldest first."""
        rows = self._connection.execute(
            "SELECT device, family, code, at, volt, amp, power_factor, wh, tampers FROM event "
            "WHERE device = ? AND family = ? ORDER BY sequence DESC LIMIT ?",
            (device, family, newest),
        ).fetchall()
        return [
            LoggedEvent(
                device=row[0],
                family=row[1],
                code=row[2],
                at=row[3],
                volt=row[4],
                amp=row[5],
                power_factor=row[6],
                energy_wh=row[7],
                tampers=row[8],
            )
            for row in reversed(rows)
        ]

    def add_relay_act(self, *, device: int, closes: bool, at: int, client: int, moved: bool) -> None:
        """Write an operation of a relay."""
        self._connection.execute(
            "INSERT INTO relay_act (device, closes, at, client, moved) VALUES (?, ?, ?, ?, ?)",
            (device, closes, at, client, moved),
        )

    def relay_acts(self) -> list[tuple[int, bool, int, int, bool]]:
        """Return every operation of a relay: meter, whether to close, when, by which client, whether it moved."""
        rows = self._connection.execute(
            "SELECT device, closes, at, client, moved FROM relay_act ORDER BY sequence"
        )
        return [(device, bool(closes), at, client, bool(moved)) for device, closes, at, client, moved in rows]

    def add_push(self, *, device: int, code: int, at: int, status_word: bytes) -> None:
        """Write an alert that shall be sent."""
        self._connection.execute(
            "INSERT OR IGNORE INTO push (device, code, at, status_word, state) VALUES (?, ?, ?, ?, ?)",
            (device, code, at, status_word, PENDING),
        )

    def pending_pushes(self) -> list[PendingPush]:
        """Return the alerts that wait, oldest first."""
        rows = self._connection.execute(
            "SELECT sequence, device, code, at, status_word FROM push WHERE state = ? ORDER BY sequence",
            (PENDING,),
        )
        return [
            PendingPush(sequence=sequence, device=device, code=code, at=at, status_word=status_word)
            for sequence, device, code, at, status_word in rows
        ]

    def settle_push(self, *, sequence: int, state: str) -> None:
        """Write what became of an alert."""
        self._connection.execute("UPDATE push SET state = ? WHERE sequence = ?", (state, sequence))

    def push_counts(self) -> dict[str, int]:
        """Return the number of alerts by what became of them."""
        return dict(self._connection.execute("SELECT state, COUNT(*) FROM push GROUP BY state"))


def _matrix(rows: Sequence[bytes]) -> NDArray[np.int32]:
    return np.frombuffer(b"".join(rows), dtype="<i4").reshape(len(rows), -1 if rows else 0)


def _bits(rows: Iterable[bytes]) -> NDArray[np.bool_]:
    listed = list(rows)
    return np.frombuffer(b"".join(listed), dtype=np.bool_).reshape(len(listed), -1 if listed else 0)
