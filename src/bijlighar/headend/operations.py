"""What other rooms may do with meters: collect, control, listen, keep keys."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from importlib import resources

from sqlalchemy import Connection

from bijlighar.base.clock import Clock
from bijlighar.headend import keys_store, meter_fact_store
from bijlighar.headend.access import field_title
from bijlighar.headend.call_in_exchange import CallInExchange
from bijlighar.headend.clocks import synchronise_clocks
from bijlighar.headend.collect import collect_due, rehearse_due
from bijlighar.headend.control import run_control_due
from bijlighar.headend.control_queue import UNKNOWN_KINDS, cancel_control, queue_control, recover
from bijlighar.headend.errors import GateRefusal, HeadEndError, RelayNotMoved, UpkeepIncomplete
from bijlighar.headend.field import (
    FieldClient,
    RelayAnswer,
    keys_of_url,
    no_permit_needed,
    obey_authorisation,
)
from bijlighar.headend.field_rows import ProfileAnswer, ShownColumn, ShownRow
from bijlighar.headend.gate_door import GateFolder
from bijlighar.headend.gate_server import GateServer
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.keys import command_part, read_keys_file, reading_part, write_keys_file
from bijlighar.headend.keys_taking import new_keys
from bijlighar.headend.listener import PushListener
from bijlighar.headend.meter_facts import MeterFacts
from bijlighar.headend.model import HeadEndSettings, MeterKeys
from bijlighar.headend.on_demand import ask_reading, read_asked
from bijlighar.headend.orders import (
    parse_signed_order,
    sign_order,
    signed_order_json,
    verify_key_of,
)
from bijlighar.headend.quirks import Quirks
from bijlighar.headend.quirks_file import read_files as read_quirks
from bijlighar.headend.reading_keys import begin_reading_change, change_reading
from bijlighar.headend.settings_document import SettingsDocument
from bijlighar.headend.settings_file import read_document
from bijlighar.headend.upkeep import (
    change_keys,
    change_secret,
    compare_settings,
    read_settings,
    send_firmware,
    send_settings,
    settings_outcomes,
    supply_facts,
)
from bijlighar.headend.vendor_keys import (
    key_adapter,
    read_vendor_keys,
    read_wrapping_key,
    shipped_key_adapters,
)
from bijlighar.storage.engine import Database

__all__ = [
    "UNKNOWN_KINDS",
    "CallInExchange",
    "FieldClient",
    "GateFolder",
    "GateRefusal",
    "HeadEnd",
    "HeadEndError",
    "ProfileAnswer",
    "PushListener",
    "Quirks",
    "RelayAnswer",
    "RelayNotMoved",
    "SettingsDocument",
    "ShownColumn",
    "ShownRow",
    "UpkeepIncomplete",
    "adopt_keys",
    "ask_reading",
    "begin_reading_change",
    "cancel_control",
    "change_keys",
    "change_reading",
    "change_secret",
    "claim_meter_facts",
    "collect_due",
    "compare_settings",
    "field_title",
    "key_adapter",
    "keys_of_url",
    "listen",
    "new_keys",
    "no_permit_needed",
    "obey_authorisation",
    "open_head_end",
    "parse_signed_order",
    "queue_control",
    "read_asked",
    "read_document",
    "read_keys_file",
    "read_quirks",
    "read_settings",
    "read_vendor_keys",
    "read_wrapping_key",
    "recover",
    "rehearse_due",
    "run_control_due",
    "send_firmware",
    "send_settings",
    "serve_gate",
    "settings_outcomes",
    "shipped_contract",
    "shipped_key_adapters",
    "shipped_quirk",
    "sign_order",
    "signed_order_json",
    "store_keys",
    "store_keys_apart",
    "supply_facts",
    "synchronise_clocks",
    "verify_key_of",
    "write_keys_file",
]


def shipped_contract() -> str:
    """Return the text of the contract with the operator of the meters that is shipped with the package."""
    file = resources.files("bijlighar.headend") / "contracts" / "default.toml"
    return file.read_text(encoding="utf-8")


def shipped_quirk() -> str:
    """Return the text of the quirk file that is shipped with the package to be copied; it is of no real meter."""
    file = resources.files("bijlighar.headend") / "quirk_files" / "example.toml"
    return file.read_text(encoding="utf-8")


def claim_meter_facts(connection: Connection, *, facts: MeterFacts, now: datetime) -> int:
    """
    Keep what a shipment says of meters, and return how much of it is new.

    It is believed once the meter has said the same in an association that held.
    """
    return meter_fact_store.claim(connection, facts=facts, now=now)


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


def store_keys_apart(
    connection: Connection,
    *,
    gate: GateFolder,
    keys: Sequence[MeterKeys],
    key_encryption_key: bytes,
    now: datetime,
) -> int:
    """
    Store what reads meters here and what commands them in the gate's own store; return how many meters they were.

    :raises SealedKeys: if a key-encryption key cannot be used.
    """
    store = gate.open_store()
    try:
        with store.write() as own:
            keys_store.store_keys(
                own,
                keys=[command_part(meter) for meter in keys],
                key_encryption_key=gate.key_encryption_key(),
                now=now,
            )
    finally:
        store.close()
    return store_keys(
        connection,
        keys=[reading_part(meter) for meter in keys],
        key_encryption_key=key_encryption_key,
        now=now,
    )


def adopt_keys(database: Database, *, gate: GateFolder, key_encryption_key: bytes, now: datetime) -> int:
    """
    Part the keys that an older release kept in one place, where the gate has none yet; return how many there were.

    :raises SealedKeys: if they do not open.
    """
    store = gate.open_store()
    try:
        with store.read() as own:
            known = keys_store.meters_with_keys(own)
    finally:
        store.close()
    if known:
        return 0
    with database.write() as connection:
        rows = tuple(keys_store.every_sealed_key(connection))
        keys = [row.unseal(key_encryption_key=key_encryption_key) for row in rows]
        return store_keys_apart(
            connection, gate=gate, keys=keys, key_encryption_key=key_encryption_key, now=now
        )


async def serve_gate(
    folder: GateFolder, *, settings: HeadEndSettings, clock: Clock, stop: asyncio.Event
) -> None:
    """
    Keep the gate of a folder until told to stop.

    :raises GateRuns: if another gate runs on the same folder.
    :raises BrokenSettings: if the folder lacks a key.
    """
    keeper = folder.keeper(settings=settings)
    try:
        await GateServer(keeper=keeper, clock=clock).serve(folder.socket, stop=stop)
    finally:
        keeper.store.close()


async def listen(
    database: Database,
    *,
    head_end: HeadEnd,
    host: str,
    port: int | None,
    clock: Clock,
    call_in: tuple[str, int] | None = None,
    ready: asyncio.Event | None = None,
) -> None:
    """
    Take what meters push (`port` None: only over modems), and the calls of modems at `call_in`, until cancelled.

    `ready` is set when all that is listened on is.

    :raises BrokenSettings: if an address cannot be listened on.
    """
    listener = PushListener(database=database, head_end=head_end, clock=clock)
    await listener.start(host=host, port=port)
    exchange = CallInExchange(database=database, head_end=head_end, clock=clock, pushes=listener)
    try:
        if call_in is not None:
            await exchange.start(host=call_in[0], port=call_in[1])
        if ready is not None:
            ready.set()
        await asyncio.Event().wait()
    finally:
        if call_in is not None:
            await exchange.close()
        await listener.close()
