"""The story of a demo's home in figures: what the line has done so far, and as whom it can be looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from types import MappingProxyType

from sqlalchemy import Connection

from bijlighar.alarms import queries as alarms
from bijlighar.arrears import queries as arrears
from bijlighar.arrears.model import Order
from bijlighar.balance import queries as balance
from bijlighar.balance.model import Level, Loss
from bijlighar.base.period import local_date, local_midnight
from bijlighar.base.words import Words
from bijlighar.billing import queries as bills
from bijlighar.headend import queries as headend
from bijlighar.ledger import queries as ledger
from bijlighar.offices import queries as offices
from bijlighar.offices.model import ROLE_NAMES, ROLES_OF_VIEW, Person, Role, View
from bijlighar.registry import queries as registry
from bijlighar.rollout import queries as rollout
from bijlighar.runtime.line import Line

#: What somebody of a role can try in a demo.
WHAT_TO_TRY: Mapping[Role, Words] = MappingProxyType(
    {
        Role.CLERK: Words(
            hi="वितरण केंद्र की विच्छेदन सूची बनाएँ, वैधानिक सूचना की तामीली दर्ज करें",
            en="draw up the town office's disconnection list, record a notice served",
        ),
        Role.APPROVER: Words(
            hi="इंदौर में सूची स्वीकृत करें या लौटाएँ, किसी उपभोक्ता पर रोक लगाएँ",
            en="approve a list at Indore, place a hold on an account",
        ),
        Role.OPERATOR: Words(
            hi="नियंत्रण केंद्र के अलार्म देखें, सायरन स्वीकार करें, सारी कटौती तुरंत रोकें",
            en="watch the alarms, acknowledge the siren, stop all cutting at once",
        ),
        Role.THEFT_OFFICER: Words(
            hi="छेड़छाड़ वाले मीटर पर विजिलेंस दल भेजें, हानि देखें",
            en="send a squad to a meter that was tampered with, look at the losses",
        ),
        Role.STORE_KEEPER: Words(
            hi="भंडार में आए मीटर चढ़ाएँ, फिटर को दें", en="take meters into the store, hand them to a fitter"
        ),
        Role.FITTER: Words(
            hi="पुराने मीटर की जगह स्मार्ट मीटर लगाना दर्ज करें", en="record a meter that was replaced"
        ),
        Role.ENGINEER: Words(
            hi="ट्रांसफार्मर की हानि, फीडर और मीटर लगाने की योजना देखें",
            en="look at transformers' losses, feeders, and the plan of the roll-out",
        ),
        Role.ADMIN: Words(
            hi="लोग और उनकी भूमिकाएँ, और हर काम का लेखा देखें",
            en="look at people and their roles, and at the record of every act",
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A person to sign in as: `roles` by name, `tries` what to try, `views` the pages that are open to them."""

    person: Person
    office: Words
    roles: tuple[Words, ...]
    tries: tuple[Words, ...]
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestConsumer:
    """A consumer to sign in as, and how the account stands; `owed_paise` [paise] is below zero where paid ahead."""

    account: str
    name: str
    owed_paise: int
    stands: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    What the line has done so far.

    Of the meters that communicate: `read_today` were read since midnight, `silent` did not answer when last asked.
    `arrears_paise` [paise] is past its due date, of `in_arrears` accounts; `off_now` supplies are off.
    `reconnection_median_s` [s] is the median from payment to verified reconnection by the home's clock, which stands
    still while the months of a demo are worked off: None without any. `worst` is the transformer with the highest
    share of loss in the last month.
    """

    now: datetime
    meters_planned: int
    meters_installed: int
    meters_communicating: int
    read_today: int
    silent: int
    bills: int
    billed_paise: int
    payments: int
    collected_paise: int
    in_arrears: int
    arrears_paise: int
    lists: int
    listed: int
    excluded: int
    cuts: int
    off_now: int
    reconnections: int
    reconnection_median_s: int | None
    alarms: int
    alarms_open: int
    sirens: int
    worst: Loss | None
    theft_suspected: int

    @property
    def read_today_pct(self) -> float | None:
        """Return the share of the communicating meters that were read today [%]; None without any."""
        return _pct(self.read_today, self.meters_communicating)

    @property
    def silent_pct(self) -> float | None:
        """Return the share of the communicating meters that are silent [%]; None without any."""
        return _pct(self.silent, self.meters_communicating)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What the first page of a demo tells."""

    figures: Figures
    guests: tuple[Guest, ...]
    consumers: tuple[GuestConsumer, ...]


