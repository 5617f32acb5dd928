"""
What a person does with exceptions in two rooms at once: whoever sends one to the field orders a check of the meter.

Settling and ordering are one transaction. Of several, each is done in a transaction of its own under the same rules:
what is refused of one leaves the others as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from bijlighar.base.errors import BijligharError, InvalidValue
from bijlighar.rollout import operations as rollout
from bijlighar.storage.engine import Database
from bijlighar.validation import operations as validation
from bijlighar.validation.model import Outcome, ValidationException

#: A page of the queue; more is not taken at once.
AT_ONCE_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """An exception that a person has picked, as they saw it."""

    number: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of one that was picked: `refusal` says why nothing did."""

    number: int
    refusal: BijligharError | None = None


def subject_of(exception: int) -> str:
    """
    Return what a check is ordered for, as the roll-out keeps it.

    >>> subject_of(12)
    'exception:12'
    """
    return f"exception:{exception}"


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
    Settle an exception, and order a check of its meter if it is sent to the field.

    :raises UnknownException: if there is none of that number in the person's offices.
    :raises ExceptionChanged: if it says something else than `revision` did, or is not taken.
    :raises NotTheHolder: if somebody else has taken it.
    :raises InvalidValue: if the outcome does not fit the rule, or the reason is empty or no text.
    :raises NotPermitted: if the person may not settle it, or not send anybody to where the meter hangs.
    """
    settled = validation.settle(
        connection, number=number, revision=revision, outcome=outcome, note=note, person=person, now=now
    )
    if settled.outcome is Outcome.FIELD:
        rollout.order_check(
            connection,
            meter=settled.finding.meter,
            subject=subject_of(number),
            reason=settled.note,
            person=person,
            now=now,
        )
    return settled


def take_several(
    database: Database, *, picked: Sequence[Picked], person: str, now: datetime
) -> tuple[Done, ...]:
    """
    Take several exceptions in hand; each is told of alone.

    :raises InvalidValue: if none or too many are picked.
    """
    return _each(database, picked, partial(validation.take, person=person, now=now))


def give_back_several(
    database: Database, *, picked: Sequence[Picked], person: str, now: datetime
) -> tuple[Done, ...]:
    """
    Put several exceptions back into the queue; each is told of alone.

    :raises InvalidValue: if none or too many are picked.
    """
    return _each(database, picked, partial(validation.give_back, person=person, now=now))


def settle_several(
    database: Database, *, picked: Sequence[Picked], outcome: str, note: str, person: str, now: datetime
) -> tuple[Done, ...]:
    """
    Settle several exceptions that the person has taken, with one outcome and one reason; each is told of alone.

    :raises InvalidValue: if none or too many are picked, there is no such outcome, or the reason is empty or no text.
    """
    if outcome not in set(Outcome):
        raise InvalidValue("choose as what they are settled")
    validation.check_reason(note)
    return _each(database, picked, partial(settle, outcome=outcome, note=note, person=person, now=now))


def _each(
    database: Database, picked: Sequence[Picked], deed: Callable[..., ValidationException]
) -> tuple[Done, ...]:
    wanted = {each.number: each for each in picked}
    if not 0 < len(wanted) <= AT_ONCE_MAX:
        raise InvalidValue(f"{len(wanted)} exceptions are picked; pick 1 to {AT_ONCE_MAX}")
    done = []
    for each in wanted.values():
        try:
            with database.write() as connection:
                deed(connection, number=each.number, revision=each.revision)
        except BijligharError as problem:
            done.append(Done(number=each.number, refusal=problem))
        else:
            done.append(Done(number=each.number))
    return tuple(done)
