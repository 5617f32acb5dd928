"""A registry with three accounts."""

from datetime import UTC, datetime

import pytest

from bijlighar.registry.operations import import_registry
from bijlighar.storage.engine import Database

NOW = datetime(2025, 5, 2, 6, 0, tzinfo=UTC)
HEADER = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office"
)


def registry_text(*numbers: str) -> str:
    rows = [
        f"{number},Name {number},LV-1.2,urban,2000,UP-{number},M-{number},single-phase,,T-1,F-1,R,SNW"
        for number in numbers
    ]
    return "\n".join([HEADER, *rows]) + "\n"


@pytest.fixture
def ledger(database: Database) -> Database:
    """A database whose registry knows the accounts N1, N2 and N3."""
    with database.write() as connection:
        import_registry(connection, text=registry_text("N1", "N2", "N3"), now=NOW)
    return database
