"""The whole catalogue of tables: importing the rooms' doors registers them; the migrations bring a database to it."""

from sqlalchemy import MetaData

from bijlighar.alarms import operations as alarms
from bijlighar.arrears import operations as arrears
from bijlighar.balance import operations as balance
from bijlighar.billing import operations as billing
from bijlighar.headend import operations as headend
from bijlighar.ledger import operations as ledger
from bijlighar.notices import operations as notices
from bijlighar.offices import operations as offices
from bijlighar.readings import operations as readings
from bijlighar.registry import operations as registry
from bijlighar.rollout import operations as rollout
from bijlighar.runtime import clock, payment_store, portal_store, progress
from bijlighar.storage import inbox, jobs, migration, sequences
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from bijlighar.validation import operations as validation

#: Whatever defines tables: imported here so that the catalogue is whole.
HOLDERS = (
    *(sequences, jobs, inbox, clock, progress, portal_store, payment_store),
    *(
        offices,
        registry,
        readings,
        validation,
        balance,
        headend,
        notices,
        ledger,
        billing,
        arrears,
        rollout,
        alarms,
    ),
)


def catalogue() -> MetaData:
    """Return the catalogue with the tables of every room."""
    return metadata


def migrate(database: Database) -> None:
    """Bring the database to the newest schema."""
    migration.upgrade(database, catalogue=catalogue())
