"""What the fake providers remember in a small database of their own, across `kill -9`."""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bijlighar.simulator.providers_fate import RefusedByProvider

FILE = "providers.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS clock (one INTEGER PRIMARY KEY CHECK (one = 1), now_s INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, provider_id TEXT NOT NULL, phone TEXT NOT NULL, template TEXT NOT NULL,
    language TEXT NOT NULL, reference TEXT, words TEXT NOT NULL, at_s INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS payment (
    payment_id TEXT PRIMARY KEY, reference TEXT NOT NULL UNIQUE, account TEXT, amount_paise INTEGER NOT NULL,
    method TEXT NOT NULL, status TEXT NOT NULL, at_s INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS link (
    link_id TEXT PRIMARY KEY, reference TEXT NOT NULL UNIQUE, account TEXT, amount_paise INTEGER NOT NULL,
    description TEXT NOT NULL, return_url TEXT NOT NULL, payment_id TEXT UNIQUE, at_s INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS callback (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, event_id TEXT NOT NULL, body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPayment:
    """A payment at the fake gateway; one that was made on a page of the gateway belongs to that page's order."""

    payment_id: str
    account: str | None
    amount_paise: int
    method: str
    status: str
    at_s: int
    order_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLink:
    """A page of the fake gateway where one sum can be paid; its order has the same id behind another prefix."""

    link_id: str
    reference: str
    account: str | None
    amount_paise: int
    description: str
    return_url: str
    payment_id: str | None
    at_s: int

    @property
    def order_id(self) -> str:
        """Return the id of the page's order."""
        return order_of(self.link_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCallback:
    """A callback not yet delivered; `body` is one receipt, or the whole body about a payment."""

    id: int
    path: str
    event_id: str
    body: str
    delay_ms: int = 0


def order_of(link_id: str) -> str:
    """Return the id of a page's order."""
    return f"order_{link_id.removeprefix('plink_')}"


class ProviderMemory:
    """The memory in a folder; every change is on disk before it is answered for."""

    def __init__(self, folder: Path, *, start_s: int) -> None:
        """Open the memory of `folder`, made if need be, with its clock at `start_s` if it is new."""
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / FILE, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)
        self._database.execute("INSERT OR IGNORE INTO clock VALUES (1, ?)", (start_s,))

    def close(self) -> None:
        """Close the memory."""
        self._database.close()

    def begin(self) -> None:
        """Begin a change that is kept whole or not at all."""
        self._database.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Keep the change."""
        self._database.execute("COMMIT")

    def roll_back(self) -> None:
        """Forget the change, if one was begun."""
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    @property
    def now_s(self) -> int:
        """Return the providers' time [s since the epoch]."""
        return int(self._database.execute("SELECT now_s FROM clock").fetchone()[0])

    def set_now_s(self, now_s: int) -> None:
        """Set the providers' time [s since the epoch]."""
        self._database.execute("UPDATE clock SET now_s = ?", (now_s,))

    def count(self, name: str) -> None:
        """Count one more of something."""
        self._database.execute(
            "INSERT INTO counter VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1", (name,)
        )

    def counters(self) -> dict[str, int]:
        """Return what was counted."""
        return dict(self._database.execute("SELECT name, value FROM counter ORDER BY name"))

    def next_message(self) -> int:
        """Return the number of the next message."""
        return int(self._database.execute("SELECT coalesce(max(id), 0) + 1 FROM message").fetchone()[0])

    def add_message(self, values: tuple[int, str, str, str, str, str | None, str, int]) -> None:
        """Add a message."""
        self._database.execute("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def messages(self) -> list[dict[str, Any]]:
        """Return every message taken, in order."""
        rows = self._database.execute(
            "SELECT provider_id, phone, template, language, reference, words, at_s FROM message ORDER BY id"
        )
        names = ("provider_id", "phone", "template", "language", "reference", "words", "at_s")
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return [{**message, "words": json.loads(message["words"])} for message in found]

    def add_payment(self, payment: StoredPayment, *, reference: str) -> bool:
        """Add a payment; False if its reference is known."""
        added = self._database.execute(
            "INSERT OR IGNORE INTO payment VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                payment.payment_id,
                reference,
                payment.account,
                payment.amount_paise,
                payment.method,
                payment.status,
                payment.at_s,
            ),
        )
        return added.rowcount == 1

    def payment(self, payment_id: str) -> StoredPayment:
        """
        Return a payment.

        :raises RefusedByProvider: if there is none.
        """
        for payment in self.payments(payment_id=payment_id):
            return payment
        raise RefusedByProvider("The id provided does not exist", status=400)

    def payments(self, *, payment_id: str | None = None) -> list[StoredPayment]:
        """Return the payments, or the one with an id."""
        rows = self._database.execute(
            "SELECT p.payment_id, p.account, p.amount_paise, p.method, p.status, p.at_s, link.link_id "
            "FROM payment p LEFT JOIN link ON link.payment_id = p.payment_id "
            "WHERE ? IS NULL OR p.payment_id = ? ORDER BY p.rowid",
            (payment_id, payment_id),
        )
        names = ("payment_id", "account", "amount_paise", "method", "status", "at_s")
        return [
            StoredPayment(
                **dict(zip(names, row[:-1], strict=True)),
                order_id=None if row[-1] is None else order_of(row[-1]),
            )
            for row in rows
        ]

    def add_link(self, link: StoredLink) -> bool:
        """Add a page; False if its reference is known."""
        added = self._database.execute(
            "INSERT OR IGNORE INTO link VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                link.link_id,
                link.reference,
                link.account,
                link.amount_paise,
                link.description,
                link.return_url,
                link.payment_id,
                link.at_s,
            ),
        )
        return added.rowcount == 1

    def links(self, *, reference: str) -> list[StoredLink]:
        """Return the page with a reference: one or none."""
        return self._links("reference = ?", reference)

    def link(self, link_id: str) -> StoredLink:
        """
        Return a page.

        :raises RefusedByProvider: if there is none.
        """
        for link in self._links("link_id = ?", link_id):
            return link
        raise RefusedByProvider("The id provided does not exist", status=400)

    def pay_link(self, link_id: str, *, payment_id: str) -> None:
        """Note that a page was paid."""
        self._database.execute(
            "UPDATE link SET payment_id = ? WHERE link_id = ? AND payment_id IS NULL", (payment_id, link_id)
        )

    def _links(self, condition: str, value: str) -> list[StoredLink]:
        columns = tuple(StoredLink.__dataclass_fields__)
        rows = self._database.execute(
            f"SELECT {', '.join(columns)} FROM link WHERE {condition}",  # noqa: S608 - both are written here
            (value,),
        )
        return [StoredLink(**dict(zip(columns, row, strict=True))) for row in rows]

    def set_status(self, payment_id: str, status: str) -> None:
        """Set the status of a payment."""
        self._database.execute("UPDATE payment SET status = ? WHERE payment_id = ?", (status, payment_id))

    def add_callback(self, *, path: str, event_id: str, body: str, delay_ms: int) -> StoredCallback:
        """Add a callback to be delivered."""
        added = self._database.execute(
            "INSERT INTO callback (path, event_id, body) VALUES (?, ?, ?)", (path, event_id, body)
        )
        return StoredCallback(
            id=int(added.lastrowid or 0), path=path, event_id=event_id, body=body, delay_ms=delay_ms
        )

    def callbacks(self) -> list[StoredCallback]:
        """Return the callbacks not yet delivered, oldest first."""
        rows = self._database.execute("SELECT id, path, event_id, body FROM callback ORDER BY id")
        return [StoredCallback(id=row[0], path=row[1], event_id=row[2], body=row[3]) for row in rows]

    def undelivered(self) -> int:
        """Return how many callbacks are not yet delivered."""
        return int(self._database.execute("SELECT count(*) FROM callback").fetchone()[0])

    def delivered(self, numbers: list[int]) -> None:
        """Forget callbacks that were taken."""
        self.begin()
        self._database.executemany("DELETE FROM callback WHERE id = ?", [(number,) for number in numbers])
        self.count("callbacks_delivered")
        self.commit()
