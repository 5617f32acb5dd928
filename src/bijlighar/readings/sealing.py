"""
Sealing a month and opening it again.

What comes for a sealed month is held apart (`late`). One person asks for its opening, another decides; once opened,
what was held is merged, and the days are judged again. Each step is in the audit.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from sqlalchemy import Connection

from bijlighar.base.lifecycle import IllegalStep, next_state
from bijlighar.base.period import Month, date_of, day_number, local_date
from bijlighar.base.text import NOTE_MAX, check_text
from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.offices.model import Act
from bijlighar.offices.rules import check_other_person
from bijlighar.readings import late, merging, seal_store
from bijlighar.readings.covering import held_by
from bijlighar.readings.errors import CannotSeal, SealChanged, UnknownSeal
from bijlighar.readings.seals import SEAL_STEPS, MonthSeal, SealCheck, SealEvent, SealOutlook, SealState
from bijlighar.storage import sequences


def seal_month(
    connection: Connection, *, month: Month, office: str | None, note: str, person: str, now: datetime
) -> MonthSeal:
    """
    Seal a month of an office and all below it, None being the whole company, and return the seal.

    :raises UnknownOffice: if there is no such office.
    :raises NotPermitted: if the person may not seal for the office.
    :raises CannotSeal: if the month is not over, is sealed, holds nothing, or holds days that are not validated.
    :raises InvalidValue: if the reason is empty or no text.
    """
    heads = [each.code for each in office_queries.offices(connection) if each.parent is None]
    if office is None and len(heads) != 1:
        raise CannotSeal("there is not one head office; name an office with --office")
    code = heads[0] if office is None else office_queries.office(connection, code=office).code
    who = offices.authorise(connection, sign_in=person, act=Act.SEAL_MONTH, office=code).sign_in
    said = _said(note)
    if local_date(now) <= month.last:
        raise CannotSeal(f"{month} is not over; it can be sealed from {month.next.first} on")
    sequences.take(connection, name=merging.SEQUENCE, count=0)  # nobody writes while it is looked at
    known = _standing(connection, month=month, office=code)
    if known is not None:
        raise CannotSeal(f"{month} of {code} is sealed already (seal {known.number} of {known.office})")
    seal = _not_yet(month, office=code, is_company=heads == [code], who=who, note=said, now=now)
    count, digest, unchecked = _counted(connection, seal)
    if unchecked:
        day, meter = unchecked[0]
        raise CannotSeal(
            f"{len(unchecked)} meter-days of {month} are not validated, the first of meter {meter} on "
            f"{date_of(day)}; run `bijlighar validate --from {month.first} --to {month.last}` first"
        )
    if not count:
        raise CannotSeal(f"nothing is stored of {month} for {code}")
    seal = replace(seal, meter_days=count, digest=digest)
    seal = replace(seal, number=seal_store.insert_seal(connection, seal=seal))
    record_step(connection, seal, act=Act.SEAL_MONTH, event="seal", person=who, note=said, now=now)
    return seal


def seal_outlook(connection: Connection, *, month: Month, office: str, now: datetime) -> SealOutlook:
    """
    Return how a month of an office and all below it stands before it is sealed.

    :raises UnknownOffice: if there is no such office.
    """
    heads = [each.code for each in office_queries.offices(connection) if each.parent is None]
    code = office_queries.office(connection, code=office).code
    known = _standing(connection, month=month, office=code)
    seal = _not_yet(month, office=code, is_company=heads == [code], who="", note="", now=now)
    count, _, unchecked = _counted(connection, seal)
    return SealOutlook(
        meter_days=count,
        unchecked=len(unchecked),
        first_unchecked=(unchecked[0][1], date_of(unchecked[0][0])) if unchecked else None,
        seal=None if known is None else known.number,
    )


def _standing(connection: Connection, *, month: Month, office: str) -> MonthSeal | None:
    """Return the seal that shuts a month of an office already."""
    first, last = day_number(month.first), day_number(month.last)
    for known in seal_store.select_shut(connection, first=first, last=last):
        if office in office_queries.offices_below(connection, code=known.office):
            return known
    return None


def _not_yet(month: Month, *, office: str, is_company: bool, who: str, note: str, now: datetime) -> MonthSeal:
    """Return a seal that is not set yet: nothing is counted, nothing is written."""
    return MonthSeal(
        number=1,
        first=day_number(month.first),
        last=day_number(month.last),
        office=office,
        is_company=is_company,
        state=SealState.SEALED,
        revision=1,
        meter_days=0,
        digest="",
        sealed_by=who,
        sealed_at=now,
        note=note,
    )


def ask_opening(
    connection: Connection, *, number: int, revision: int, note: str, person: str, now: datetime
) -> MonthSeal:
    """
    Ask for the opening of a sealed month; it stays sealed until another person confirms.

    :raises UnknownSeal: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person may not ask for it.
    :raises SealChanged: if it is not sealed, or is not what `revision` was.
    :raises InvalidValue: if the reason is empty or no text.
    """
    said = _said(note)
    found = _stepped(connection, number=number, revision=revision, event=SealEvent.ASK, person=person)
    who = offices.authorise(connection, sign_in=person, act=Act.OPEN_MONTH, office=found.office).sign_in
    seal = replace(
        found,
        asked_by=who,
        asked_at=now,
        asked_note=said,
        decided_by=None,
        decided_at=None,
        decision_note="",
    )
    seal_store.change_seal(connection, seal=seal)
    record_step(connection, seal, act=Act.OPEN_MONTH, event="ask", person=who, note=said, now=now)
    return seal


def confirm_opening(
    connection: Connection, *, number: int, revision: int, note: str, person: str, now: datetime
) -> MonthSeal:
    """
    Open a sealed month that another person asked to be opened, and merge what had come late for it.

    What another seal still holds stays apart, under that seal.

    :raises UnknownSeal: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person may not decide it.
    :raises SamePerson: if the person asked for it.
    :raises SealChanged: if nobody asks for its opening, or it is not what `revision` was.
    :raises InvalidValue: if the reason is empty or no text.
    """
    sequences.take(connection, name=merging.SEQUENCE, count=0)
    seal = _decided(
        connection,
        number=number,
        revision=revision,
        event=SealEvent.CONFIRM,
        note=_said(note),
        person=person,
        now=now,
    )
    for snapshots, deliveries in late.late_deliveries(connection, seal=number):
        merging.append_registers(connection, snapshots=snapshots, now=now)
        merging.append(connection, deliveries=deliveries, now=now)
    return seal


def refuse_opening(
    connection: Connection, *, number: int, revision: int, note: str, person: str, now: datetime
) -> MonthSeal:
    """
    Refuse the opening that another person asked for, with a reason; the month stays sealed.

    :raises UnknownSeal: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person may not decide it.
    :raises SamePerson: if the person asked for it; they withdraw it.
    :raises SealChanged: if nobody asks for its opening, or it is not what `revision` was.
    :raises InvalidValue: if the reason is empty or no text.
    """
    return _decided(
        connection,
        number=number,
        revision=revision,
        event=SealEvent.REFUSE,
        note=_said(note),
        person=person,
        now=now,
    )


def withdraw_opening(
    connection: Connection, *, number: int, revision: int, person: str, now: datetime
) -> MonthSeal:
    """
    Take back the asking for an opening, as the person who asked; the month stays sealed.

    :raises UnknownSeal: if there is none of that number in the person's offices.
    :raises SealChanged: if nobody asks for its opening, somebody else does, or it is not what `revision` was.
    """
    return _decided(
        connection,
        number=number,
        revision=revision,
        event=SealEvent.WITHDRAW,
        note="",
        person=person,
        now=now,
    )


def check_seal(connection: Connection, *, number: int, person: str) -> SealCheck:
    """
    Return whether the meter-days of a sealed month are those that were sealed, in the same versions.

    :raises UnknownSeal: if there is none of that number in the person's offices.
    """
    seal = seal_in_sight(connection, number=number, person=person)
    count, digest, _ = _counted(connection, seal)
    return SealCheck(meter_days=count, is_unchanged=digest == seal.digest)


def seal_in_sight(
    connection: Connection, *, number: int, person: str, is_to_change: bool = False
) -> MonthSeal:
    """
    Return a seal in a person's sight, locked until the transaction ends if it is to change.

    :raises UnknownPerson: if nobody signs in so.
    :raises UnknownSeal: if there is none of that number, or it is another office's: which of both is not told.
    """
    found = seal_store.select_seal(connection, number=number, is_to_change=is_to_change)
    seen = office_queries.offices_in_sight(
        connection, person=office_queries.person(connection, sign_in=person)
    )
    if found is None or (seen is not None and found.office not in seen):
        raise UnknownSeal(
            f"there is no seal {number} in your offices; `bijlighar readings seal list` shows them"
        )
    return found


def record_step(
    connection: Connection, seal: MonthSeal, *, act: Act, event: str, person: str, note: str, now: datetime
) -> None:
    """Record a step of a seal in the audit."""
    offices.record_act(
        connection,
        person=person,
        act=act,
        subject=f"seal:{seal.number}",
        detail={
            "event": event,
            "month": str(seal.month),
            "office": seal.office,
            "meter_days": seal.meter_days,
            "digest": seal.digest,
            "note": note,
        },
        now=now,
    )


def _counted(connection: Connection, seal: MonthSeal) -> tuple[int, str, list[tuple[int, str]]]:
    """Return how many meter-days a seal holds, the digest of their versions, and those that are not validated."""
    digest = hashlib.sha256()
    count = 0
    unchecked: list[tuple[int, str]] = []
    for day in range(seal.first, seal.last + 1):
        rows = list(seal_store.meter_day_keys(connection, first=day, last=day))
        meters = [row[1] for row in rows]
        held = _held(connection, seal, meters, day)
        for (_, meter, minutes, version, is_validated), is_held in zip(rows, held, strict=True):
            if is_held:
                count += 1
                digest.update(f"{day},{meter},{minutes},{version}\n".encode())
                if not is_validated:
                    unchecked.append((day, meter))
    return count, digest.hexdigest(), unchecked


def _held(connection: Connection, seal: MonthSeal, meters: Sequence[str], day: int) -> list[bool]:
    days = np.full(len(meters), day, dtype=np.int32)
    numbers = held_by(connection, seals=[seal], meters=meters, days=days)
    return [False] * len(meters) if numbers is None else (numbers > 0).tolist()


def _decided(
    connection: Connection,
    *,
    number: int,
    revision: int,
    event: SealEvent,
    note: str,
    person: str,
    now: datetime,
) -> MonthSeal:
    """Write how the opening that was asked for is decided."""
    found = _stepped(connection, number=number, revision=revision, event=event, person=person)
    act = Act.OPEN_MONTH if event is SealEvent.WITHDRAW else Act.CONFIRM_OPENING
    who = offices.authorise(connection, sign_in=person, act=act, office=found.office).sign_in
    if event is not SealEvent.WITHDRAW:
        check_other_person(proposer=str(found.asked_by), approver=who)
    elif found.asked_by != who:
        raise SealChanged(f"{found.asked_by} asked for the opening; they withdraw it, another refuses it")
    seal = replace(found, decided_by=who, decided_at=now, decision_note=note)
    seal_store.change_seal(connection, seal=seal)
    record_step(connection, seal, act=act, event=event.value, person=who, note=note, now=now)
    return seal


def _stepped(
    connection: Connection, *, number: int, revision: int, event: SealEvent, person: str
) -> MonthSeal:
    """Return a seal after a step, locked and not yet written."""
    found = seal_in_sight(connection, number=number, person=person, is_to_change=True)
    try:
        state = next_state(SEAL_STEPS, found.state, event)
    except IllegalStep:
        raise SealChanged(f"seal {number} is {found.state.value}; this cannot be done with it now") from None
    if found.revision != revision:
        raise SealChanged(f"seal {number} changed meanwhile; look at it again")
    return replace(found, state=state, revision=revision + 1)


def _said(text: str) -> str:
    said = check_text(" ".join(text.split()), what="the reason", letters_max=NOTE_MAX)
    if not said:
        raise CannotSeal("the reason is empty; write why in words")
    return said
