"""What nobody answers goes to more and more people, and an acknowledgement that nobody acts on does not hold."""

from datetime import datetime

from bijlighar.alarms import changes, journal_store, recording, rules, store
from bijlighar.alarms.changes import Change
from bijlighar.alarms.model import AlarmTable
from bijlighar.alarms.table import shipped_table
from bijlighar.storage.engine import Database

ALARMS_PER_RUN = 1_000


def escalate_due(database: Database, *, now: datetime, table: AlarmTable | None = None) -> int:
    """
    Take each alarm to the levels that are due, and open again what was acknowledged and left; return how many lines.

    Each alarm goes to each level once while it waits. Acknowledged, it goes to none.
    """
    chosen = table or shipped_table()
    with database.read() as connection:
        if not store.count_due(connection, now=now, table=chosen):
            return 0
    found: list[Change] = []
    with database.write() as connection:
        journal_store.lock(connection)
        for alarm in store.due(connection, now=now, table=chosen, limit=ALARMS_PER_RUN):
            if rules.lapses(alarm, now=now, table=chosen):
                found.append(changes.lapsed(alarm, now=now))
            for level in rules.due_levels(alarm, now=now, table=chosen):
                found.append(changes.escalated(alarm, level=level, now=now))
        recording.record(connection, changes=found, now=now)
    return len(found)
