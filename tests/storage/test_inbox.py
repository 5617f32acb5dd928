from datetime import UTC, datetime

import pytest

from bijlighar.storage import inbox
from bijlighar.storage.engine import Database
from bijlighar.storage.inbox import InboxState, OversizedEvent, UnknownEvent

NOW = datetime(2026, 4, 1, 12, 0, tzinfo=UTC)


class TestStore:
    def test_keeps_the_first_of_an_event_as_it_came(self, database: Database):
        with database.write() as connection:
            assert inbox.store(
                connection, provider="pay", event_id="e1", body=b"\x00{1}", headers={"X-Sign": "ab"}, now=NOW
            )
            assert not inbox.store(connection, provider="pay", event_id="e1", body=b"other", now=NOW)
            assert inbox.store(connection, provider="wa", event_id="e1", body=b"", now=NOW)

        with database.read() as connection:
            row = inbox.load(connection, provider="pay", event_id="e1")
        assert (row.body, row.headers, row.received_at) == (b"\x00{1}", {"X-Sign": "ab"}, NOW)
        assert row.state == InboxState.NEW

    def test_refuses_a_flood(self, database: Database):
        with database.write() as connection, pytest.raises(OversizedEvent):
            inbox.store(connection, provider="pay", event_id="e1", body=b"x" * 1_000_001, now=NOW)


class TestLoad:
    def test_refuses_what_never_came(self, database: Database):
        with database.read() as connection, pytest.raises(UnknownEvent):
            inbox.load(connection, provider="pay", event_id="e1")


class TestSettle:
    def test_happens_once(self, database: Database):
        with database.write() as connection:
            inbox.store(connection, provider="pay", event_id="e1", body=b"", now=NOW)
            inbox.store(connection, provider="pay", event_id="e2", body=b"", now=NOW)
            inbox.settle(
                connection, provider="pay", event_id="e1", state=InboxState.REFUSED, note="forged", now=NOW
            )

            assert inbox.load(connection, provider="pay", event_id="e1").note == "forged"
            assert inbox.unsettled(connection, provider="pay", limit=10) == ("e2",)
            with pytest.raises(UnknownEvent):
                inbox.settle(
                    connection, provider="pay", event_id="e1", state=InboxState.DONE, note="", now=NOW
                )
