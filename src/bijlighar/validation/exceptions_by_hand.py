"""What people do with exceptions: take one, give it back, settle it; each step is kept, and in the audit."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.errors import InvalidValue
from bijlighar.base.lifecycle import IllegalStep, next_state
from bijlighar.base.text import NOTE_MAX, check_text
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.validation import exception_store, queries
from bijlighar.validation.errors import ExceptionChanged, NotTheHolder
from bijlighar.validation.exception_rules import outcomes_of
from bijlighar.validation.model import (
    EXCEPTION_STEPS,
    ExceptionEvent,
    ExceptionStep,
    Outcome,
    ValidationException,
)


def take(
    connection: Connection, *, number: int, revision: int, person: str, now: datetime
) -> ValidationException:
    """
    Take an open exception in hand, as a named person.

    :raises UnknownException: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person's role does not allow it.
    :raises ExceptionChanged: if it says something else than `revision` did, or is not open.
    """
    who, before = _in_hand(connection, number=number, revision=revision, person=person)
    after = replace(_stepped(before, ExceptionEvent.TAKE), taken_by=who, taken_at=now)
    return _write(connection, after, event=ExceptionEvent.TAKE, person=who, now=now)


def give_back(
    connection: Connection, *, number: int, revision: int, person: str, now: datetime
) -> ValidationException:
    """
    Put a taken exception back into the queue; a colleague may do it for who has taken it.

    :raises UnknownException: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person's role does not allow it.
    :raises ExceptionChanged: if it says something else than `revision` did, or is not taken.
    """
    who, before = _in_hand(connection, number=number, revision=revision, person=person)
    after = replace(_stepped(before, ExceptionEvent.GIVE_BACK), taken_by=None, taken_at=None)
    return _write(connection, after, event=ExceptionEvent.GIVE_BACK, person=who, now=now)


def settle(
    connection: Connection,
    *,
    number: int,
    revision: int,
    outcome: str,
    note: str,
    person: str,
    now: datetime,
) -> ValidationException:
    """
    Settle an exception that the person has taken, with an outcome and a reason.

    :raises UnknownException: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person's role does not allow it.
    :raises ExceptionChanged: if it says something else than `revision` did, or is not taken.
    :raises NotTheHolder: if somebody else has taken it.
    :raises InvalidValue: if the outcome does not fit the rule, or the reason is empty or no text.
    """
    who, before = _in_hand(connection, number=number, revision=revision, person=person)
    chosen = _outcome(before, outcome)
    reason = check_reason(note)
    after = _stepped(before, ExceptionEvent.SETTLE)
    if before.taken_by != who:
        raise NotTheHolder(f"{before.taken_by} has taken exception {number}; they settle it or give it back")
    after = replace(
        after,
        settled_by=who,
        settled_at=now,
        settled_intervals=before.finding.intervals,
        outcome=chosen,
        note=reason,
    )
    return _write(connection, after, event=ExceptionEvent.SETTLE, person=who, now=now)


def check_reason(note: str) -> str:
    """
    Return the reason why something is settled, without spaces round it.

    :raises InvalidValue: if it is empty or no text.
    """
    reason = check_text(note.strip(), what="the reason", letters_max=NOTE_MAX)
    if not reason:
        raise InvalidValue("the reason is empty; write why it is settled so")
    return reason


def _in_hand(
    connection: Connection, *, number: int, revision: int, person: str
) -> tuple[str, ValidationException]:
    """Return the name under which a person is stored, and the exception that they may work on, as they saw it."""
    who = offices.authorise(connection, sign_in=person, act=Act.WORK_EXCEPTION, office=None).sign_in
    found = queries.exception(connection, number=number, person=who, is_to_change=True)
    if found.revision != revision:
        raise ExceptionChanged(f"exception {number} was found anew meanwhile; look at it again")
    return who, found


def _stepped(exception: ValidationException, event: ExceptionEvent) -> ValidationException:
    try:
        return replace(exception, state=next_state(EXCEPTION_STEPS, exception.state, event))
    except IllegalStep:
        raise ExceptionChanged(
            f"exception {exception.number} is {exception.state.value}; it cannot be "
            f"{event.value.replace('_', ' ')} now"
        ) from None


def _outcome(exception: ValidationException, text: str) -> Outcome:
    for outcome in outcomes_of(exception.finding.rule):
        if outcome.value == text:
            return outcome
    known = ", ".join(outcome.value for outcome in outcomes_of(exception.finding.rule))
    raise InvalidValue(f"a finding of {exception.finding.rule.value} is settled as one of {known}")


def _write(
    connection: Connection,
    exception: ValidationException,
    *,
    event: ExceptionEvent,
    person: str,
    now: datetime,
) -> ValidationException:
    after = replace(exception, changed_at=now)
    exception_store.update_exception(connection, exception=after)
    step = ExceptionStep(
        exception=after.number,
        at=now,
        event=event,
        person=person,
        outcome=after.outcome,
        note=after.note,
    )
    exception_store.append_steps(connection, steps=[step])
    offices.record_act(
        connection,
        person=person,
        act=Act.WORK_EXCEPTION,
        subject=f"exception:{after.number}",
        detail={
            "event": event.value,
            "meter": after.finding.meter,
            "rule": after.finding.rule.value,
            "start": after.finding.start,
            "outcome": None if after.outcome is None else after.outcome.value,
            "note": after.note,
        },
        now=now,
    )
    return after
