"""
A house with two towns below one circle, a person of every role at each place, and everything a page can show of A.

`OWN` (A) has alarms, lists, an order in hand, a proposal, an asked reading, bills, consumers with a session;
`OTHER` (B) has a transformer, consumers and a bill. Whatever is A's carries one of A's signs, so that a leak is seen.
"""

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import select

from bijlighar.alarms import operations as alarms
from bijlighar.alarms import queries as alarm_queries
from bijlighar.arrears.model import OrderState
from bijlighar.balance import operations as balance
from bijlighar.balance.model import CaseFinding, TheftKind
from bijlighar.base.period import Month, Period, day_number, local_date, local_midnight
from bijlighar.billing import operations as billing
from bijlighar.billing import queries as bills
from bijlighar.headend import operations as headend
from bijlighar.ledger.model import LinkRequest, PaymentLink
from bijlighar.notices.model import Accepted, Outgoing, SendResult
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.readings.model import EditKind, MeterEvent, Origin
from bijlighar.registry import operations as registry
from bijlighar.rollout import operations as rollout
from bijlighar.runtime import portal_access
from bijlighar.runtime.clock import set_demo_time, wall
from bijlighar.runtime.home import DATABASE_FILE, Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.schema import catalogue
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from bijlighar.validation import exception_queue
from bijlighar.validation import operations as edits
from bijlighar.validation import queries as validation
from bijlighar.validation import store as validation_store
from bijlighar.validation.model import EditReason, ExceptionFilter, Rule, Severity, ValidationFinding
from tests.arrears.build import POLICY
from tests.arrears.world import World
from tests.billing import town as billing_town

OWN, OTHER, ABOVE, COMPANY = "MHOW", "DEPALPUR", "INDORE", "MPWZ"
#: The tree of offices as the tests know it.
PARENT_OF: Mapping[str, str | None] = {OWN: ABOVE, OTHER: ABOVE, ABOVE: COMPANY, COMPANY: None}
PLACES = tuple(PARENT_OF)

IN_HAND, LISTED, WARNED = OWN_ACCOUNTS = ("KX710011", "KX710012", "KX710013")
OWN_BILLED, OTHER_BILLED = "KX710019", "ZY820029"
OTHER_ACCOUNT = "ZY820021"
ALL_OF_OWN = (*OWN_ACCOUNTS, OWN_BILLED)
TRANSFORMER, FEEDER = "T-1", "F-1"
DRAWING_DAY, SECOND_DRAWING_DAY = date(2025, 7, 14), date(2025, 7, 21)
EXCEPTION_DAY = date(2025, 7, 18)
TAMPER = 201
PAY_PAGE = "https://pay.example"


class FakeMessages:
    """Takes messages; `codes` are those that would stand on telephones."""

    def __init__(self) -> None:
        self.given: list[Outgoing] = []

    def send(self, *, outgoing: Outgoing) -> SendResult:
        self.given.append(outgoing)
        return Accepted(provider_id=f"wamid.{len(self.given)}")

    def close(self) -> None:
        return