def story(line: Line) -> Story:
    """Return the story of a home at its present moment."""
    now = line.now()
    with line.database.read() as connection:
        return Story(
            figures=figures(connection, now=now),
            guests=guests(connection),
            consumers=_consumers(connection),
        )


def guests(connection: Connection) -> tuple[Guest, ...]:
    """Return everybody who can be signed in as, by sign-in name."""
    names = {office.code: office.name for office in offices.offices(connection)}
    return tuple(
        Guest(
            person=person,
            office=names[person.office],
            roles=tuple(ROLE_NAMES[role] for role in Role if role in person.roles),
            tries=tuple(WHAT_TO_TRY[role] for role in Role if role in person.roles),
            views=tuple(view for view, roles in ROLES_OF_VIEW.items() if person.roles & roles),
        )
        for person in offices.people(connection)
        if person.active
    )


def figures(connection: Connection, *, now: datetime) -> Figures:
    """Return the figures of the line at `now`."""
    progress = rollout.progress(connection, now=now)
    speaking = {device.serial for device in registry.end_devices(connection, hung_at=now) if device.url}
    midnight = local_midnight(local_date(now))
    heard = headend.last_contact(connection)
    issued, billed_paise = bills.totals(connection)
    ageing = [row for row in arrears.ageing(connection) if row.overdue_paise > 0]
    totals = arrears.totals(connection)
    losses = _losses(connection, now=now)
    return Figures(
        now=now,
        meters_planned=progress.observed.planned,
        meters_installed=progress.observed.installed,
        meters_communicating=len(speaking),
        read_today=sum(1 for meter, at in heard.items() if meter in speaking and at >= midnight),
        silent=sum(1 for row in headend.silent_meters(connection) if row.meter in speaking),
        bills=issued,
        billed_paise=billed_paise,
        payments=len(ledger.payments(connection)),
        collected_paise=ledger.received_paise(connection),
        in_arrears=len(ageing),
        arrears_paise=sum(row.overdue_paise for row in ageing),
        lists=len(arrears.lists(connection)),
        listed=totals.listed,
        excluded=totals.excluded,
        cuts=totals.opened,
        off_now=sum(1 for reasons in arrears.all_open_reasons(connection).values() if reasons),
        reconnections=totals.reconnected,
        reconnection_median_s=median_reconnection_s(arrears.orders(connection)),
        alarms=alarms.count(connection),
        alarms_open=len(alarms.open_alarms(connection)),
        sirens=alarms.count_activations(connection),
        worst=max(
            (loss for loss in losses if loss.loss_pct is not None),
            key=lambda loss: (loss.loss_pct or 0.0, loss.code),
            default=None,
        ),
        theft_suspected=sum(1 for loss in losses if loss.theft_suspected),
    )


def median_reconnection_s(orders: Sequence[Order]) -> int | None:
    """Return the median [s] from the payment to the verified reconnection of what was cut, None without any."""
    took = [
        (order.closed_at - order.released_at).total_seconds()
        for order in orders
        if order.opened_at is not None and order.released_at is not None and order.closed_at is not None
    ]
    return int(median(took)) if took else None


def _losses(connection: Connection, *, now: datetime) -> tuple[Loss, ...]:
    days = balance.usual_range(connection, now=now)
    if days is None:
        return ()
    return balance.losses(connection, level=Level.TRANSFORMER, first=days[0], last=days[1])


def _consumers(connection: Connection) -> tuple[GuestConsumer, ...]:
    """Return one consumer whose supply is off, one who owes and one who owes nothing, as far as there are any."""
    owing = {due.account for due in ledger.open_dues(connection)}
    off = sorted(account for account, reasons in arrears.all_open_reasons(connection).items() if reasons)
    accounts = {account.number: account for account in registry.accounts(connection)}
    wanted = (
        (off, Words(hi="सप्लाई कटी है", en="supply is off")),
        (sorted(owing.difference(off)), Words(hi="बकाया है", en="owes")),
        (sorted(set(accounts).difference(owing, off)), Words(hi="सब चुकाया हुआ है", en="has paid everything")),
    )
    return tuple(
        GuestConsumer(
            account=numbers[0],
            name=accounts[numbers[0]].name,
            owed_paise=ledger.balance_paise(connection, account=numbers[0]),
            stands=stands,
        )
        for numbers, stands in wanted
        if numbers
    )


def _pct(part: int, whole: int) -> float | None:
    return 100.0 * part / whole if whole else None
