"""What the operator's hands do in two rooms at once."""

from datetime import datetime

from bijlighar.alarms import operations as alarms
from bijlighar.notices import operations as notices
from bijlighar.notices.model import Purpose
from bijlighar.registry import queries as registry
from bijlighar.runtime.line import Line


def tell_consumer(line: Line, *, alarm: int, person: str, now: datetime) -> None:
    """
    Tell the consumer of an alarm that the meter will be checked, once for the alarm, in the person's name.

    It is noted first and queued then: where a process dies between the two, pressing again queues what is missing.

    :raises UnknownAlarm: if there is no such alarm.
    :raises NoConsumer: if the meter supplies no consumer.
    :raises NotPermitted: if the person may not write to consumers of the meter's office.
    """
    noted = alarms.record_message(
        line.database, number=alarm, text="a check of the meter is announced", person=person, now=now
    )
    with line.database.write() as connection:
        customer = registry.account(connection, number=noted.account or "")
        notices.queue(
            connection,
            account=customer.number,
            purpose=Purpose.METER_CHECK,
            key=f"alarm/{alarm}",
            facts={"name": customer.name, "done_at": noted.first_at.isoformat()},
            now=now,
        )
