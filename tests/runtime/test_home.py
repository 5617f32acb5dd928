import os
import subprocess
import sys
from pathlib import Path

import pytest

from bijlighar.runtime.clock import ClockNotSet, set_demo_time, wall
from bijlighar.runtime.home import Home, UnusableHome
from bijlighar.runtime.line import Line, NotConfigured

_MAKE_KEY = """
import sys, pathlib
from bijlighar.runtime.home import Home
print("ready", flush=True)
sys.stdin.readline()
print(Home(pathlib.Path(sys.argv[1])).key("authority").hex())
"""
PROCESSES = 6


class TestKey:
    def test_is_made_once_however_many_processes_want_it_at_once(self, tmp_path: Path):
        makers = [
            subprocess.Popen(
                [sys.executable, "-c", _MAKE_KEY, str(tmp_path / "home")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(PROCESSES)
        ]
        for maker in makers:
            assert maker.stdout is not None
            assert maker.stdout.readline() == "ready\n"
        for maker in makers:
            assert maker.stdin is not None
            maker.stdin.write("\n")
            maker.stdin.flush()
        answers = [maker.communicate(timeout=60) for maker in makers]

        assert [error for _, error in answers] == [""] * PROCESSES
        (key,) = {output for output, _ in answers}
        assert Home(tmp_path / "home").key("authority").hex() == key.strip()
        assert [file.name for file in (tmp_path / "home" / "keys").iterdir()] == ["authority"]

    def test_is_for_the_owner_alone_and_differs_by_name(self, tmp_path: Path):
        home = Home(tmp_path / "home")
        first, second = home.key("links"), home.key("authority")
        assert len(first) == len(second) == 32
        assert first != second
        for path in (home.path, home.path / "keys", home.path / "keys" / "links"):
            assert path.stat().st_mode & 0o077 == 0

    def test_stays_when_the_line_is_opened_anew(self, tmp_path: Path):
        home = Home(tmp_path / "home")
        known = Line(home).verify_key
        assert Line(Home(home.path)).verify_key == known
        assert known != home.key("authority")


class TestHome:
    def test_makes_nothing_before_it_is_needed(self, tmp_path: Path):
        home = Home(tmp_path / "home")
        assert not home.exists
        assert not home.is_demo
        assert not home.path.exists()

    def test_that_cannot_be_made_is_told(self, tmp_path: Path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(UnusableHome, match="cannot be made"):
            Home(tmp_path / "file" / "home").make()

    def test_has_the_machines_time(self, home: Home):
        before = wall()
        assert before <= home.clock.now() <= wall()

    def test_of_a_demo_has_the_drivers_time_alone(self, home: Home, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("BIJLIGHAR_DEMO", "true")
        with pytest.raises(ClockNotSet):
            home.clock.now()
        moment = wall().replace(year=2025, microsecond=0)
        for _ in range(2):
            set_demo_time(home.database, now=moment)
            assert home.clock.now() == moment


class TestLine:
    def test_tells_what_is_not_configured(self, line: Line):
        with pytest.raises(NotConfigured, match=r"gateway\.key_id"):
            _ = line.payment_gateway
        assert line.message_gateway is None

    def test_takes_the_policy_and_the_books_of_the_home_if_there_are_any(self, line: Line):
        assert line.policy.id == "MP-WZ-2025"
        assert [book.id for book in line.books.books] == ["MP-2025-26", "MP-2026-27"]

    def test_knows_how_it_is_reached(self, line: Line, monkeypatch: pytest.MonkeyPatch):
        assert line.public_url == "http://127.0.0.1:8080"
        monkeypatch.setitem(os.environ, "BIJLIGHAR_WEB_PUBLIC_URL", "https://bills.example/")
        assert Line(Home(line.home.path)).public_url == "https://bills.example"
