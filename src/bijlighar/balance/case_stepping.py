"""The steps of a case: who may take one, from which state, and how it is kept and recorded."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.balance import case_sight, case_store
from bijlighar.balance.cases import CASE_STEPS, Case, CaseEvent, CaseStep
from bijlighar.balance.errors import CaseChanged, RefusedCase
from bijlighar.base.lifecycle import IllegalStep, next_state
from bijlighar.base.text import NOTE_MAX, check_text
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act


def stepped(
    connection: Connection, *, number: int, revision: int, event: CaseEvent, act: Act, person: str
) -> tuple[Case, str]:
    """Return a case after a step, locked and not yet written, and who takes the step."""
    found = case_sight.case(connection, number=number, person=person, is_to_change=True)
    who = offices.authorise(connection, sign_in=person, act=act, office=found.office).sign_in
    try:
        state = next_state(CASE_STEPS, found.state, event)
    except IllegalStep:
        raise CaseChanged(f"case {number} is {found.state.value}; this cannot be done with it now") from None
    if found.revision != revision:
        raise CaseChanged(f"case {number} changed meanwhile; look at it again")
    return replace(found, state=state, revision=revision + 1), who


def write_step(
    connection: Connection,
    case: Case,
    *,
    act: Act,
    event: CaseEvent,
    person: str,
    note: str,
    detail: Mapping[str, object],
    now: datetime,
) -> Case:
    """Write a step of a case, keep it and record it in the audit; return the case."""
    case_store.change_case(connection, case=case)
    keep_step(connection, case, act=act, event=event, person=person, note=note, detail=detail, now=now)
    return case


def keep_step(
    connection: Connection,
    case: Case,
    *,
    act: Act,
    event: CaseEvent,
    person: str,
    note: str,
    detail: Mapping[str, object],
    now: datetime,
) -> None:
    """Keep a step of a case, and record it in the audit."""
    step = CaseStep(at=now, event=event, person=person, note=note, detail=detail)
    case_store.append_step(connection, case=case.number, step=step)
    offices.record_act(
        connection,
        person=person,
        act=act,
        subject=f"case:{case.number}",
        detail={"event": event.value, "meter": case.meter, "transformer": case.transformer, "note": note}
        | dict(detail),
        now=now,
    )


def said_words(words: str, *, what: str) -> str:
    """
    Return what a person says, in one line.

    :raises RefusedCase: if it is empty.
    """
    said = told_words(words)
    if not said:
        raise RefusedCase(f"{what} is empty; write it in words")
    return said


def told_words(words: str) -> str:
    """Return what a person may say, in one line; it may be empty."""
    return check_text(" ".join(words.split()), what="the note", letters_max=NOTE_MAX)
