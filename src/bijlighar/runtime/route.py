"""
The straight line: this list *is* the system's order of work.

Each step calls one door, is idempotent, restartable, bounded per call and counted, and says beside `run` what is
`pending` for it. A step that a person takes (the list, its approval) stands here with its door and no run.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from bijlighar.alarms import operations as alarms
from bijlighar.alarms import queries as alarm_queries
from bijlighar.arrears import operations as arrears
from bijlighar.arrears import queries as arrears_queries
from bijlighar.balance import operations as balance
from bijlighar.balance import queries as balance_queries
from bijlighar.base.words import Words
from bijlighar.headend import operations as headend
from bijlighar.headend import queries as headend_queries
from bijlighar.notices import operations as notices
from bijlighar.notices import queries as notices_queries
from bijlighar.rollout import operations as rollout
from bijlighar.rollout import queries as rollout_queries
from bijlighar.runtime import billing_run, payments, portal_access
from bijlighar.runtime.clock import wall
from bijlighar.runtime.documents import notice_link
from bijlighar.runtime.line import Line
from bijlighar.storage import jobs
from bijlighar.validation import operations as validation
from bijlighar.validation import queries as validation_queries

Run = Callable[[Line, datetime], int | Awaitable[int]]
Pending = Callable[[Line, Connection, datetime], int]


class Process(StrEnum):
    """Who takes a step: a process, the worker's thread that speaks with the siren, or a person."""

    HEADEND = "headend"
    WORKER = "worker"
    PERSON = "person"
    SIREN = "siren"


class Lane(StrEnum):
    """Which of the worker's threads takes a step: bulk work never delays a payment, a relay or an alarm."""

    ALARM = "alarm"
    PROMPT = "prompt"
    BULK = "bulk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the line."""

    number: int
    name: str
    fact: Words
    door: str
    pulls_from: str
    process: Process
    lane: Lane = Lane.BULK
    run: Run
    pending: Pending


async def _collect(line: Line, now: datetime) -> int:
    report = await headend.collect_due(line.database, now=now, head_end=line.head_end)
    await headend.synchronise_clocks(line.database, clock=line.home.clock, head_end=line.head_end)
    return report.meter_days


async def _control(line: Line, now: datetime) -> int:
    return await headend.run_control_due(line.database, now=now, wall=wall(), head_end=line.head_end)


async def _read_now(line: Line, now: datetime) -> int:
    return await headend.read_asked(line.database, now=now, wall=wall(), head_end=line.head_end)


def _send_messages(line: Line, now: datetime) -> int:
    gateway = line.message_gateway
    if gateway is None:
        return 0
    return notices.send_due(line.database, now=now, wall=wall(), gateway=gateway, worker=line.worker)


def _messages_pending(line: Line, connection: Connection, now: datetime) -> int:
    return notices_queries.pending(connection, now=now) if line.message_gateway is not None else 0


def _codes_pending(line: Line, connection: Connection, now: datetime) -> int:
    return portal_access.pending(connection, now=now) if portal_access.can_send_codes(line) else 0


def _assess(line: Line, now: datetime) -> int:
    queued = arrears.assess(
        line.database, now=now, policy=line.policy, link=lambda reference: notice_link(line, reference)
    )
    return max(queued, 1)


def _nobody(_line: Line, _now: datetime) -> int:
    return 0


def _nothing(_line: Line, _connection: Connection, _now: datetime) -> int:
    return 0


def _follow(line: Line, now: datetime) -> int:
    followed = arrears.follow_commands(line.database, now=now, signer=line.sign, policy=line.policy)
    return followed + arrears.ensure_reconnects(line.database, now=now, signer=line.sign, policy=line.policy)


