"""The siren is silenced for a minute, in a person's name: that acknowledges nothing, and any new P1 alarm ends it."""

from datetime import datetime, timedelta

from bijlighar.alarms import desk_store, journal_store, store
from bijlighar.alarms.errors import NothingToSilence
from bijlighar.alarms.model import JournalEvent, JournalLine, Silence
from bijlighar.base.errors import InvalidValue
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.storage.engine import Database

SILENCE_S_MAX = 60


def silence(database: Database, *, person: str, now: datetime, seconds: int = SILENCE_S_MAX) -> Silence:
    """
    Silence the siren, on the consoles and on the roof, for some seconds, and return until when.

    :raises InvalidValue: if it is for longer than a minute, or for no time.
    :raises NotPermitted: if the person may not silence the siren, or an office that they do not watch calls for it.
    :raises NothingToSilence: if no alarm calls for it.
    """
    if not 1 <= seconds <= SILENCE_S_MAX:
        raise InvalidValue(f"the siren can be silenced for 1 to {SILENCE_S_MAX} s, not for {seconds}")
    with database.write() as connection:
        journal_store.lock(connection)
        who = offices.authorise(connection, sign_in=person, act=Act.SILENCE_SIREN, office=None).sign_in
        calling = store.calling_offices(connection)
        for office in sorted(office for office in calling if office is not None):
            offices.authorise(connection, sign_in=person, act=Act.SILENCE_SIREN, office=office)
        if not calling:
            raise NothingToSilence("no alarm calls for the siren; nothing is to be silenced")
        given = Silence(person=who, started_at=now, until_at=now + timedelta(seconds=seconds))
        desk_store.add_silence(connection, added=given)
        line = JournalLine(
            number=0,
            at=now,
            event=JournalEvent.SILENCED,
            alarm=None,
            priority=None,
            office=None,
            person=who,
            detail=str(seconds),
        )
        journal_store.add(connection, lines=(line,))
        offices.record_act(
            connection,
            person=who,
            act=Act.SILENCE_SIREN,
            subject="siren",
            detail={"seconds": seconds},
            now=now,
        )
    return given
