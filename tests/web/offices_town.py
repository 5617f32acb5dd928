"""A home with two town offices, their transformers, readings, a plan and money, at one moment of a demo's clock."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
from babel.messages.pofile import read_po

from bijlighar.balance import operations as balance
from bijlighar.balance import queries as balance_queries
from bijlighar.base.period import epoch_seconds, local_midnight
from bijlighar.headend import session_store
from bijlighar.headend.model import SESSION_OK
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.readings.model import Delivery, MeterEvent, Origin
from bijlighar.registry import operations as registry
from bijlighar.runtime.clock import set_demo_time
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.storage.schema import metadata
from bijlighar.validation import operations as validation
from bijlighar.validation import queries as validation_queries
from tests.offices.towns import OFFICES

FIRST = date(2025, 4, 1)
NOW = local_midnight(date(2025, 4, 4)) + timedelta(hours=12)
PEOPLE = {
    "engineer": ("CO", Role.ENGINEER),
    "keeper": ("CO", Role.STORE_KEEPER),
    "mhow": ("MHOW", Role.CLERK),
    "dhar": ("DHAR", Role.CLERK),
    "fitter": ("MHOW", Role.FITTER),
}
HEADER = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,"
    "phase,office,from\n"
)
CONSUMERS = {
    "M1": ("A1", "T1", "R"),
    "M2": ("A2", "T1", "Y"),
    "M3": ("A3", "T1", "B"),
    "D1": ("B1", "T2", "R"),
}
FEEDER_OF = {"T1": "F1", "T2": "F2"}
OFFICE_OF = {"T1": "MHOW", "T2": "DHAR"}
NAME = "कृष्णा शर्मा"


def registry_text() -> str:
    """Three consumers of Mhow below T1, one of Dhar below T2, and the meters of both transformers and feeders."""
    rows = [
        f"{account},{NAME} {account},LV-1.2,urban,2000,U-{account},{meter},single-phase,tcp://h:{port},"
        f"{transformer},{FEEDER_OF[transformer]},{phase},{OFFICE_OF[transformer]},2025-03-01"
        for port, (meter, (account, transformer, phase)) in enumerate(CONSUMERS.items(), start=1000)
    ]
    for place, (transformer, feeder) in enumerate(FEEDER_OF.items(), start=2000):
        office = OFFICE_OF[transformer]
        rows.append(
            f",,,,,,MT-{transformer},transformer,tcp://h:{place},{transformer},{feeder},,{office},2025-03-01"
        )
        rows.append(f",,,,,,MF-{feeder},feeder,tcp://h:{place + 100},,{feeder},,{office},2025-03-01")
    return HEADER + "\n".join(rows) + "\n"


@contextmanager
def opened_line(folder: Path, *, now: datetime = NOW) -> Iterator[Line]:
    """Open a home whose clock stands at `now`, with offices, people and a registry."""
    folder.mkdir(parents=True)
    (folder / "settings.toml").write_text("demo = true\n", encoding="utf-8")
    home = Home(folder)
    metadata.create_all(home.database.engine)
    set_demo_time(home.database, now=now)
    line = Line(home, worker="worker@test")
    with line.database.write() as connection:
        offices.import_offices(connection, text=OFFICES)
        for sign_in, (office, role) in PEOPLE.items():
            offices.add_person(
                connection, sign_in=sign_in, name=sign_in, office=office, roles=[role], now=now
            )
        registry.import_registry(connection, text=registry_text(), now=now)
    yield line
    home.database.close()


def deliver(line: Line, meter: str, *, wh: int, days: int = 3, leave_out: int = 0) -> None:
    """A meter's half-hours of some days from the first on, each of `wh` [Wh]; the last ones may be missing."""
    starts = epoch_seconds(local_midnight(FIRST)) + np.arange(48 * days - leave_out, dtype=np.int64) * 1800
    delivery = Delivery(
        meter=meter, minutes=30, starts=starts, values={"wh_import": np.full(len(starts), wh, dtype=np.int64)}
    )
    with line.database.write() as connection:
        readings.append(connection, deliveries=[delivery], now=NOW)


def close_days(line: Line) -> None:
    """Validate and balance until there is nothing left to do."""
    for _ in range(50):
        with line.database.read() as connection:
            unvalidated = validation_queries.pending(connection, now=NOW)
            due = balance_queries.pending(connection, now=NOW)
        if unvalidated:
            validation.validate_new(line.database, now=NOW)
        elif due:
            balance.close_day(line.database, now=NOW)
        else:
            return
    raise AssertionError("the step never comes to rest")


def read_all(line: Line, *, leave_out: int = 0) -> None:
    """Three days: T1 takes 400 Wh a half-hour of which 300 arrive; T2 takes 120 of which 100 do."""
    for meter in ("M1", "M2"):
        deliver(line, meter, wh=100)
    deliver(line, "M3", wh=100, leave_out=leave_out)
    deliver(line, "D1", wh=100)
    deliver(line, "MT-T1", wh=400)
    deliver(line, "MT-T2", wh=120)
    deliver(line, "MF-F1", wh=420)
    deliver(line, "MF-F2", wh=125)
    close_days(line)


def heard(line: Line, *meters: str, silent: Sequence[str] = (), at: datetime = NOW) -> None:
    """The head-end has asked these meters; the silent ones did not answer."""
    with line.database.write() as connection:
        session_store.write_schedules(
            connection,
            schedules=[
                session_store.Schedule(
                    meter=meter,
                    settled_day=0,
                    next_at=at,
                    failures=int(meter in silent),
                    last_code="headend.no-answer" if meter in silent else SESSION_OK,
                    last_try_at=at,
                    last_ok_at=None if meter in silent else at,
                )
                for meter in (*meters, *silent)
            ],
        )


def tell(line: Line, meter: str, code: int, *, at: datetime) -> None:
    """A meter's event becomes known."""
    event = MeterEvent(
        meter=meter, code=code, at=at, family="push", origin=Origin.METER, received_at=at, detail={}
    )
    with line.database.write() as connection:
        readings.append_events(connection, events=[event], now=at)


def english_of(*names: str) -> list[str]:
    """Return the English texts of templates as the catalogue of Hindi has them."""
    file = Path(__file__).parents[2] / "src/bijlighar/web/locale/hi/LC_MESSAGES/bijlighar.po"
    with file.open("rb") as opened:
        known = [str(message.id) for message in read_po(opened, locale="hi") if message.id]
    folder = Path(__file__).parents[2] / "src/bijlighar/web/templates/console"
    texts = "".join((folder / f"{name}.html").read_text(encoding="utf-8") for name in names)
    return [english for english in known if f'_("{english}"' in texts and "{" not in english]


def parsed_csv(body: bytes) -> list[dict[str, str]]:
    """Return the rows of an export as a spreadsheet reads them."""
    assert body.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))
