"""What meters have pushed: the last status word of each, and what could not be taken."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Integer, LargeBinary, String, Table, func, select

from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

NOTE_LENGTH = 300
FRAME_LENGTH = 2_048
#: How many (sender, reason) are told apart, and what the senders beyond are called.
SENDERS_MAX = 10_000
OTHER_SENDERS = "*"

_push = Table(
    "headend_push",
    metadata,
    Column("meter", String(200), primary_key=True),
    Column("counter", Whole, nullable=False),
    Column("word", LargeBinary, nullable=False),
    Column("word_bits", Integer, nullable=False),
    Column("word_at", Moment),
    Column("word_number", Whole, nullable=False),
    Column("received", Whole, nullable=False),
    Column("repeated", Whole, nullable=False),
    Column("last_at", Moment, nullable=False),
)

_quarantine = Table(
    "headend_quarantine",
    metadata,
    Column("sender", String(64), primary_key=True),
    Column("code", String(64), primary_key=True),
    Column("pushes", Whole, nullable=False),
    Column("note", String(NOTE_LENGTH), nullable=False),
    Column("frame", LargeBinary, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushState:
    """
    What a meter has pushed so far.

    `counter` is the last invocation counter that held; `word` and `word_bits` the newest event status word, made at
    `word_at` as the meter's alert `word_number`.
    """

    meter: str
    counter: int = -1
    word: bytes = b""
    word_bits: int = 0
    word_at: datetime | None = None
    word_number: int = -1
    received: int = 0
    repeated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Pushes of one sender that were refused for one reason; `frame` is the last of them."""

    sender: str
    code: str
    count: int
    note: str
    frame: bytes
    first_at: datetime
    last_at: datetime


def hold(connection: Connection, *, meters: Collection[str]) -> dict[str, PushState]:
    """Return what some meters have pushed so far, and lock it to the end of the transaction."""
    found = {meter: PushState(meter=meter) for meter in meters}
    statement = select(_push).where(_push.c.meter.in_(sorted(found))).order_by(_push.c.meter)
    for row in connection.execute(statement.with_for_update()):
        found[row.meter] = PushState(
            meter=row.meter,
            counter=row.counter,
            word=bytes(row.word),
            word_bits=row.word_bits,
            word_at=row.word_at,
            word_number=row.word_number,
            received=row.received,
            repeated=row.repeated,
        )
    return found


def write(connection: Connection, *, states: Iterable[PushState], now: datetime) -> None:
    """Store what some meters have pushed."""
    rows = [
        {
            "meter": state.meter,
            "counter": state.counter,
            "word": state.word,
            "word_bits": state.word_bits,
            "word_at": state.word_at,
            "word_number": state.word_number,
            "received": state.received,
            "repeated": state.repeated,
            "last_at": now,
        }
        for state in states
    ]
    if not rows:
        return
    statement = insert_for(connection, _push)
    fresh = {name: statement.excluded[name] for name in rows[0] if name != "meter"}
    connection.execute(statement.on_conflict_do_update(index_elements=[_push.c.meter], set_=fresh), rows)


def quarantine(
    connection: Connection, *, sender: str, code: str, note: str, frame: bytes, now: datetime, count: int = 1
) -> None:
    """
    Count what could not be taken; of each sender and reason the last frame is kept.

    Senders can be made up: beyond `SENDERS_MAX` rows a new one is counted with others.
    """
    sender, code = sender[:64], code[:64]
    known = select(_quarantine.c.sender).where(_quarantine.c.sender == sender, _quarantine.c.code == code)
    if connection.execute(known).first() is None:
        rows = connection.execute(select(func.count()).select_from(_quarantine)).scalar_one()
        sender = sender if rows < SENDERS_MAX else OTHER_SENDERS
    kept = {"note": note[:NOTE_LENGTH], "frame": frame[:FRAME_LENGTH], "last_at": now}
    statement = insert_for(connection, _quarantine).values(
        sender=sender, code=code, pushes=count, first_at=now, **kept
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[_quarantine.c.sender, _quarantine.c.code],
            set_={**kept, "pushes": _quarantine.c.pushes + count},
        )
    )


def quarantined(connection: Connection, *, limit: int) -> tuple[Quarantined, ...]:
    """Return what could not be taken, newest first."""
    statement = select(_quarantine).order_by(_quarantine.c.last_at.desc(), _quarantine.c.sender)
    return tuple(
        Quarantined(
            sender=row.sender,
            code=row.code,
            count=row.pushes,
            note=row.note,
            frame=bytes(row.frame),
            first_at=row.first_at,
            last_at=row.last_at,
        )
        for row in connection.execute(statement.limit(limit))
    )


def counts(connection: Connection) -> Mapping[str, int]:
    """Return how many pushes were received (each once), came again, and were put in quarantine."""
    received = connection.execute(
        select(func.coalesce(func.sum(_push.c.received), 0), func.coalesce(func.sum(_push.c.repeated), 0))
    ).one()
    refused = connection.execute(select(func.coalesce(func.sum(_quarantine.c.pushes), 0))).scalar_one()
    return {"received": int(received[0]), "repeated": int(received[1]), "quarantined": int(refused)}