class FakePayments:
    """Makes pages to pay on."""

    provider = "razorpay"

    def create_payment_link(self, *, request: LinkRequest) -> PaymentLink:
        return PaymentLink(
            link_id="plink_1", url=f"{PAY_PAGE}/1", amount_paise=request.amount_paise, is_open=True
        )

    def payment_link(self, *, link_id: str) -> PaymentLink:
        return PaymentLink(link_id=link_id, url=f"{PAY_PAGE}/1", amount_paise=1, is_open=True)

    def close(self) -> None:
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A person of one role at one place, signed in."""

    role: Role
    place: str
    token: str

    @property
    def sign_in(self) -> str:
        return sign_in_of(self.role, self.place)

    @property
    def reach(self) -> frozenset[str]:
        """The offices that this person may act for, worked out from the tree alone."""
        return frozenset(place for place in PLACES if self.place in chain(place))


@dataclass(slots=True, kw_only=True)
class House:
    """The opened home, who is signed in, and what its objects are called."""

    line: Line
    workers: tuple[Worker, ...]
    consumers: Mapping[str, str]
    values: Mapping[str, str]
    bill_of: Mapping[str, str]
    folder: Path
    pattern: Path | None = field(default=None)

    def worker(self, role: Role, place: str = OWN) -> Worker:
        return next(worker for worker in self.workers if (worker.role, worker.place) == (role, place))

    def restore(self) -> None:
        """Make every table what it was when the house was opened; SQLite only."""
        assert self.pattern is not None
        source, target = sqlite3.connect(self.pattern), sqlite3.connect(self.folder / DATABASE_FILE)
        source.backup(target)
        source.close()
        target.close()


class Watch:
    """Tells which tables have changed since it was made, by every row of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._mark = database.changes()
        self._before = fingerprint(database)
        self._mark.has_moved()

    def changed(self) -> list[str]:
        """The tables that are not what they were; nothing is read where nobody has committed anything."""
        if not self._mark.has_moved():
            return []
        now = fingerprint(self._database)
        return [name for name, rows in now.items() if rows != self._before[name]]

    def close(self) -> None:
        self._mark.close()


def fingerprint(database: Database) -> dict[str, tuple[int, str]]:
    """How many rows each table has and a hash over all of them; when a session was last seen is left out."""
    found: dict[str, tuple[int, str]] = {}
    with database.read() as connection:
        for table in catalogue().sorted_tables:
            columns = [column for column in table.c if column.name != "seen_at"]
            rows = sorted(map(repr, connection.execute(select(*columns))))
            found[table.name] = (len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())
    return found


def chain(place: str) -> tuple[str, ...]:
    """A place and all above it."""
    found: list[str] = []
    at: str | None = place
    while at is not None:
        found.append(at)
        at = PARENT_OF[at]
    return tuple(found)


def sign_in_of(role: Role, place: str) -> str:
    return f"{role.value}-{place.lower()}"


def signs_of_own(*, known: tuple[str, ...] = ()) -> list[str]:
    """Return what only A's pages may say: names, accounts, serials, places; without what was sent by who asks."""
    signs = [f"{kind}{account}" for account in ALL_OF_OWN for kind in ("Name ", "M-", "UP-")]
    signs += [account for account in ALL_OF_OWN]
    return [sign for sign in signs if not any(sign in said for said in known)]


@contextmanager
def opened_house(folder: Path, *, demo: bool = True) -> Iterator[House]:
    """Open a home on SQLite and fill it; it can be restored."""
    folder.mkdir(parents=True)
    (folder / "settings.toml").write_text(f"demo = {str(demo).lower()}\n", encoding="utf-8")
    home = Home(folder)
    metadata.create_all(home.database.engine)
    house = filled(Line(home, worker="worker@test"))
    house.pattern = folder / "pattern.sqlite"
    with home.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(folder / DATABASE_FILE, house.pattern)
    yield house
    home.database.close()


def filled(line: Line) -> House:
    """Fill an empty home whose tables stand."""
    line.message_gateway = FakeMessages()
    line.payment_gateway = FakePayments()
    world = World(database=line.database).start(OWN_ACCOUNTS)
    _people(line, world)
    _neighbours(line, world)
    bill_of = _bills(line)
    order, listed = _orders(line, world)
    numbers = {
        **_alarms(line, world),
        "exception": _exception(line, world),
        "case": _case(line, world),
        "check": _check(line, world),
        "edit": _edit(line, world),
        "seal": _seal(line, world),
    }
    set_demo_time(line.database, now=world.now)
    consumers = {
        account: portal_access.open_portal(line, account=account, wall=wall())
        for account in (*OWN_ACCOUNTS, OWN_BILLED, OTHER_BILLED)
    }
    with line.database.write() as connection:
        workers = tuple(
            Worker(
                role=role,
                place=place,
                token=offices.open_session(connection, sign_in=sign_in_of(role, place), wall=wall()).token,
            )
            for place in PLACES
            for role in Role
        )
    values = {**numbers, "order": str(order), "list": str(listed)}
    return House(
        line=line,
        workers=workers,
        consumers=consumers,
        values=values,
        bill_of=bill_of,
        folder=line.home.path,
    )


