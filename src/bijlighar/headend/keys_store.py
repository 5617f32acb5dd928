"""The sealed keys of meters, and how far each invocation counter has been given out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    case,
    select,
    update,
)

from bijlighar.headend.keys import seal, unseal
from bijlighar.headend.model import MeterKeys
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

ROWS_PER_STATEMENT = 500

_key = Table(
    "headend_key",
    metadata,
    Column("meter", String(200), primary_key=True),
    Column("system_title", LargeBinary(8), nullable=False, index=True),
    Column("url", String(500)),
    Column("sealed", LargeBinary, nullable=False),
    Column("stored_at", Moment, nullable=False),
)

_counter = Table(
    "headend_counter",
    metadata,
    Column("meter", String(200), primary_key=True),
    Column("client", Integer, primary_key=True, autoincrement=False),
    Column("reserved", Whole, nullable=False),
    Column("received", Whole, nullable=False, server_default="-1"),
)

#: Keys that are on their way into a meter, which may have taken them or not.
_change = Table(
    "headend_key_change",
    metadata,
    Column("meter", String(200), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("begun_at", Moment, nullable=False),
)

TABLES = (_key, _counter, _change)


def store_keys(
    connection: Connection,
    *,
    keys: Sequence[MeterKeys],
    key_encryption_key: bytes | None,
    now: datetime,
    ciphers: Sequence[int] | None = None,
) -> None:
    """
    Store the keys of meters sealed; those of a known meter are replaced.

    `ciphers` are the clients whose EK and AK are others than before, None for all: what was heard under keys that
    stay is not believed again.
    """
    for first in range(0, len(keys), ROWS_PER_STATEMENT):
        statement = insert_for(connection, _key).values(
            [
                {
                    "meter": meter.serial,
                    "system_title": meter.system_title,
                    "url": meter.url,
                    "sealed": seal(keys=meter, key_encryption_key=key_encryption_key),
                    "stored_at": now,
                }
                for meter in keys[first : first + ROWS_PER_STATEMENT]
            ]
        )
        new = statement.excluded
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[_key.c.meter],
                set_={
                    "system_title": new.system_title,
                    "url": new.url,
                    "sealed": new.sealed,
                    "stored_at": new.stored_at,
                },
            )
        )
        # New keys begin new counters at the meter's side; ours only rise.
        serials = [meter.serial for meter in keys[first : first + ROWS_PER_STATEMENT]]
        forgotten = update(_counter).where(_counter.c.meter.in_(serials)).values(received=-1)
        if ciphers is not None:
            forgotten = forgotten.where(_counter.c.client.in_(ciphers))
        connection.execute(forgotten)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRow:
    """The keys of one meter as stored."""

    serial: str
    system_title: bytes
    url: str | None
    sealed: bytes

    def unseal(self, *, key_encryption_key: bytes | None) -> MeterKeys:
        """
        Return the keys.

        :raises SealedKeys: if they do not open.
        """
        return unseal(
            serial=self.serial,
            system_title=self.system_title,
            url=self.url,
            sealed=self.sealed,
            key_encryption_key=key_encryption_key,
        )


def sealed_keys(connection: Connection, *, serials: Sequence[str]) -> tuple[SealedRow, ...]:
    """Return the stored keys of the meters that have any."""
    rows: list[SealedRow] = []
    for first in range(0, len(serials), ROWS_PER_STATEMENT):
        statement = select(_key).where(_key.c.meter.in_(serials[first : first + ROWS_PER_STATEMENT]))
        rows.extend(_sealed(row) for row in connection.execute(statement))
    return tuple(rows)


def every_sealed_key(connection: Connection) -> Iterator[SealedRow]:
    """Yield the stored keys of every meter, by serial number."""
    for row in connection.execute(select(_key).order_by(_key.c.meter)):
        yield _sealed(row)


def sealed_keys_of_title(connection: Connection, *, system_title: bytes) -> SealedRow | None:
    """Return the stored keys of the meter with a system title; None if none has it, or several have."""
    rows = connection.execute(select(_key).where(_key.c.system_title == system_title).limit(2)).all()
    return _sealed(rows[0]) if len(rows) == 1 else None


def begin_change(
    connection: Connection, *, keys: MeterKeys, key_encryption_key: bytes | None, now: datetime
) -> None:
    """Keep new keys beside those that a meter is known to have; once begun, a change keeps its keys."""
    statement = insert_for(connection, _change).values(
        meter=keys.serial, sealed=seal(keys=keys, key_encryption_key=key_encryption_key), begun_at=now
    )
    connection.execute(statement.on_conflict_do_nothing(index_elements=[_change.c.meter]))


def change_of(
    connection: Connection, *, keys: MeterKeys, key_encryption_key: bytes | None, is_held: bool = False
) -> MeterKeys | None:
    """
    Return the keys that are on their way into the meter of `keys`, None if none are.

    With `is_held` nobody else begins or ends a change of this meter until the transaction is over.

    :raises SealedKeys: if they do not open.
    """
    statement = select(_change.c.sealed).where(_change.c.meter == keys.serial)
    if is_held:
        statement = statement.with_for_update()
    sealed = connection.execute(statement).scalar_one_or_none()
    if sealed is None:
        return None
    return unseal(
        serial=keys.serial,
        system_title=keys.system_title,
        url=keys.url,
        sealed=bytes(sealed),
        key_encryption_key=key_encryption_key,
    )


def end_change(
    connection: Connection,
    *,
    keys: MeterKeys,
    key_encryption_key: bytes | None,
    now: datetime,
    ciphers: Sequence[int],
) -> bool:
    """
    Make new keys, which the meter has proved to have, its keys; return False where they are on their way no more.

    Somebody else may have proved them before, and begun the next change: that one is left alone. `ciphers` are the
    clients whose EK and AK are others than before.
    """
    if not _is_begun(connection, keys=keys, key_encryption_key=key_encryption_key):
        return False
    store_keys(
        connection,
        keys=[keys],
        key_encryption_key=key_encryption_key,
        now=now,
        ciphers=ciphers,
    )
    connection.execute(_change.delete().where(_change.c.meter == keys.serial))
    return True


def drop_change(connection: Connection, *, keys: MeterKeys, key_encryption_key: bytes | None) -> None:
    """Forget new keys that the meter has said it does not take, and has proved not to have."""
    if _is_begun(connection, keys=keys, key_encryption_key=key_encryption_key):
        connection.execute(_change.delete().where(_change.c.meter == keys.serial))


def _is_begun(connection: Connection, *, keys: MeterKeys, key_encryption_key: bytes | None) -> bool:
    return keys == change_of(connection, keys=keys, key_encryption_key=key_encryption_key, is_held=True)


def meters_in_change(connection: Connection) -> frozenset[str]:
    """Return the serials of every meter whose keys are being changed."""
    return frozenset(connection.execute(select(_change.c.meter)).scalars())


def meters_with_keys(connection: Connection) -> frozenset[str]:
    """Return the serials of every meter with stored keys."""
    return frozenset(connection.execute(select(_key.c.meter)).scalars())


def reserved_counters(connection: Connection, *, meters: Sequence[str], client: int) -> Mapping[str, int]:
    """Return, per meter, the first counter that nobody has been given yet; the unknown are left out."""
    found: dict[str, int] = {}
    for part in _parts(meters):
        statement = (
            select(_counter.c.meter, _counter.c.reserved)
            .where(_counter.c.client == client, _counter.c.meter.in_(part))
            .order_by(_counter.c.meter)
            .with_for_update()
        )
        found.update((row.meter, row.reserved) for row in connection.execute(statement))
    return found


def advance_counters(
    connection: Connection, *, meters: Sequence[str], client: int, count: int
) -> Mapping[str, int]:
    """Reserve `count` counters of each known meter and return the first of them; the unknown are left out."""
    starts: dict[str, int] = {}
    for part in _parts(meters):
        statement = (
            update(_counter)
            .where(_counter.c.client == client, _counter.c.meter.in_(part))
            .values(reserved=_counter.c.reserved + count)
            .returning(_counter.c.meter, _counter.c.reserved)
        )
        starts.update((row.meter, row.reserved - count) for row in connection.execute(statement))
    return starts


def raise_counters(
    connection: Connection, *, floors: Mapping[str, int], client: int, count: int
) -> Mapping[str, int]:
    """Reserve `count` counters of each meter at or above its floor and return the first of them."""
    starts: dict[str, int] = {}
    for part in _parts(sorted(floors)):
        statement = insert_for(connection, _counter).values(
            [{"meter": meter, "client": client, "reserved": floors[meter] + count} for meter in part]
        )
        wanted = statement.excluded.reserved
        ours = _counter.c.reserved + count
        statement = statement.on_conflict_do_update(
            index_elements=[_counter.c.meter, _counter.c.client],
            set_={"reserved": case((ours > wanted, ours), else_=wanted)},
        )
        rows = connection.execute(statement.returning(_counter.c.meter, _counter.c.reserved))
        starts.update((row.meter, row.reserved - count) for row in rows)
    return starts


def received_counters(connection: Connection, *, meters: Sequence[str], client: int) -> Mapping[str, int]:
    """Return the last counter of each meter's own that held."""
    found: dict[str, int] = {}
    for part in _parts(meters):
        statement = select(_counter.c.meter, _counter.c.received).where(
            _counter.c.client == client, _counter.c.meter.in_(part)
        )
        found.update((row.meter, row.received) for row in connection.execute(statement))
    return found


def write_received(connection: Connection, *, received: Mapping[str, int], client: int) -> None:
    """Raise the last counter of each known meter's own that held; one never falls."""
    if not received:
        return
    statement = (
        update(_counter)
        .where(
            _counter.c.client == client,
            _counter.c.meter == bindparam("of_meter"),
            _counter.c.received < bindparam("heard"),
        )
        .values(received=bindparam("heard"))
    )
    rows = [{"of_meter": meter, "heard": counter} for meter, counter in sorted(received.items())]
    connection.execute(statement, rows)


def _parts(meters: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(meters), ROWS_PER_STATEMENT):
        yield meters[first : first + ROWS_PER_STATEMENT]


def _sealed(row: object) -> SealedRow:
    return SealedRow(
        serial=row.meter,  # type: ignore[attr-defined]
        system_title=bytes(row.system_title),  # type: ignore[attr-defined]
        url=row.url,  # type: ignore[attr-defined]
        sealed=bytes(row.sealed),  # type: ignore[attr-defined]
    )