ROUTE: tuple[Step, ...] = (
    Step(
        number=1,
        name="collect",
        fact=Words(hi="मीटर पढ़े गए", en="frames become readings"),
        door="headend.operations.collect_due",
        pulls_from="schedule, registry",
        process=Process.HEADEND,
        run=_collect,
        pending=lambda line, connection, now: headend_queries.pending_collect(
            connection, now=now, settings=line.head_end_settings
        ),
    ),
    Step(
        number=1,
        name="read-now",
        fact=Words(hi="माँगे जाने पर मीटर तुरंत पढ़ा गया", en="a meter is read at once because a person asks"),
        door="headend.operations.read_asked",
        pulls_from="requests of people",
        process=Process.HEADEND,
        run=_read_now,
        pending=lambda _line, connection, now: headend_queries.pending_asked(connection, now=now),
    ),
    Step(
        number=3,
        name="validate",
        fact=Words(hi="रीडिंग जाँची या आंकलित की गई", en="readings are validated or estimated"),
        door="validation.operations.validate_new",
        pulls_from="raw readings after the watermark",
        process=Process.WORKER,
        run=lambda line, now: validation.validate_new(line.database, now=now),
        pending=lambda _line, connection, now: validation_queries.pending(connection, now=now),
    ),
    Step(
        number=4,
        name="balance",
        fact=Words(hi="लाइन लॉस निकाला गया", en="losses are known"),
        door="balance.operations.close_day",
        pulls_from="validated readings",
        process=Process.WORKER,
        run=lambda line, now: balance.close_day(line.database, now=now),
        pending=lambda _line, connection, now: balance_queries.pending(connection, now=now),
    ),
    Step(
        number=5,
        name="bill",
        fact=Words(hi="बिल बना, खाते में चढ़ा", en="bills are issued and posted"),
        door="billing.operations.issue_due",
        pulls_from="the validated month",
        process=Process.WORKER,
        run=billing_run.issue_due,
        pending=billing_run.pending,
    ),
    Step(
        number=6,
        name="message",
        fact=Words(hi="संदेश भेजे गए", en="messages are sent"),
        door="notices.operations.send_due",
        pulls_from="outbox",
        process=Process.WORKER,
        run=_send_messages,
        pending=_messages_pending,
    ),
    Step(
        number=6,
        name="code",
        fact=Words(hi="उपभोक्ता को सत्यापन कोड भेजा गया", en="sign-in codes are sent"),
        door="runtime.portal_access.send_codes",
        pulls_from="requests on the consumers' page",
        process=Process.WORKER,
        lane=Lane.PROMPT,
        run=lambda line, now: portal_access.send_codes(line, now=now, wall=wall()),
        pending=_codes_pending,
    ),
    Step(
        number=7,
        name="assess",
        fact=Words(hi="बकाया आँका गया, सूचना दी गई", en="arrears are aged, notices are due"),
        door="arrears.operations.assess",
        pulls_from="ledger, bills",
        process=Process.WORKER,
        run=_assess,
        pending=lambda line, connection, now: arrears_queries.pending_assess(
            connection, now=now, policy=line.policy
        ),
    ),
    Step(
        number=8,
        name="list",
        fact=Words(hi="नगर कार्यालय ने सूची बनाई", en="the town office draws up the list"),
        door="arrears.operations.draw_up_list",
        pulls_from="ageing, served notices",
        process=Process.PERSON,
        run=_nobody,
        pending=_nothing,
    ),
    Step(
        number=9,
        name="approve",
        fact=Words(hi="इंदौर में दूसरे व्यक्ति ने स्वीकृति दी", en="another person at Indore approves it"),
        door="arrears.operations.approve",
        pulls_from="the list",
        process=Process.PERSON,
        run=_nobody,
        pending=_nothing,
    ),
    Step(
        number=10,
        name="send",
        fact=Words(hi="विच्छेदन आदेश फिर जाँचकर भेजे गए", en="orders are decided again and sent"),
        door="arrears.operations.send_approved",
        pulls_from="approved orders",
        process=Process.WORKER,
        lane=Lane.PROMPT,
        run=lambda line, now: arrears.send_approved(
            line.database, now=now, policy=line.policy, signer=line.sign
        ),
        pending=lambda line, connection, now: arrears_queries.pending_send(
            connection, now=now, policy=line.policy
        ),
    ),
    Step(
        number=10,
        name="relay",
        fact=Words(hi="रिले खोला या जोड़ा गया, पढ़कर पुष्टि हुई", en="the relay is moved and read back"),
        door="headend.operations.run_control_due",
        pulls_from="signed orders",
        process=Process.HEADEND,
        run=_control,
        pending=lambda _line, connection, now: headend_queries.pending_control(connection, now=now),
    ),
    Step(
        number=11,
        name="payment",
        fact=Words(hi="भुगतान जमा हुआ, आपूर्ति छोड़ी गई", en="payments are posted and release what they cover"),
        door="runtime.payments.settle_due",
        pulls_from="inbox",
        process=Process.WORKER,
        lane=Lane.PROMPT,
        run=lambda line, now: payments.settle_due(line, now=now),
        pending=lambda _line, connection, now: jobs.pending(connection, kinds=(payments.FETCH,), now=now),
    ),
    Step(
        number=12,
        name="follow",
        fact=Words(hi="आदेशों का परिणाम दर्ज, आपूर्ति बहाल", en="results are followed, supply is restored"),
        door="arrears.operations.follow_commands",
        pulls_from="finished commands",
        process=Process.WORKER,
        lane=Lane.PROMPT,
        run=_follow,
        pending=lambda _line, connection, now: arrears_queries.pending_follow(connection, now=now),
    ),
    Step(
        number=13,
        name="watch",
        fact=Words(hi="छेड़छाड़ पर अलार्म", en="alarms follow all facts"),
        door="alarms.operations.watch",
        pulls_from="events",
        process=Process.WORKER,
        lane=Lane.ALARM,
        run=lambda line, now: alarms.watch(line.database, now=now),
        pending=lambda _line, connection, _now: alarm_queries.pending(connection),
    ),
    Step(
        number=13,
        name="escalate",
        fact=Words(hi="अनुत्तरित अलार्म ऊपर सूचित", en="unanswered alarms go to more people"),
        door="alarms.operations.escalate_due",
        pulls_from="alarms that nobody answers",
        process=Process.WORKER,
        lane=Lane.PROMPT,
        run=lambda line, now: alarms.escalate_due(line.database, now=now),
        pending=lambda _line, connection, now: alarm_queries.due(connection, now=now),
    ),
    Step(
        number=13,
        name="siren",
        fact=Words(hi="सायरन बजा या रुका", en="the siren sounds or is still"),
        door="alarms.operations.drive_siren",
        pulls_from="unacknowledged alarms",
        process=Process.SIREN,
        run=_nobody,
        pending=lambda _line, connection, _now: int(alarm_queries.siren_behind(connection)),
    ),
    Step(
        number=14,
        name="commission",
        fact=Words(hi="नया मीटर पहली बार पढ़ा गया, चालू हुआ", en="a new meter is read and commissioned"),
        door="rollout.operations.commission_read",
        pulls_from="first readings",
        process=Process.WORKER,
        run=lambda line, now: rollout.commission_read(line.database, now=now),
        pending=lambda _line, connection, now: rollout_queries.pending(connection, now=now),
    ),
)