def _people(line: Line, world: World) -> None:
    with line.database.write() as connection:
        for place in PLACES:
            for role in Role:
                name = sign_in_of(role, place)
                offices.add_person(
                    connection, sign_in=name, name=name.title(), office=place, roles=[role], now=world.now
                )


def _neighbours(line: Line, world: World) -> None:
    """The other town's consumer, its transformer, and one consumer of each town who gets bills."""
    since = {"from": "2025-03-25", "phone": "+919827012345"}
    rows = [
        billing_town.row(
            account, f"M-{account}", name=f"Name {account}", transformer=transformer, feeder=feeder,
            office=office, url=f"tcp://10.0.0.9:{port}", **since,
        )
        for port, (account, transformer, feeder, office) in enumerate(
            (
                (OWN_BILLED, TRANSFORMER, FEEDER, OWN),
                (OTHER_BILLED, "T-2", "F-2", OTHER),
                (OTHER_ACCOUNT, "T-2", "F-2", OTHER),
            ),
            start=5000,
        )
    ]  # fmt: skip
    with line.database.write() as connection:
        registry.import_registry(
            connection, text="\n".join((billing_town.HEADER, *rows)) + "\n", now=world.now
        )


def _bills(line: Line) -> dict[str, str]:
    """A real bill of April for one consumer of each town."""
    for account in (OWN_BILLED, OTHER_BILLED):
        billing_town.measure(
            line.database,
            f"M-{account}",
            period=Period(start=local_midnight(date(2025, 3, 25)), end=local_midnight(date(2025, 5, 2))),
        )
    billing.issue_due(
        line.database,
        now=billing_town.THIRD_OF_MAY,
        books=billing_town.shipped(),
        due_days=10,
        month=billing_town.APRIL,
        bill_base_url=f"{line.public_url}/b/",
    )
    with line.database.read() as connection:
        return {bill.account: bill.number for bill in bills.bills(connection)}


def _orders(line: Line, world: World) -> tuple[int, int]:
    """One order that has gone to the town's hands, one list that waits to be approved."""
    world.in_arrears(*OWN_ACCOUNTS).at(DRAWING_DAY).hear()
    clerk, approver = sign_in_of(Role.CLERK, OWN), sign_in_of(Role.APPROVER, ABOVE)
    with line.database.write() as connection:
        registry.protect_account(
            connection,
            account=LISTED,
            kind="life_support",
            certificate="C-1",
            until=DRAWING_DAY + timedelta(days=2),
            by=clerk,
            now=world.now,
        )
    world.approve(world.draw(person=clerk), person=approver)
    world.deliver_messages()
    world.now += timedelta(minutes=30)
    world.assess()
    world.at(date(2025, 7, 17), 11).hear(f"M-{IN_HAND}", f"M-{WARNED}")
    world.now += timedelta(hours=POLICY.heard_within_hours + 1)
    world.at(SECOND_DRAWING_DAY, 11)
    world.send()
    order = next(
        world.order_of(account).number
        for account in (IN_HAND, WARNED)
        if world.state_of(account) is OrderState.MANUAL
    )
    return order, world.draw(person=clerk)


