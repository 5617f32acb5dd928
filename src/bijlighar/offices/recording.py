"""Recording an act in the audit."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection

from bijlighar.offices import rules, store
from bijlighar.offices.model import Act, AuditEntry

#: Who did an act that no signed-in person did (files taken in from the command line, the system's own steps).
SYSTEM = "system"


def record_act(
    connection: Connection,
    *,
    person: str,
    act: Act,
    subject: str,
    detail: Mapping[str, object],
    now: datetime,
) -> int:
    """
    Append an act to the audit, in the caller's transaction, and return its number.

    Other recording transactions wait until this one ends: record as the last thing.

    :raises UnrecordableDetail: if the detail is no JSON.
    """
    text = rules.canonical_json(detail)
    at = now.astimezone(UTC)
    last, previous_hash = store.lock_audit_head(connection)
    entry_hash = rules.hash_of_entry(
        number=last + 1,
        at=at,
        person=person,
        act=act,
        subject=subject,
        detail=text,
        previous_hash=previous_hash,
    )
    entry = AuditEntry(
        number=last + 1,
        at=at,
        person=person,
        act=str(act),
        subject=subject,
        detail=text,
        previous_hash=previous_hash,
        entry_hash=entry_hash,
    )
    store.append_audit(connection, entry=entry)
    return entry.number
