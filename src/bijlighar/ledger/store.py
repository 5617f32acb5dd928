"""
Transfers, balances and the row that is locked per account.

Entries are only ever added: a trigger refuses to change or delete a row of the append-only tables on both databases.
Balances and open amounts are caches under the account's lock; `queries.check` compares them with a recount.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import TypeVar

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Date,
    Index,
    String,
    Table,
    UnaryExpression,
    case,
    func,
    select,
)

from bijlighar.ledger.errors import KeyConflict
from bijlighar.ledger.model import NO_ACCOUNT, Head, Transfer, TransferKind
from bijlighar.storage.append_only import append_only
from bijlighar.storage.schema import Moment, Whole, metadata
from bijlighar.storage.sql import insert_for

ACCOUNT_MAX = 32
KEY_MAX = 200
DOCUMENT_MAX = 96
NAMES_PER_STATEMENT = 500

Item = TypeVar("Item")

account_table = Table(
    "ledger_account",
    metadata,
    Column("account", String(ACCOUNT_MAX), primary_key=True),
    Column("opened_at", Moment, nullable=False),
)

transfer_table = Table(
    "ledger_transfer",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("key", String(KEY_MAX), nullable=False, unique=True),
    Column("debit", String(32), nullable=False),
    Column("credit", String(32), nullable=False),
    Column("account", String(ACCOUNT_MAX), nullable=False),
    Column("amount_paise", Whole, nullable=False),
    CheckConstraint("amount_paise > 0", name="above_zero"),
    Column("kind", String(16), nullable=False),
    Column("document", String(DOCUMENT_MAX), nullable=False),
    Column("business_date", Date, nullable=False),
    Column("at", Moment, nullable=False),
    CheckConstraint("debit <> credit", name="two_heads"),
    Index(None, "account", "id"),
    Index(None, "document"),
)

balance_table = Table(
    "ledger_balance",
    metadata,
    Column("account", String(ACCOUNT_MAX), primary_key=True),
    Column("head", String(32), primary_key=True),
    Column("debits_paise", Whole, nullable=False),
    Column("credits_paise", Whole, nullable=False),
)


append_only(transfer_table)


def batches(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    """Yield the items in tuples small enough for one statement."""
    rest = iter(items)
    while batch := tuple(islice(rest, NAMES_PER_STATEMENT)):
        yield batch


def lock(connection: Connection, *, account: str, now: datetime) -> None:
    """Lock the account's row to the end of the transaction, making it first if need be."""
    wanted = select(account_table.c.account).where(account_table.c.account == account).with_for_update()
    if connection.execute(wanted).scalar_one_or_none() is None:
        new = insert_for(connection, account_table).values(account=account, opened_at=now)
        connection.execute(new.on_conflict_do_nothing())
        connection.execute(wanted).scalar_one()


def add_transfers(connection: Connection, *, transfers: Sequence[Transfer], now: datetime) -> int:
    """
    Add the transfers whose keys are new, with their effect on the balances, and return how many.

    :raises KeyConflict: if a key is known with other contents.
    """
    wanted: dict[str, Transfer] = {}
    for transfer in transfers:
        _check_same(wanted.setdefault(transfer.key, transfer), transfer)
    known = _known(connection, keys=wanted)
    for key, stored in known.items():
        _check_same(stored, wanted[key])
    new = [transfer for key, transfer in wanted.items() if key not in known]
    if not new:
        return 0
    connection.execute(
        transfer_table.insert(),
        [
            {
                "key": transfer.key,
                "debit": transfer.debit,
                "credit": transfer.credit,
                "account": transfer.account,
                "amount_paise": transfer.amount_paise,
                "kind": transfer.kind,
                "document": transfer.document,
                "business_date": transfer.business_date,
                "at": now,
            }
            for transfer in new
        ],
    )
    _raise_balances(connection, transfers=new)
    return len(new)


def _check_same(stored: Transfer, given: Transfer) -> None:
    if stored != given:
        raise KeyConflict(f"transfer {given.key} is posted already with other contents; nothing was posted")


def _known(connection: Connection, *, keys: Collection[str]) -> Mapping[str, Transfer]:
    known: dict[str, Transfer] = {}
    for batch in batches(keys):
        for row in connection.execute(select(transfer_table).where(transfer_table.c.key.in_(batch))):
            known[row.key] = Transfer(
                key=row.key,
                debit=Head(row.debit),
                credit=Head(row.credit),
                account=row.account,
                amount_paise=row.amount_paise,
                kind=TransferKind(row.kind),
                document=row.document,
                business_date=row.business_date,
            )
    return known


def _raise_balances(connection: Connection, *, transfers: Iterable[Transfer]) -> None:
    sums: dict[tuple[str, str], list[int]] = {}
    for transfer in transfers:
        sums.setdefault((transfer.account, transfer.debit), [0, 0])[0] += transfer.amount_paise
        sums.setdefault((transfer.account, transfer.credit), [0, 0])[1] += transfer.amount_paise
    statement = insert_for(connection, balance_table)
    statement = statement.on_conflict_do_update(
        index_elements=[balance_table.c.account, balance_table.c.head],
        set_={
            "debits_paise": balance_table.c.debits_paise + statement.excluded.debits_paise,
            "credits_paise": balance_table.c.credits_paise + statement.excluded.credits_paise,
        },
    )
    connection.execute(
        statement,
        [
            {"account": account, "head": head, "debits_paise": debits, "credits_paise": credits}
            for (account, head), (debits, credits) in sorted(sums.items())
        ],
    )


