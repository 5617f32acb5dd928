"""Sending somebody to a meter: order a check, give it to a fitter, say what was found or why it could not be done."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.lifecycle import IllegalStep, next_state
from bijlighar.base.text import CODE_MAX, NOTE_MAX, check_text
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.registry import queries as registry
from bijlighar.rollout import check_store, queries
from bijlighar.rollout.checks import CHECK_STEPS, Check, CheckEvent, CheckFinding, CheckState
from bijlighar.rollout.errors import CannotPlan, CheckChanged
from bijlighar.rollout.permission import LOCK
from bijlighar.storage import sequences


def order_check(
    connection: Connection, *, meter: str, subject: str, reason: str, person: str, now: datetime
) -> Check:
    """
    Order a check of a meter on the spot, for what another room calls `subject`, and return it.

    A meter for which somebody has still to go is not ordered twice: its order is told of the new subject too.

    :raises UnknownEndDevice: if there is no such meter.
    :raises NotPermitted: if the person may not order it in the office where the meter hangs.
    :raises CannotPlan: if the reason is empty.
    """
    serial = check_text(meter, what="the meter", letters_max=CODE_MAX)
    named = check_text(subject, what="what it is for", letters_max=CODE_MAX)
    said = _said(reason)
    registry.end_device(connection, serial=serial)
    hung = sorted(
        registry.hangings(connection, meters=[serial]).get(serial, ()), key=lambda each: each.from_at
    )
    place = next((each for each in hung if each.hangs_at(now)), hung[-1] if hung else None)
    office = None if place is None else place.office
    who = offices.authorise(connection, sign_in=person, act=Act.ORDER_CHECK, office=office).sign_in
    sequences.take(connection, name=LOCK)  # of two who order the second sees the first
    known = check_store.select_open(connection, meter=serial)
    if known is not None:
        check_store.add_subject(connection, check=known.number, subject=named)
        return known
    check = Check(
        number=0,
        meter=serial,
        usage_point=None if place is None else place.usage_point,
        account=None if place is None else place.account,
        transformer=None if place is None else place.transformer,
        office=office,
        state=CheckState.PLANNED,
        revision=1,
        reason=said,
        ordered_by=who,
        ordered_at=now,
    )
    check = replace(check, number=check_store.insert_check(connection, check=check))
    check_store.add_subject(connection, check=check.number, subject=named)
    _record(connection, check, act=Act.ORDER_CHECK, event="order", person=who, note=said, now=now)
    return check


def issue_check(
    connection: Connection, *, number: int, revision: int, fitter: str, person: str, now: datetime
) -> Check:
    """
    Give a check to a fitter.

    :raises UnknownCheck: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person may not plan for its office.
    :raises CheckChanged: if it is not planned, or is not what `revision` was.
    :raises CannotPlan: if no fitter is named.
    """
    name = check_text(" ".join(fitter.split()), what="the fitter's name", letters_max=CODE_MAX)
    if not name:
        raise CannotPlan("give the fitter who takes the order")
    check, who = _stepped(
        connection,
        number=number,
        revision=revision,
        event=CheckEvent.ISSUE,
        act=Act.PLAN_ROLLOUT,
        person=person,
    )
    check = replace(check, fitter=name, issued_at=now)
    return _write(
        connection, check, act=Act.PLAN_ROLLOUT, event=CheckEvent.ISSUE, person=who, note=name, now=now
    )


def report_check(
    connection: Connection,
    *,
    number: int,
    revision: int,
    finding: CheckFinding,
    note: str,
    person: str,
    now: datetime,
) -> Check:
    """
    Say what was found on the spot, which ends the check.

    :raises UnknownCheck: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person may not work at meters of its office.
    :raises CheckChanged: if no fitter has it, or it is not what `revision` was.
    :raises CannotPlan: if nothing is said.
    """
    said = _said(note)
    check, who = _stepped(
        connection,
        number=number,
        revision=revision,
        event=CheckEvent.REPORT,
        act=Act.INSTALL_METER,
        person=person,
    )
    check = replace(check, finding=finding, note=said, ended_by=who, ended_at=now)
    return _write(
        connection, check, act=Act.INSTALL_METER, event=CheckEvent.REPORT, person=who, note=said, now=now
    )


def fail_check(
    connection: Connection, *, number: int, revision: int, reason: str, person: str, now: datetime
) -> Check:
    """
    Record that a check could not be done, and why; it can be planned again.

    :raises UnknownCheck: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person may not work at meters of its office.
    :raises CheckChanged: if no fitter has it, or it is not what `revision` was.
    """
    said = _said(reason)
    check, who = _stepped(
        connection,
        number=number,
        revision=revision,
        event=CheckEvent.FAIL,
        act=Act.INSTALL_METER,
        person=person,
    )
    return _write(
        connection,
        replace(check, note=said),
        act=Act.INSTALL_METER,
        event=CheckEvent.FAIL,
        person=who,
        note=said,
        now=now,
    )


def plan_check_again(
    connection: Connection, *, number: int, revision: int, person: str, now: datetime
) -> Check:
    """
    Plan a check that could not be done again.

    :raises UnknownCheck: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person may not plan for its office.
    :raises CheckChanged: if it has not failed, or is not what `revision` was.
    """
    check, who = _stepped(
        connection,
        number=number,
        revision=revision,
        event=CheckEvent.PLAN_AGAIN,
        act=Act.PLAN_ROLLOUT,
        person=person,
    )
    return _write(
        connection,
        replace(check, fitter=None, issued_at=None),
        act=Act.PLAN_ROLLOUT,
        event=CheckEvent.PLAN_AGAIN,
        person=who,
        note="",
        now=now,
    )


def cancel_check(
    connection: Connection, *, number: int, revision: int, reason: str, person: str, now: datetime
) -> Check:
    """
    Cancel a check, and say why.

    :raises UnknownCheck: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person may not plan for its office.
    :raises CheckChanged: if it has ended, or is not what `revision` was.
    """
    said = _said(reason)
    check, who = _stepped(
        connection,
        number=number,
        revision=revision,
        event=CheckEvent.CANCEL,
        act=Act.PLAN_ROLLOUT,
        person=person,
    )
    check = replace(check, note=said, ended_by=who, ended_at=now)
    return _write(
        connection, check, act=Act.PLAN_ROLLOUT, event=CheckEvent.CANCEL, person=who, note=said, now=now
    )


def _stepped(
    connection: Connection, *, number: int, revision: int, event: CheckEvent, act: Act, person: str
) -> tuple[Check, str]:
    """Return a check after a step, locked and not yet written, and who takes the step."""
    found = queries.check(connection, number=number, person=person, is_to_change=True)
    who = offices.authorise(connection, sign_in=person, act=act, office=found.office).sign_in
    try:
        state = next_state(CHECK_STEPS, found.state, event)
    except IllegalStep:
        raise CheckChanged(
            f"check {number} is {found.state.value}; this cannot be done with it now"
        ) from None
    if found.revision != revision:
        raise CheckChanged(f"check {number} changed meanwhile; look at it again")
    return replace(found, state=state, revision=revision + 1), who


def _write(
    connection: Connection,
    check: Check,
    *,
    act: Act,
    event: CheckEvent,
    person: str,
    note: str,
    now: datetime,
) -> Check:
    check_store.change_check(connection, check=check)
    _record(connection, check, act=act, event=event.value, person=person, note=note, now=now)
    return check


def _record(
    connection: Connection, check: Check, *, act: Act, event: str, person: str, note: str, now: datetime
) -> None:
    offices.record_act(
        connection,
        person=person,
        act=act,
        subject=f"check:{check.number}",
        detail={
            "event": event,
            "meter": check.meter,
            "finding": None if check.finding is None else check.finding.value,
            "note": note,
        },
        now=now,
    )


def _said(text: str) -> str:
    said = check_text(" ".join(text.split()), what="the reason", letters_max=NOTE_MAX)
    if not said:
        raise CannotPlan("the reason is empty; write it in words")
    return said