def _alarms(line: Line, world: World) -> dict[str, str]:
    """Two tampers of A: one that is looked at, with an asked reading, and one with a proposal."""
    operator = sign_in_of(Role.OPERATOR, OWN)
    for account in (LISTED, IN_HAND):
        event = MeterEvent(
            meter=f"M-{account}", code=TAMPER, at=world.now - timedelta(minutes=9), family="push",
            origin=Origin.METER, received_at=world.now, detail={},
        )  # fmt: skip
        with line.database.write() as connection:
            readings.append_events(connection, events=[event], now=world.now)
    alarms.watch(line.database, now=world.now)
    with line.database.read() as connection:
        number_of = {alarm.source: alarm.number for alarm in alarm_queries.open_alarms(connection)}
    looked_at, proposed = number_of[f"M-{LISTED}"], number_of[f"M-{IN_HAND}"]
    with line.database.write() as connection:
        headend.ask_reading(connection, meter=f"M-{LISTED}", person=operator, now=world.now)
    proposal = alarms.propose_cut(
        line.database, number=proposed, reason="Cover opened", person=operator, now=world.now
    )
    return {"alarm": str(looked_at), "proposal": str(proposal.number)}


def _case(line: Line, world: World) -> str:
    """A case of one of A's meters, of which theft is reported."""
    engineer = sign_in_of(Role.ENGINEER, OWN)
    found = balance.Found(
        finding=CaseFinding.THEFT,
        theft_kind=TheftKind.BYPASS,
        inspected_on=local_date(world.now),
        note="a wire round the meter",
    )
    with line.database.write() as connection:
        new = balance.NewCase(meter=f"M-{LISTED}", note="the reader saw a broken seal")
        made = balance.open_case(connection, new=new, person=sign_in_of(Role.CLERK, OWN), now=world.now)
        made = balance.assign_case(
            connection,
            number=made.number,
            revision=made.revision,
            to=engineer,
            note="",
            person=engineer,
            now=world.now,
        )
        balance.record_finding(
            connection,
            number=made.number,
            revision=made.revision,
            found=found,
            person=engineer,
            now=world.now,
        )
    return str(made.number)


def _check(line: Line, world: World) -> str:
    """A check on the spot of one of A's meters, ordered by its clerk."""
    with line.database.write() as connection:
        made = rollout.order_check(
            connection,
            meter=f"M-{WARNED}",
            subject="exception:999",
            reason="the meter stands still",
            person=sign_in_of(Role.CLERK, OWN),
            now=world.now,
        )
    return str(made.number)


def _edit(line: Line, world: World) -> str:
    """An edit of A's readings, proposed by its clerk."""
    with line.database.write() as connection:
        made = edits.propose_edit(
            connection,
            proposed=edits.Proposed(
                meter=f"M-{OWN_BILLED}",
                start=local_midnight(date(2025, 4, 12)),
                intervals=2,
                kind=EditKind.SET,
                reason=EditReason.COMPLAINT,
                note="a test of the fitter",
                values=(50,),
            ),
            person=sign_in_of(Role.CLERK, OWN),
            now=world.now,
        )
    return str(made.number)


def _seal(line: Line, world: World) -> str:
    """A sealed month of A: the last days of March."""
    with line.database.write() as connection:
        made = readings.seal_month(
            connection,
            month=Month(year=2025, month=3),
            office=OWN,
            note="billed",
            person=sign_in_of(Role.ENGINEER, OWN),
            now=world.now,
        )
    return str(made.number)


def _exception(line: Line, world: World) -> str:
    """A spike of A's that calls for a person."""
    start = local_midnight(EXCEPTION_DAY) + timedelta(hours=9)
    finding = ValidationFinding(
        rule=Rule.SPIKE, meter=f"M-{LISTED}", day=day_number(EXCEPTION_DAY), channel="wh_import", start=start,
        end=start + timedelta(minutes=30), intervals=1, severity=Severity.WARNING,
        facts={"greatest_wh": 90_000, "load_wh": 2_500},
    )  # fmt: skip
    with line.database.write() as connection:
        days = validation_store.replace_findings(
            connection,
            meter_days=[(finding.meter, finding.day)],
            minutes=30,
            findings=[finding],
            now=world.now,
        )
        exception_queue.follow(connection, meter_days=days, now=world.now)
        (found,) = validation.exceptions(
            connection, wish=ExceptionFilter(), person=sign_in_of(Role.CLERK, COMPANY)
        )
    return str(found.number)