def net_paise(connection: Connection, *, account: str, heads: Sequence[Head]) -> int:
    """Return debits less credits [paise] of the account's `heads`, from the cache."""
    net = func.sum(balance_table.c.debits_paise - balance_table.c.credits_paise)
    statement = select(net).where(balance_table.c.account == account, balance_table.c.head.in_(heads))
    return int(connection.execute(statement).scalar_one() or 0)


def head_totals(connection: Connection) -> Mapping[str, int]:
    """Return debits less credits [paise] of each head over all accounts, from the cache."""
    net = func.sum(balance_table.c.debits_paise - balance_table.c.credits_paise)
    statement = select(balance_table.c.head, net).group_by(balance_table.c.head)
    return {head: int(total) for head, total in connection.execute(statement)}


def cached_balances(connection: Connection) -> Mapping[tuple[str, str], tuple[int, int]]:
    """Return debits and credits [paise] of each account and head, from the cache."""
    rows = connection.execute(select(balance_table))
    return {(row.account, row.head): (row.debits_paise, row.credits_paise) for row in rows}


def rebuilt_balances(connection: Connection) -> Mapping[tuple[str, str], tuple[int, int]]:
    """Return debits and credits [paise] of each account and head, counted from the transfers."""
    rebuilt: dict[tuple[str, str], tuple[int, int]] = {}
    for side, head in enumerate((transfer_table.c.debit, transfer_table.c.credit)):
        total = func.sum(transfer_table.c.amount_paise)
        for account, name, paise in connection.execute(
            select(transfer_table.c.account, head, total).group_by(transfer_table.c.account, head)
        ):
            debits, credits = rebuilt.get((account, name), (0, 0))
            rebuilt[account, name] = (
                (debits, credits + int(paise)) if side else (debits + int(paise), credits)
            )
    return rebuilt


def replace_balances(connection: Connection, *, balances: Mapping[tuple[str, str], tuple[int, int]]) -> None:
    """Put the balances in the place of the cached ones."""
    connection.execute(balance_table.delete())
    rows = [
        {"account": account, "head": head, "debits_paise": debits, "credits_paise": credits}
        for (account, head), (debits, credits) in sorted(balances.items())
    ]
    if rows:
        connection.execute(balance_table.insert(), rows)


def _signed(heads: Sequence[Head]) -> UnaryExpression[int]:
    """Return the expression for a transfer's effect on the sum of `heads`."""
    debit = case((transfer_table.c.debit.in_(heads), transfer_table.c.amount_paise), else_=0)
    credit = case((transfer_table.c.credit.in_(heads), transfer_table.c.amount_paise), else_=0)
    return func.sum(debit - credit)  # type: ignore[return-value]


def net_by_document(
    connection: Connection,
    *,
    heads: Sequence[Head],
    kinds: Sequence[TransferKind],
    documents: Collection[str] | None,
) -> Mapping[str, int]:
    """Return what the transfers of `kinds` of each document (None: of all) did to the sum of `heads` [paise]."""
    statement = (
        select(transfer_table.c.document, _signed(heads))
        .where(transfer_table.c.kind.in_(kinds))
        .group_by(transfer_table.c.document)
    )
    if documents is None:
        return {document: int(paise) for document, paise in connection.execute(statement)}
    found: dict[str, int] = {}
    for batch in batches(documents):
        rows = connection.execute(statement.where(transfer_table.c.document.in_(batch)))
        found.update({document: int(paise) for document, paise in rows})
    return found


def net_of(connection: Connection, *, heads: Sequence[Head], kinds: Sequence[TransferKind]) -> int:
    """Return what all transfers of `kinds` did to the sum of `heads` [paise]."""
    return int(
        connection.execute(select(_signed(heads)).where(transfer_table.c.kind.in_(kinds))).scalar_one() or 0
    )


def movements(
    connection: Connection, *, account: str, heads: Sequence[Head]
) -> Iterator[tuple[str, str, int, date, datetime]]:
    """Yield kind, document, effect on `heads` [paise], day and time of the account's postings, oldest first."""
    first = func.min(transfer_table.c.id)
    statement = (
        select(
            transfer_table.c.kind,
            transfer_table.c.document,
            _signed(heads),
            transfer_table.c.business_date,
            transfer_table.c.at,
        )
        .where(transfer_table.c.account == account, transfer_table.c.account != NO_ACCOUNT)
        .group_by(
            transfer_table.c.kind,
            transfer_table.c.document,
            transfer_table.c.business_date,
            transfer_table.c.at,
        )
        .order_by(first)
    )
    for kind, document, paise, business_date, at in connection.execute(statement):
        yield kind, document, int(paise), business_date, at
