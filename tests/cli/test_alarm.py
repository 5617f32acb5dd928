"""What the command line says of alarms."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bijlighar.alarms import operations
from bijlighar.cli.alarm import alarm
from bijlighar.readings import operations as readings
from bijlighar.runtime.home import Home
from tests.alarms.build import MAGNET, NOW, OVERLOAD, event
from tests.arrears.world import World

SECOND = timedelta(seconds=1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with a magnet at one meter and an overload at three."""
    opened = Home(tmp_path / "home")
    World(database=opened.database).start(("N1", "N2", "N3"))
    events = [
        event(MAGNET),
        *(event(OVERLOAD, meter=f"M-N{place}", at=NOW + place * SECOND) for place in (1, 2, 3)),
    ]
    with opened.database.write() as connection:
        readings.append_events(connection, events=events, now=NOW)
    operations.watch(opened.database, now=NOW)
    return opened


def run(home: Home, *words: object) -> Result:
    return CliRunner().invoke(alarm, [*map(str, words), "--home", str(home.path)], catch_exceptions=False)


def document(home: Home, *words: object) -> Any:
    return json.loads(run(home, *words, "--format", "json").stdout)


class TestList:
    def test_says_where_each_alarm_stands(self, home: Home):
        listed = document(home, "list")

        assert listed["siren_required"]
        assert {(each["feeder"], each["transformer"]) for each in listed["alarms"]} == {("F-1", "T-1")}
        assert len(listed["alarms"]) == 4

    def test_folds_one_event_into_one_line_and_never_a_tamper(self, home: Home):
        tamper, overload = document(home, "list", "--grouped")["rows"]

        assert (tamper["priority"], tamper["alarms"], tamper["guess"]) == (1, [1], None)
        assert (overload["priority"], overload["alarms"]) == (3, [2, 3, 4])
        assert overload["meters"] == ["M-N1", "M-N2", "M-N3"]
        assert overload["guess"]["en"] == "same transformer, all within 2 s"

    def test_prints_the_groups(self, home: Home):
        said = run(home, "list", "--grouped").stdout

        assert "the siren is called for" in said
        assert "same transformer" in " ".join(said.split())

    def test_groups_only_what_is_open(self, home: Home):
        refused = CliRunner().invoke(alarm, ["list", "--all", "--grouped", "--home", str(home.path)])

        assert refused.exit_code == 2
        assert "give either --all or --grouped" in refused.output


class TestShow:
    def test_tells_all_that_happened(self, home: Home):
        run(home, "ack", 1, "--as", "vijay", "--note", "squad sent")

        shown = document(home, "show", 1)

        assert (shown["number"], shown["meter"], shown["state"]) == (1, "M-N1", "acknowledged")
        assert [(line["event"], line["person"], line["detail"]) for line in shown["history"]] == [
            ("raised", None, ""),
            ("acknowledged", "vijay", "squad sent"),
        ]

    def test_prints_it(self, home: Home):
        run(home, "ack", 1, "--as", "vijay", "--note", "squad sent")
        said = " ".join(run(home, "show", 1).stdout.split())

        assert "Alarm 1, P1: Magnet influence" in said
        assert "acknowledged: squad sent" in said

    def test_refuses_an_unknown_alarm(self, home: Home):
        with pytest.raises(Exception, match="there is no alarm 7"):
            run(home, "show", 7)
