"""The table of what raises an alarm that is shipped with the package."""

from functools import cache
from importlib import resources

from bijlighar.alarms import rules
from bijlighar.alarms.model import AlarmTable


@cache
def shipped_table() -> AlarmTable:
    """Return the table of what raises an alarm, and how it escalates, that is shipped with the package."""
    file = resources.files("bijlighar.alarms") / "sounds.toml"
    return rules.load_table(file.read_text(encoding="utf-8"))
