"""What other rooms may do with meters: collect, control, listen, keep keys."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from importlib import resources

from sqlalchemy import Connection

from bijlighar.base.clock import Clock
from bijlighar.headend import keys_store
from bijlighar.headend.collect import collect_due
from bijlighar.headend.control import run_control_due
from bijlighar.headend.control_queue import UNKNOWN_KINDS, cancel_control, queue_control, recover
from bijlighar.headend.errors import GateRefusal, HeadEndError, RelayNotMoved
from bijlighar.headend.field import FieldClient, RelayAnswer, field_title, keys_of_url, obey_authorisation
from bijlighar.headend.field_rows import ProfileAnswer, ShownColumn, ShownRow
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.keys import read_keys_file, write_keys_file
from bijlighar.headend.listener import PushListener
from bijlighar.headend.model import MeterKeys
from bijlighar.headend.on_demand import ask_reading, read_asked
from bijlighar.headend.orders import (
    parse_signed_order,
    sign_order,
    signed_order_json,
    verify_key_of,
)
from bijlighar.storage.engine import Database

__all__ = [
    "UNKNOWN_KINDS",
    "FieldClient",
    "GateRefusal",
    "HeadEnd",
    "HeadEndError",
    "ProfileAnswer",
    "PushListener",
    "RelayAnswer",
    "RelayNotMoved",
    "ShownColumn",
    "ShownRow",
    "ask_reading",
    "cancel_control",
    "collect_due",
    "field_title",
    "keys_of_url",
    "listen",
    "obey_authorisation",
    "open_head_end",
    "parse_signed_order",
    "queue_control",
    "read_asked",
    "read_keys_file",
    "recover",
    "run_control_due",
    "shipped_contract",
    "sign_order",
    "signed_order_json",
    "store_keys",
    "verify_key_of",
    "write_keys_file",
]


def shipped_contract() -> str:
    """Return the text of the contract with the operator of the meters that is shipped with the package."""
    file = resources.files("bijlighar.headend") / "contracts" / "default.toml"
    return file.read_text(encoding="utf-8")


def store_keys(
    connection: Connection, *, keys: Sequence[MeterKeys], key_encryption_key: bytes, now: datetime
) -> int:
    """
    Store the keys of meters sealed under the key-encryption key (32 octets) and return how many they were.

    The keys of a known meter are replaced.

    :raises SealedKeys: if the key-encryption key cannot be used.
    """
    keys_store.store_keys(connection, keys=keys, key_encryption_key=key_encryption_key, now=now)
    return len(keys)


async def listen(database: Database, *, head_end: HeadEnd, host: str, port: int, clock: Clock) -> None:
    """
    Take what meters push, until cancelled.

    :raises BrokenSettings: if the address cannot be listened on.
    """
    listener = PushListener(database=database, head_end=head_end, clock=clock)
    await listener.start(host=host, port=port)
    try:
        await asyncio.Event().wait()
    finally:
        await listener.close()
