"""A small town on the real rooms: registry, ledger, notices, the head-end's commands. Only the meters are missing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection

from bijlighar.arrears import operations, queries
from bijlighar.arrears.model import Order, OrderState
from bijlighar.base.period import IST, local_date
from bijlighar.headend import control_queue, control_store, session_store
from bijlighar.headend import operations as headend
from bijlighar.headend.model import (
    SESSION_OK,
    CommandEvent,
    CommandState,
    ControlAction,
    ControlOrder,
    RelayReading,
    RelayState,
    SignedOrder,
)
from bijlighar.ledger import operations as ledger
from bijlighar.ledger.model import Head, HoldKind, NewPayment
from bijlighar.ledger.rules import bill_transfers
from bijlighar.notices import operations as notices
from bijlighar.notices import queries as notice_queries
from bijlighar.notices.model import Channel, ConsentAction, MessageState, MessageStatus, Purpose
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from tests.arrears.build import POLICY

PRIVATE_KEY = bytes(range(32))
OFFICES = """code,name_en,name_hi,level,parent
MPWZ,West Discom,पश्चिम क्षेत्र,company,
INDORE,Indore,इंदौर,circle,MPWZ
MHOW,Mhow,महू,town-office,INDORE
DEPALPUR,Depalpur,देपालपुर,town-office,INDORE
"""
PEOPLE = {
    "asha": ("MHOW", (Role.CLERK,)),
    "ravi": ("DEPALPUR", (Role.CLERK, Role.APPROVER)),
    "vijay": ("INDORE", (Role.APPROVER, Role.OPERATOR)),
    "meera": ("INDORE", (Role.CLERK, Role.APPROVER, Role.ENGINEER)),
}
HEADER = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,"
    "phase,office,phone"
)
START = datetime(2025, 4, 1, 6, 30, tzinfo=UTC)


def clock(day: date, hour: int = 12, minute: int = 0) -> datetime:
    """A moment of an IST day."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=IST).astimezone(UTC)


def sign(order: ControlOrder) -> SignedOrder:
    return headend.sign_order(order=order, private_key=PRIVATE_KEY)


