"""The gate's folder, and the ways to the gate: over its socket, or within this process."""

import os
import secrets
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from bijlighar.headend import gate_store, keys_store
from bijlighar.headend.errors import BrokenSettings
from bijlighar.headend.gate_client import RemoteGate
from bijlighar.headend.gate_keeper import GateKeeper
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.model import Ceilings, HeadEndSettings
from bijlighar.headend.ports import Gate
from bijlighar.storage import sequences
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata

SOCKET = "gate.sock"
STORE = "gate.sqlite"
CEILINGS = "ceilings.toml"
KEY_FILE = "key-encryption"
VERIFY_FILE = "authority.pub"
#: The gate ciphers under a title of its own: where a meter has one EK for all clients, the head-end's numbers and
#: the gate's must never meet under one title.
GATE_TITLE = b"BJLGGATE"
KEY_OCTETS = 32
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
TABLES = (*gate_store.TABLES, *keys_store.TABLES, *sequences.TABLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFolder:
    """Everything that the gate owns: its store, its keys, its ceilings, its socket."""

    path: Path

    @property
    def socket(self) -> Path:
        """Return where the gate listens."""
        return self.path / SOCKET

    def found(self, *, verify_key: bytes, ceilings: Ceilings) -> None:
        """Make what is not there yet; what is there is left alone, whoever asks."""
        self.path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        self._write(KEY_FILE, secrets.token_bytes(KEY_OCTETS))
        self._write(VERIFY_FILE, verify_key)
        self._write(CEILINGS, ceilings_text(ceilings).encode())

    def ceilings(self) -> Ceilings | None:
        """Return the ceilings of the gate's own file, read anew each time; None if they cannot be used."""
        try:
            found = tomllib.loads((self.path / CEILINGS).read_text(encoding="utf-8"))
            return Ceilings(
                per_hour=found["per_hour"],
                per_feeder_hour=found["per_feeder_hour"],
                per_day=found["per_day"],
                settings_per_hour=found.get("settings_per_hour", Ceilings().settings_per_hour),
            )
        except (OSError, ValueError, KeyError):
            return None

    def open_store(self) -> Database:
        """Return the gate's own database, with its tables."""
        store = Database(f"sqlite:///{(self.path / STORE).resolve()}")
        with store.write() as connection:
            metadata.create_all(connection, tables=list(TABLES))
        (self.path / STORE).chmod(PRIVATE_FILE)
        return store

    def key_encryption_key(self) -> bytes:
        """
        Return the key under which the gate keeps the meters' keys.

        :raises BrokenSettings: if it is not there.
        """
        return self._read(KEY_FILE)

    def keeper(self, *, settings: HeadEndSettings) -> GateKeeper:
        """
        Return the gate over this folder; the caller closes its `store`.

        :raises BrokenSettings: if the folder lacks a key.
        """
        store = self.open_store()
        own = replace(
            settings,
            worker="gate",
            system_title=GATE_TITLE,
            key_encryption_key=self.key_encryption_key(),
            verify_key=self._read(VERIFY_FILE),
            ceilings=None,
            gate_socket=None,
        )
        return GateKeeper(head_end=open_head_end(store, settings=own), store=store, ceilings=self.ceilings)

    def _read(self, name: str) -> bytes:
        file = self.path / name
        try:
            return file.read_bytes()
        except OSError as problem:
            raise BrokenSettings(f"the gate's {file} cannot be read: {problem.strerror}") from None

    def _write(self, name: str, octets: bytes) -> None:
        file = self.path / name
        if file.exists():
            return
        temporary = self.path / f".{name}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as output:
            output.write(octets)
            output.flush()
            os.fsync(output.fileno())
        try:
            os.link(temporary, file)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()


def ceilings_text(ceilings: Ceilings) -> str:
    """
    Return the text of a file of ceilings.

    >>> print(ceilings_text(Ceilings()).splitlines()[2])
    per_hour = 50
    """
    return (
        "# The gate's own ceilings of disconnections (load limits and prepaid mode count with them) and of\n"
        "# settings, whatever is ordered; a broken file shuts the gate.\n"
        f"per_hour = {ceilings.per_hour}\n"
        f"per_feeder_hour = {ceilings.per_feeder_hour}\n"
        f"per_day = {ceilings.per_day}\n"
        f"settings_per_hour = {ceilings.settings_per_hour}\n"
    )


def gate_of(database: Database, *, head_end: HeadEnd) -> Gate:
    """Return the way to the gate: its socket, or where none is set the gate within this process."""
    settings = head_end.settings
    if settings.gate_socket is not None:
        return RemoteGate(settings.gate_socket)
    return GateKeeper(
        head_end=head_end, store=database, ceilings=lambda: settings.ceilings, is_elsewhere=False
    )
