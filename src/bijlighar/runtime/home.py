"""A home: the folder that holds settings, database, keys, documents and logs of one installation."""

import os
import secrets
from functools import cached_property
from pathlib import Path

from bijlighar.base.clock import Clock
from bijlighar.base.errors import BijligharError
from bijlighar.runtime.clock import DemoClock, RealClock
from bijlighar.runtime.settings import BrokenSettings, Settings, load_settings
from bijlighar.storage.engine import Database

DATABASE_FILE = "bijlighar.sqlite"
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
KEY_OCTETS = 32


class UnusableHome(BijligharError):
    """The home's folder cannot be used."""

    code = "runtime.unusable-home"


class Home:
    """The home at `path`; nothing is read or made before it is needed."""

    def __init__(self, path: Path) -> None:
        """Name the home; the folder need not exist."""
        self.path = path

    @cached_property
    def settings(self) -> Settings:
        """
        Return the settings in force.

        :raises BrokenSettings: if they cannot be used.
        """
        file = self.path / "settings.toml"
        try:
            text = file.read_text(encoding="utf-8") if file.is_file() else ""
        except (OSError, UnicodeDecodeError) as problem:
            raise BrokenSettings(f"{file} cannot be read ({problem}); save it as UTF-8") from None
        return load_settings(text=text, environment=os.environ)

    @cached_property
    def database(self) -> Database:
        """
        Return the database, made or brought up to date if need be.

        :raises UnusableDatabase: if it does not answer.
        :raises UnusableHome: if the folder cannot be made.
        """
        from bijlighar.runtime.schema import migrate  # imports every room; needed only here

        url = self.settings.text("database")
        if not url:
            self.make()
            url = f"sqlite:///{(self.path / DATABASE_FILE).resolve()}"
        database = Database(url)
        database.check()
        migrate(database)
        return database

    @property
    def exists(self) -> bool:
        """Return whether there is a home at the path, without making one."""
        return (self.path / "settings.toml").is_file() or (self.path / DATABASE_FILE).is_file()

    @property
    def is_demo(self) -> bool:
        """Return whether this is the home of a demo."""
        return self.settings.flag("demo")

    @cached_property
    def clock(self) -> Clock:
        """Return the clock of the home."""
        return DemoClock(lambda: self.database) if self.is_demo else RealClock()

    @property
    def documents(self) -> Path:
        """Return the folder of documents, made if need be."""
        return self.folder("documents")

    @property
    def logs(self) -> Path:
        """Return the folder of logs, made if need be."""
        return self.folder("logs")

    @property
    def town(self) -> Path:
        """Return the folder of a demo's meters."""
        return self.path / "town"

    def make(self) -> None:
        """
        Make the home's folder, readable by its owner alone.

        :raises UnusableHome: if it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        except OSError as problem:
            raise UnusableHome(f"the home {self.path} cannot be made: {problem.strerror}") from None

    def key(self, name: str) -> bytes:
        """Return the secret key `name` (32 octets), made at first use and readable by its owner alone."""
        folder = self.folder("keys")
        file = folder / name
        if not file.exists():
            temporary = folder / f".{name}.{os.getpid()}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
            with os.fdopen(descriptor, "wb") as output:
                output.write(secrets.token_bytes(KEY_OCTETS))
                output.flush()
                os.fsync(output.fileno())
            try:
                os.link(temporary, file)  # of two processes that make the key at once, the first one's stands
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
        return file.read_bytes()

    def known_key(self, name: str) -> bytes | None:
        """Return the secret key `name` if it is there, without making one."""
        file = self.path / "keys" / name
        return file.read_bytes() if file.is_file() else None

    def folder(self, name: str) -> Path:
        """Return the folder `name` of the home, made if need be and readable by its owner alone."""
        self.make()
        folder = self.path / name
        folder.mkdir(exist_ok=True, mode=PRIVATE_FOLDER)
        return folder