@dataclass
class World:
    database: Database
    now: datetime = START
    payments: int = 0
    bills: int = 0
    relays: dict[str, bool] = field(default_factory=dict)

    def start(
        self, accounts: Sequence[str] = ("N1",), *, phone: bool = True, old: Sequence[str] = ()
    ) -> "World":
        rows = [
            f"{number},Name {number},LV-1.2,urban,2000,UP-{number},M-{number},single-phase,"
            f"{'' if number in old else f'tcp://10.0.0.1:{4000 + index}'},T-1,F-1,R,MHOW,"
            f"{f'98260{index:05d}' if phone else ''}"
            for index, number in enumerate(accounts)
        ]
        with self.database.write() as connection:
            offices.import_offices(connection, text=OFFICES)
            for name, (office, roles) in PEOPLE.items():
                offices.add_person(
                    connection, sign_in=name, name=name.title(), office=office, roles=roles, now=self.now
                )
            registry.import_registry(connection, text="\n".join([HEADER, *rows]) + "\n", now=self.now)
            for index in range(len(accounts) if phone else 0):
                notices.record_consent(
                    connection,
                    phone=f"98260{index:05d}",
                    action=ConsentAction.OPT_IN,
                    how="form",
                    text="yes",
                    now=self.now,
                )
        self.relays = {f"M-{number}": True for number in accounts}
        return self

    def at(self, day: date, hour: int = 12, minute: int = 0) -> "World":
        self.now = clock(day, hour, minute)
        return self

    # money

    def bill(
        self, account: str, *, paise: int = 150_000, issued_on: date, document: str | None = None
    ) -> str:
        self.bills += 1
        name = document or f"B{self.bills:04d}"
        with self.database.write() as connection:
            post_bill(
                connection, account=account, document=name, paise=paise, issued_on=issued_on, now=self.now
            )
        return name

    def pay(self, account: str, paise: int) -> str | None:
        self.payments += 1
        payment = NewPayment(
            provider="razorpay",
            payment_id=f"pay_{self.payments}",
            account=account,
            amount_paise=paise,
            method="upi",
            paid_at=self.now,
        )
        with self.database.write() as connection:
            ledger.receive(connection, payment=payment, now=self.now)
            return operations.release_paid(
                connection, account=account, now=self.now, signer=sign, policy=POLICY
            )

    def hold(self, account: str, paise: int, *, kind: HoldKind = HoldKind.CHEQUE) -> str | None:
        self.payments += 1
        with self.database.write() as connection:
            ledger.place_hold(
                connection,
                account=account,
                provider="counter",
                payment_id=f"cheque_{self.payments}",
                amount_paise=paise,
                kind=kind,
                now=self.now,
            )
            return operations.release_paid(
                connection, account=account, now=self.now, signer=sign, policy=POLICY
            )

    # notices

    def assess(self) -> int:
        return operations.assess(self.database, now=self.now, policy=POLICY)

    def serve_notices(self) -> None:
        """Every printed statutory notice is handed over today."""
        with self.database.write() as connection:
            for message in notice_queries.messages(connection, purpose=Purpose.STATUTORY_NOTICE):
                if message.channel is Channel.PRINT and message.state is not MessageState.DELIVERED:
                    notices.record_served(
                        connection,
                        account=message.account,
                        purpose=Purpose.STATUTORY_NOTICE,
                        reference=message.reference,
                        served_on=local_date(self.now),
                        proof="signed by the consumer",
                        by="asha",
                        now=self.now,
                    )

    def deliver_messages(self) -> None:
        """The provider takes and delivers what waits."""
        with self.database.write() as connection:
            for message in notice_queries.messages(connection):
                if message.channel is Channel.WHATSAPP and message.state is MessageState.QUEUED:
                    status = MessageStatus(
                        provider_id=f"wamid.{message.id}",
                        reference=f"m{message.id}",
                        state=MessageState.SENT,
                        at=self.now,
                    )
                    notices.record_status(connection, statuses=(status,), now=self.now)

    # meters

    def hear(self, *meters: str) -> None:
        """The head-end has collected these meters (or all) now."""
        with self.database.write() as connection:
            session_store.write_schedules(
                connection,
                schedules=[
                    session_store.Schedule(
                        meter=meter,
                        settled_day=0,
                        next_at=self.now,
                        failures=0,
                        short_tries=0,
                        last_code=SESSION_OK,
                        last_try_at=self.now,
                        last_ok_at=self.now,
                        model="",
                        event_numbers=(),
                        events_to=None,
                        drift_s=None,
                    )
                    for meter in meters or self.relays
                ],
            )

    def head_end_sends(self, order_id: str) -> None:
        """The command's octets leave."""
        with self.database.write() as connection:
            held = control_store.hold(connection, order_id=order_id)
            control_queue.settle(connection, held=held, event=CommandEvent.SEND, now=self.now)

    def head_end_ends(self, order_id: str, event: CommandEvent = CommandEvent.VERIFY) -> None:
        """The command comes to an end, or into doubt; a verified one has moved the relay."""
        with self.database.write() as connection:
            held = control_store.hold(connection, order_id=order_id)
            relay = None
            if event is CommandEvent.VERIFY:
                closed = held.command.action is ControlAction.RECONNECT
                self.relays[held.command.serial] = closed
                state = RelayState.CONNECTED if closed else RelayState.DISCONNECTED
                relay = RelayReading(output_state=closed, control_state=state, control_mode=1)
            control_queue.settle(
                connection,
                held=held,
                event=event,
                now=self.now,
                code=f"test.{event.name.lower()}",
                relay=relay,
            )

    def head_end_does(self, order_id: str, event: CommandEvent = CommandEvent.VERIFY) -> None:
        self.head_end_sends(order_id)
        self.head_end_ends(order_id, event)

    def command_state(self, order_id: str) -> CommandState | None:
        with self.database.read() as connection:
            command = control_store.command(connection, order_id=order_id)
        return None if command is None else command.state

    # arrears

    def draw(self, person: str = "asha", office: str = "MHOW") -> int:
        return operations.draw_up_list(
            self.database, office=office, person=person, now=self.now, policy=POLICY
        )

    def approve(self, number: int, person: str = "vijay") -> int:
        return operations.approve(self.database, number=number, person=person, now=self.now, policy=POLICY)

    def send(self) -> int:
        return operations.send_approved(self.database, now=self.now, policy=POLICY, signer=sign)

    def follow(self) -> int:
        return operations.follow_commands(self.database, now=self.now, signer=sign, policy=POLICY)

    def ensure(self) -> int:
        return operations.ensure_reconnects(self.database, now=self.now, signer=sign, policy=POLICY)

    def lines(self, number: int) -> tuple[Order, ...]:
        with self.database.read() as connection:
            return queries.list_lines(connection, number=number)

    def order_of(self, account: str) -> Order:
        """The newest order of an account."""
        with self.database.read() as connection:
            return queries.orders(connection, account=account)[-1]

    def state_of(self, account: str) -> OrderState:
        return self.order_of(account).state

    def reasons(self, account: str) -> set[str]:
        with self.database.read() as connection:
            return {reason.value for reason in queries.open_reasons(connection, account=account)}

    def messages(self, purpose: Purpose) -> list[str]:
        with self.database.read() as connection:
            return [message.account for message in notice_queries.messages(connection, purpose=purpose)]

    # the line up to a point

    def in_arrears(self, *accounts: str) -> "World":
        """April and May billed, unpaid; the notice queued on 21 June and served on the 22nd."""
        for account in accounts:
            self.at(date(2025, 5, 1)).bill(account, issued_on=date(2025, 5, 1))
            self.at(date(2025, 6, 1)).bill(account, issued_on=date(2025, 6, 1))
        self.at(date(2025, 6, 21)).assess()
        self.at(date(2025, 6, 22)).serve_notices()
        return self

    def approved(self, *accounts: str) -> "World":
        """Listed and approved on 14 July (a Monday), the last warning sent the same day."""
        self.in_arrears(*accounts).at(date(2025, 7, 14))
        self.hear()
        self.approve(self.draw())
        self.deliver_messages()
        self.now += timedelta(minutes=30)
        self.assess()
        return self

    def sent(self, *accounts: str) -> "World":
        """Sent on 17 July at 11:00."""
        self.approved(*accounts).at(date(2025, 7, 17), 11)
        self.hear()
        assert self.send() == len(accounts)
        return self

    def cut(self, *accounts: str) -> "World":
        """Cut and verified on 17 July at 11:00."""
        self.sent(*accounts)
        for account in accounts:
            self.head_end_does(f"A{self.order_of(account).number}-D")
        self.follow()
        return self


def post_bill(
    connection: Connection, *, account: str, document: str, paise: int, issued_on: date, now: datetime
) -> None:
    transfers = bill_transfers(
        account=account, document=document, lines=[(Head.ENERGY, paise)], business_date=issued_on
    )
    ledger.post(connection, transfers=transfers, now=now)
    ledger.open_due(
        connection,
        account=account,
        document=document,
        amount_paise=paise,
        issued_on=issued_on,
        due_on=issued_on + timedelta(days=POLICY.due_days),
        now=now,
    )
