"""Opening a case, by hand, from an alarm, or on what the balance says of a meter: only people do."""

from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import Connection

from bijlighar.balance import case_store, queries
from bijlighar.balance.case_stepping import keep_step, said_words
from bijlighar.balance.cases import Case, CaseEvent, CaseOrigin, CaseState
from bijlighar.balance.errors import CaseStands, NotSuspected, RefusedCase
from bijlighar.balance.model import Level
from bijlighar.base.text import CODE_MAX, check_text
from bijlighar.base.words import Words
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.registry import queries as registry
from bijlighar.registry.model import Installation, MeterType
from bijlighar.storage import sequences

LOCK = "balance.case"
NOTHING_TOLD = Words(hi="", en="")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCase:
    """What a case is opened on: a meter, or a transformer alone where a line is tapped at nobody's meter."""

    meter: str | None = None
    transformer: str | None = None
    note: str = ""
    origin: CaseOrigin = CaseOrigin.HAND
    reference: str = ""
    evidence: Words = NOTHING_TOLD


def open_case(connection: Connection, *, new: NewCase, person: str, now: datetime) -> Case:
    """
    Open a case, and return it.

    :raises UnknownEndDevice: if there is no such meter.
    :raises NotPermitted: if the person may not open it in the meter's office.
    :raises CaseStands: if a case of the meter is under way.
    :raises RefusedCase: if it names neither a meter nor a transformer, an unknown transformer, or no reason.
    """
    note = said_words(new.note, what="the reason")
    place = None
    if new.meter is not None:
        serial = check_text(new.meter, what="the meter", letters_max=CODE_MAX)
        registry.end_device(connection, serial=serial)
        hung = sorted(
            registry.hangings(connection, meters=[serial]).get(serial, ()), key=lambda each: each.from_at
        )
        place = next((each for each in hung if each.hangs_at(now)), hung[-1] if hung else None)
    transformer = new.transformer if place is None else place.transformer
    if new.meter is None and transformer is None:
        raise RefusedCase("a case is about a meter or a transformer; name one")
    office = _office(connection, place=place, transformer=transformer)
    who = offices.authorise(connection, sign_in=person, act=Act.OPEN_CASE, office=office).sign_in
    sequences.take(connection, name=LOCK, count=0)  # of two openers the second sees the first
    if new.meter is not None:
        standing = case_store.select_under_way(connection, meters=[new.meter]).get(new.meter)
        if standing is not None:
            raise CaseStands(f"case {standing} of meter {new.meter} is under way; go on with it")
    case = Case(
        number=0,
        meter=new.meter,
        transformer=transformer,
        account=None if place is None else place.account,
        office=office,
        origin=new.origin,
        reference=check_text(new.reference, what="the reference", letters_max=CODE_MAX),
        evidence=new.evidence,
        note=note,
        state=CaseState.OPEN,
        revision=1,
        opened_by=who,
        opened_at=now,
    )
    case = replace(case, number=case_store.insert_case(connection, case=case))
    detail = {"origin": case.origin.value, "reference": case.reference, "evidence": case.evidence.en}
    keep_step(
        connection,
        case,
        act=Act.OPEN_CASE,
        event=CaseEvent.APPEAR,
        person=who,
        note=note,
        detail=detail,
        now=now,
    )
    return case


def open_suspicion(
    connection: Connection, *, meter: str, first: date, last: date, note: str, person: str, now: datetime
) -> Case:
    """
    Open a case of a meter that the balance of a range of days points to, with its evidence.

    :raises UnknownEndDevice: if there is no such meter.
    :raises NotSuspected: if the balance of its transformer does not point to it.
    :raises CaseStands: if a case of the meter is under way.
    """
    serial = check_text(meter, what="the meter", letters_max=CODE_MAX)
    registry.end_device(connection, serial=serial)
    for place in registry.hangings(connection, meters=[serial]).get(serial, ()):
        if place.transformer is None:
            continue
        loss = queries.examined_loss(
            connection, level=Level.TRANSFORMER, code=place.transformer, first=first, last=last
        )
        suspects = loss.suspects if loss is not None and loss.theft_suspected else ()
        for suspect in suspects:
            if suspect.meter == serial:
                new = NewCase(
                    meter=serial,
                    note=note,
                    origin=CaseOrigin.SUSPICION,
                    reference=f"{first}..{last}",
                    evidence=suspect.evidence,
                )
                return open_case(connection, new=new, person=person, now=now)
    raise NotSuspected(
        f"nothing from {first} to {last} points to meter {serial}; open the case by hand if you know more"
    )


def _office(connection: Connection, *, place: Installation | None, transformer: str | None) -> str | None:
    """Return the office of a place, else that of the transformer: of its own meter, or of all its consumers."""
    if place is not None or transformer is None:
        return None if place is None else place.office
    check_text(transformer, what="the transformer", letters_max=CODE_MAX)
    if transformer not in {each.code for each in registry.transformers(connection)}:
        raise RefusedCase(f"no transformer has the code {transformer!r}; the network file names them")
    hung = registry.installations(connection, transformer=transformer)
    own = {each.office for each in hung if each.meter_type is MeterType.TRANSFORMER}
    offices_there = own or {each.office for each in hung}
    return offices_there.pop() if len(offices_there) == 1 else None
