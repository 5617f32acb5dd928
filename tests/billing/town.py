"""A few accounts with their meters and readings, as the rooms before this one store them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np

from bijlighar.base.period import Month, Period, day_number, epoch_seconds, local_date, local_midnight
from bijlighar.base.words import Words
from bijlighar.billing.model import Payee
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.readings import queries as readings_queries
from bijlighar.readings.model import Delivery, Origin, Quality, RegisterKind, RegisterSnapshot
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from bijlighar.tariffs.model import Books
from bijlighar.tariffs.operations import load_books, shipped_books

APRIL = Month(year=2025, month=4)
MAY = Month(year=2025, month=5)
THIRD_OF_MAY = local_midnight(date(2025, 5, 3)) + timedelta(hours=9)
THIRD_OF_JUNE = local_midnight(date(2025, 6, 3)) + timedelta(hours=9)
START = local_midnight(date(2025, 3, 25))
PAYEE = Payee(
    name=Words(hi="मध्यप्रदेश पश्चिम क्षेत्र विद्युत वितरण कंपनी", en="MP Paschim Kshetra Vidyut Vitaran Co."),
    upi_id="bijlighar@upi",
)
LINKS = "https://bijlighar.example/bill"

OFFICES = """code,name_en,name_hi,level,parent
CO,Company,कंपनी,company,
T1,Rajwada,राजवाड़ा वितरण केंद्र,town-office,CO
"""
HEADER = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,"
    "phone,language,from"
)


def row(account: str, meter: str, **changes: str) -> str:
    """A line of a registry file."""
    cells = {
        "account": account,
        "name": "श्रीमती कृष्णा शर्मा",
        "category": "LV-1.2",
        "area": "urban",
        "sanctioned_w": "2000",
        "usage_point": f"UP-{account}",
        "meter": meter,
        "meter_type": "single-phase",
        "url": f"tcp://127.0.0.1:4{meter[-3:]}",
        "transformer": "T-07",
        "feeder": "F-2",
        "phase": "R",
        "office": "T1",
        "phone": "+919827012345",
        "language": "hi",
        "from": "",
    } | changes
    return ",".join(cells[column] for column in HEADER.split(","))


def shipped() -> Books:
    """The books that the package ships."""
    return load_books(shipped_books())


def register(database: Database, *rows: str, now: datetime = START) -> None:
    """Import accounts and meters."""
    with database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        registry.import_registry(connection, text="\n".join((HEADER, *rows)) + "\n", now=now)


def approver(database: Database) -> str:
    """A person who may correct and run bills."""
    with database.write() as connection:
        offices.add_person(
            connection, sign_in="ravi", name="Ravi", office="T1", roles=frozenset({Role.APPROVER}), now=START
        )
    return "ravi"


def measure(
    database: Database,
    meter: str,
    *,
    period: Period,
    wh: int = 200,
    minutes: int = 30,
    estimated: Sequence[int] = (),
    is_validated: bool = True,
    day_extra_wh: int = 0,
) -> None:
    """Store a meter's intervals of a period, each `wh`, more from 09 to 17, and validate them."""
    step_s = minutes * 60
    starts = np.arange(epoch_seconds(period.start), epoch_seconds(period.end), step_s, dtype=np.int64)
    of_day = (starts + 19_800) % 86_400
    values = np.where((of_day >= 9 * 3600) & (of_day < 17 * 3600), wh + day_extra_wh, wh)
    delivery = Delivery(
        meter=meter, minutes=minutes, starts=starts, values={"wh_import": values}, origin=Origin.METER
    )
    with database.write() as connection:
        readings.append(connection, deliveries=[delivery], now=period.end)
    if not is_validated:
        return
    first, last = (
        day_number(local_date(period.start)),
        day_number(local_date(period.end - timedelta(seconds=1))),
    )
    with database.write() as connection:
        for block in readings_queries.days(connection, meters=[meter], first=first, last=last):
            quality = np.where(block.quality == Quality.MEASURED, np.uint8(Quality.VALID), block.quality)
            for slot in estimated:
                quality[0, slot] = Quality.ESTIMATED
            readings.store_validated(
                connection,
                block=replace(block, quality=quality, validated=np.ones(block.rows, dtype=np.bool_)),
                now=period.end,
            )


def read_by_hand(
    database: Database,
    meter: str,
    *,
    on: date,
    wh: int,
    kind: RegisterKind = RegisterKind.HAND,
    hour: int = 11,
) -> None:
    """Store a register that a person read."""
    at = local_midnight(on) + timedelta(hours=hour)
    snapshot = RegisterSnapshot(meter=meter, at=at, kind=kind, wh_import=wh, origin=Origin.HAND)
    with database.write() as connection:
        readings.append_registers(connection, snapshots=[snapshot], now=at)
