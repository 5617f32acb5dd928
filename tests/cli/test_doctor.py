"""What the doctor says of the meters' keys."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bijlighar.cli.doctor import doctor
from bijlighar.headend import operations as headend
from bijlighar.headend.model import MeterKeys
from bijlighar.registry import operations as registry
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import KEY_ENCRYPTION_KEY
from tests.cli import papers


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with meters at addresses, of which one has its keys stored."""
    opened = Home(tmp_path / "home")
    keys = MeterKeys(serial="BJ900001", system_title=b"BJG00001", url=None, ek=bytes(16), ak=bytes(16))
    now = opened.clock.now()
    with opened.database.write() as connection:
        registry.import_registry(connection, text=papers.registry(), now=now)
        headend.store_keys(
            connection, keys=[keys], key_encryption_key=opened.key(KEY_ENCRYPTION_KEY), now=now
        )
    return opened


def ask(home: Home) -> tuple[int, Any]:
    result = CliRunner().invoke(doctor, ["--home", str(home.path), "--format", "json"])
    return result.exit_code, json.loads(result.stdout)


class TestKeys:
    def test_that_open_are_counted_and_those_that_lack_are_named(self, home: Home):
        status, report = ask(home)

        assert (status, report["status"]) == (0, "ok")
        assert "keys: those of 1 meters are stored, and open with keys/key-encryption" in report["notes"]
        assert any(
            note.startswith("3 meters that hang and have an address have no keys") for note in report["notes"]
        )

    def test_that_do_not_open_are_a_failure(self, home: Home):
        (home.path / "keys" / KEY_ENCRYPTION_KEY).write_bytes(bytes(32))

        status, report = ask(home)

        assert (status, report["status"]) == (1, "failing")
        assert any("1 meters, BJ900001 first, do not open" in note for note in report["notes"])
        told = CliRunner().invoke(doctor, ["--home", str(home.path)])
        assert "Keys do not open: see above." in told.output

    def test_without_the_key_here_are_another_machines(self, home: Home):
        (home.path / "keys" / KEY_ENCRYPTION_KEY).unlink()

        status, report = ask(home)

        assert status == 0
        assert any("only the head-end needs it" in note for note in report["notes"])
        assert not (home.path / "keys" / KEY_ENCRYPTION_KEY).exists()
