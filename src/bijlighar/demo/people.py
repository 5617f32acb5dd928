"""The people of a demo's town: each acts through the doors of the system, under a name of the system's."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from heapq import heappop, heappush

from bijlighar.alarms import operations as alarms
from bijlighar.alarms import queries as alarm_queries
from bijlighar.alarms.model import AlarmState
from bijlighar.arrears import operations as arrears
from bijlighar.arrears import queries as arrears_queries
from bijlighar.arrears.model import Ageing, ListState, Order, OrderState
from bijlighar.base.errors import BijligharError
from bijlighar.base.period import IST, local_date, local_time
from bijlighar.demo.patience import insist
from bijlighar.ledger import queries as ledger_queries
from bijlighar.notices import operations as notices
from bijlighar.notices import queries as notices_queries
from bijlighar.notices.model import Message, Purpose
from bijlighar.offices.model import Role
from bijlighar.readings import operations as readings
from bijlighar.rollout import operations as rollout
from bijlighar.runtime.documents import notice_link
from bijlighar.runtime.line import Line
from bijlighar.simulator.model import HandReadingRound, Installation, StockReceipt, Tamper, Town
from bijlighar.simulator.operations import ProviderControl, TownControl, url_of
from bijlighar.simulator.rules import pays_at


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Visit:
    """A payment that a consumer means to make."""

    at: datetime
    account: str
    in_the_dark: bool


class People:
    """Clerk, officer, operator, fitter, lineman and consumers of one town."""

    def __init__(
        self, *, line: Line, town: Town, meters: TownControl, providers: ProviderControl, port: int
    ) -> None:
        """Know the town's plan, the system's doors, the meters and the counter of the payment gateway."""
        self._line = line
        self._town = town
        self._meters = meters
        self._providers = providers
        self._port = port
        self._visits: list[Visit] = []
        self._planned: set[str] = set()
        self._noticed: dict[str, datetime] = {}
        self._unsigned: list[Message] = []
        self._home_on = {
            consumer.account: consumer.payer.home_on
            for consumer in town.consumers
            if consumer.payer.home_on is not None
        }
        self.noticed: dict[str, list[date]] = defaultdict(list)
        self.paid: list[tuple[str, datetime, int]] = []

    def person(self, role: Role) -> str:
        """Return the sign-in of the first person who has a role."""
        return next(person.sign_in for person in self._town.persons if role.value in person.roles)

    # ---- the town office -------------------------------------------------------------------------------------

    def hand_out_notices(self, now: datetime) -> None:
        """Print the statutory notices; the postman has them signed for as soon as somebody is at home."""
        clerk = self.person(Role.CLERK)
        with self._line.database.write() as connection:
            printed = notices_queries.print_list(connection)
            notices.hand_out_print_list(connection, office=None, now=now)
            self._unsigned += [each for each in printed if each.purpose is Purpose.STATUTORY_NOTICE]
            carried, self._unsigned = self._unsigned, []
            for message in carried:
                if local_date(now) < self._home_on.get(message.account, date.min):
                    self._unsigned.append(message)
                    continue
                notices.record_served(
                    connection,
                    account=message.account,
                    purpose=message.purpose,
                    reference=message.reference,
                    served_on=local_date(now),
                    proof=f"signed for by the consumer, sheet {message.id}",
                    by=clerk,
                    now=now,
                )
                self._noticed[message.account] = now
                self.noticed[message.account].append(local_date(now))

    def draw_up_list(self, now: datetime) -> None:
        """Draw up the list of the town office, where the ageing shows anybody new to list."""
        policy = self._line.policy
        with self._line.database.read() as connection:
            orders = arrears_queries.orders(connection)
            known = {order.account for order in orders if _counts(order)}
            listed_before = {order.account for order in orders}
            due = [
                row.account
                for row in arrears_queries.ageing(connection, office=self._town.office)
                if self._is_listable(row) and row.account not in known
            ]
        is_monday = now.astimezone(IST).weekday() == 0
        if due and (is_monday or not listed_before.issuperset(due)):
            arrears.draw_up_list(
                self._line.database,
                office=self._town.office,
                person=self.person(Role.CLERK),
                now=now,
                policy=policy,
            )

    def _is_listable(self, row: Ageing) -> bool:
        policy = self._line.policy
        if row.oldest_due_on is None or row.bills < policy.list_bills:
            return False
        return (row.on - row.oldest_due_on).days > policy.list_after_days

    def work_by_hand(self, now: datetime) -> None:
        """Do what has to be done at meters that cannot be reached or have no relay."""
        with self._line.database.read() as connection:
            waiting = arrears_queries.hand_work(connection, now=now, policy=self._line.policy)
        for work in waiting:
            if work.forbidden:
                continue
            insist(partial(self._meters.by_hand, account=work.order.account, connected=work.reconnect))
            with self._line.database.write() as connection:
                arrears.record_manual(
                    connection,
                    order=work.order.number,
                    done=True,
                    person=self.person(Role.CLERK),
                    now=now,
                    signer=self._line.sign,
                    policy=self._line.policy,
                )

    # ---- Indore ----------------------------------------------------------------------------------------------

    def approve_lists(self, now: datetime) -> None:
        """Approve what the town offices have sent."""
        with self._line.database.read() as connection:
            waiting = arrears_queries.lists(connection, state=ListState.DRAWN)
        for drawn in waiting:
            try:
                arrears.approve(
                    self._line.database,
                    number=drawn.number,
                    person=self.person(Role.APPROVER),
                    now=now,
                    policy=self._line.policy,
                    link=lambda reference: notice_link(self._line, reference),
                )
            except BijligharError as refused:
                if refused.code != "arrears.not-to-be-approved":
                    raise

    def acknowledge_alarms(self, now: datetime) -> None:
        """Acknowledge what sounds in the control room."""
        with self._line.database.read() as connection:
            sounding = alarm_queries.alarms(
                connection, states=(AlarmState.UNACKNOWLEDGED, AlarmState.CLEARED)
            )
        for alarm in sounding:
            alarms.acknowledge(
                self._line.database,
                number=alarm.number,
                person=self.person(Role.OPERATOR),
                now=now,
                note="squad sent",
            )

    # ---- what the plan of the town says ----------------------------------------------------------------------

    def act(self, action: StockReceipt | Installation | Tamper | HandReadingRound, now: datetime) -> None:
        """Do one planned action."""
        match action:
            case StockReceipt():
                self._receive(action, now)
            case Installation():
                self._install(action, now)
            case Tamper():
                insist(partial(self._meters.tamper, serial=action.serial, code=action.code))
            case HandReadingRound():
                self._read_by_hand(action, now)

    def _receive(self, receipt: StockReceipt, now: datetime) -> None:
        lines = ["serial,meter_type,store,box"]
        lines += [f"{serial},{receipt.kind},DEPALPUR,{receipt.reference}" for serial in receipt.serials]
        with self._line.database.write() as connection:
            rollout.receive_stock(
                connection, text="\n".join(lines) + "\n", person=self.person(Role.STORE_KEEPER), now=now
            )

    def _install(self, plan: Installation, now: datetime) -> None:
        keeper = self.person(Role.STORE_KEEPER)
        planner = self.person(Role.ENGINEER)
        url = url_of(town=self._town, serial=plan.new_serial, host="127.0.0.1", port=self._port)
        swap = insist(partial(self._meters.swap, usage_point=plan.usage_point))
        with self._line.database.write() as connection:
            order = rollout.order_installation(
                connection, usage_point=plan.usage_point, person=planner, now=now
            )
            rollout.issue_order(connection, number=order.number, fitter=plan.fitter, person=planner, now=now)
            rollout.issue_stock(
                connection, serials=[plan.new_serial], fitter=plan.fitter, person=keeper, now=now
            )
            rollout.install_meter(
                connection,
                number=order.number,
                meter=plan.new_serial,
                at=swap.at,
                old_register_wh=swap.final_wh,
                new_register_wh=swap.initial_wh,
                person=plan.fitter,
                now=now,
                url=url,
            )

    def _read_by_hand(self, plan: HandReadingRound, now: datetime) -> None:
        text = insist(partial(self._meters.hand_readings, plan.at))
        with self._line.database.write() as connection:
            readings.import_csv(connection, text=text, stamp="start", now=now)

    # ---- consumers -------------------------------------------------------------------------------------------

    def look_into_letterboxes(self, now: datetime) -> None:
        """Let every consumer who owes decide when to pay, from the bill, the notice, the warning or the dark."""
        with self._line.database.read() as connection:
            dues = ledger_queries.open_dues(connection)
            orders = {order.account: order for order in arrears_queries.orders(connection) if _counts(order)}
        oldest = {due.account: due for due in reversed(sorted(dues, key=lambda due: due.issued_on))}
        for consumer in self._town.consumers:
            due = oldest.get(consumer.account)
            if due is None or consumer.account in self._planned:
                continue
            order = orders.get(consumer.account)
            at = pays_at(
                consumer.payer,
                issued_at=local_time(due.issued_on, consumer.payer.at),
                noticed_at=self._noticed.get(consumer.account),
                warned_at=order.warned_at if order else None,
                cut_at=order.opened_at if order else None,
            )
            if at is not None:
                self._planned.add(consumer.account)
                heappush(
                    self._visits,
                    Visit(
                        at=max(at, now + timedelta(minutes=1)),
                        account=consumer.account,
                        in_the_dark=order is not None and order.opened_at is not None,
                    ),
                )

    @property
    def next_payment_at(self) -> datetime | None:
        """Return when the next consumer pays who sits in the dark: the clock stops for these, the others wait."""
        return min((visit.at for visit in self._visits if visit.in_the_dark), default=None)

    def pay(self, now: datetime) -> None:
        """Let every consumer pay everything open whose moment has come."""
        methods = {consumer.account: consumer.payer.method for consumer in self._town.consumers}
        while self._visits and self._visits[0].at <= now:
            visit = heappop(self._visits)
            self._planned.discard(visit.account)
            with self._line.database.read() as connection:
                owed_paise = ledger_queries.balance_paise(connection, account=visit.account)
            if owed_paise <= 0:
                continue
            insist(
                partial(
                    self._providers.pay,
                    account=visit.account,
                    amount_paise=owed_paise,
                    method=methods[visit.account],
                    at=now,
                    reference=f"{visit.account}/{visit.at.isoformat()}",
                )
            )
            self.paid.append((visit.account, now, owed_paise))


def _counts(order: Order) -> bool:
    return order.state not in (
        OrderState.CLOSED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
        OrderState.EXCLUDED,
    )
