"""Take in keys that a vendor sent: new meters are stored, the same keys change nothing, other keys are refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from bijlighar.headend import keys_store
from bijlighar.headend.errors import BrokenKeysFile
from bijlighar.headend.gate_door import GateFolder
from bijlighar.headend.keys import command_part, reading_part
from bijlighar.headend.model import MeterKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKeys:
    """What of a vendor's file is new, and how many meters were stored before with the same keys."""

    new: tuple[MeterKeys, ...]
    known: int


def new_keys(
    connection: Connection, *, gate: GateFolder, keys: Sequence[MeterKeys], key_encryption_key: bytes
) -> NewKeys:
    """
    Return the meters of `keys` that have no stored keys yet.

    :raises BrokenKeysFile: if a meter, or a meter's system title, is stored with other keys.
    :raises SealedKeys: if stored keys do not open.
    """
    serials = [meter.serial for meter in keys]
    reading = _opened(connection, serials=serials, key_encryption_key=key_encryption_key)
    titles = {row.system_title: row.serial for row in keys_store.every_sealed_key(connection)}
    store = gate.open_store()
    try:
        with store.read() as own:
            commanding = _opened(own, serials=serials, key_encryption_key=gate.key_encryption_key())
    finally:
        store.close()
    new: list[MeterKeys] = []
    for meter in keys:
        pairs = ((reading, reading_part(meter)), (commanding, command_part(meter)))
        stored = [(known[meter.serial], part) for known, part in pairs if meter.serial in known]
        if any(before != replace(part, url=part.url or before.url) for before, part in stored):
            raise BrokenKeysFile(
                f"nothing was stored: meter {meter.serial} is stored with other keys; take it off the file, or, "
                "if these are the right ones, give it in a keys file of JSON, which replaces them"
            )
        if titles.get(meter.system_title, meter.serial) != meter.serial:
            raise BrokenKeysFile(
                f"nothing was stored: the system title of meter {meter.serial} is that of meter "
                f"{titles[meter.system_title]}; ask the vendor which of them is right"
            )
        if len(stored) < len(pairs):
            new.append(meter)
    return NewKeys(new=tuple(new), known=len(keys) - len(new))


def _opened(
    connection: Connection, *, serials: Sequence[str], key_encryption_key: bytes | None
) -> dict[str, MeterKeys]:
    rows = keys_store.sealed_keys(connection, serials=serials)
    return {row.serial: row.unseal(key_encryption_key=key_encryption_key) for row in rows}
