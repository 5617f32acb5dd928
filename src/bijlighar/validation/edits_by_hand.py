"""
What people do with readings: one proposes an edit, another confirms or refuses it; only then is a version written.

Each step is in the audit. An edit stands until another one takes its place: whatever the meter says later lies
beneath it, and is told as a finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection

from bijlighar.base.lifecycle import IllegalStep, next_state
from bijlighar.base.period import Period, day_number, epoch_seconds, local_date
from bijlighar.base.text import CODE_MAX, NOTE_MAX, check_text
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.offices.rules import check_other_person
from bijlighar.readings import operations as readings
from bijlighar.readings import queries as reading_queries
from bijlighar.readings.model import (
    ABSENT,
    ENERGY_CHANNELS,
    INTERVAL_MINUTES,
    IST_OFFSET_S,
    SECONDS_PER_DAY,
    DayBlock,
    EditKind,
    Flags,
    Integers,
    Qualities,
    Quality,
)
from bijlighar.registry import queries as registry
from bijlighar.storage import sequences
from bijlighar.validation import edit_store, queries
from bijlighar.validation.edit_rules import day_edits, places
from bijlighar.validation.errors import EditDecided, EditStands, RefusedEdit
from bijlighar.validation.model import EDIT_STEPS, EditEvent, EditReason, EditState, ReadingEdit

#: A month of quarter-hours.
EDIT_INTERVALS_MAX = 31 * 96
#: Beyond this no meter counts in one interval [Wh].
ENERGY_MAX_WH = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What a person proposes: `values` [Wh] hold one value for each interval, or one for all; none but for `SET`."""

    meter: str
    start: datetime
    intervals: int
    kind: EditKind
    reason: EditReason
    note: str
    values: tuple[int, ...] = ()
    channel: str = "wh_import"


def propose_edit(connection: Connection, *, proposed: Proposed, person: str, now: datetime) -> ReadingEdit:
    """
    Propose an edit of a run of intervals, and return it; no reading is changed by it.

    :raises UnknownEndDevice: if there is no such meter.
    :raises NotPermitted: if the person may not propose it in the meter's office.
    :raises RefusedEdit: if the run, the values or the kind do not fit what is stored.
    :raises EditStands: if another edit of these intervals waits to be decided.
    :raises MonthSealed: if the run touches a sealed month.
    :raises InvalidValue: if the reason is empty or no text.
    """
    serial = check_text(proposed.meter, what="the meter", letters_max=CODE_MAX)
    registry.end_device(connection, serial=serial)
    office = _office(connection, meter=serial, at=proposed.start)
    who = offices.authorise(connection, sign_in=person, act=Act.EDIT_READING, office=office).sign_in
    note = _said(proposed.note, what="the reason")
    sequences.take(connection, name=readings.SEQUENCE, count=0)  # of two proposers the second sees the first
    minutes, block = _stored(connection, proposed, now=now)
    readings.check_not_sealed(connection, keys=_keys(block))
    values = _checked_values(proposed)
    measured = reading_queries.raw_rows(connection, keys=_keys(block), minutes=minutes)
    run = places(start=proposed.start, intervals=proposed.intervals, minutes=minutes, days=block.days)
    before = block.channel(proposed.channel).ravel()[run]
    _check_effect(proposed, values, before, block.quality.ravel()[run], measured, run)
    end = proposed.start + timedelta(minutes=minutes * proposed.intervals)
    period = Period(start=proposed.start, end=end)
    for known in edit_store.select_overlapping(
        connection, state=EditState.PROPOSED, period=period, meters=[serial]
    ):
        raise EditStands(
            f"{known.proposed_by} has proposed edit {known.number} of these intervals; it is to be decided first"
        )
    edit = ReadingEdit(
        number=0,
        meter=serial,
        start=proposed.start,
        end=end,
        minutes=minutes,
        kind=proposed.kind,
        channel=proposed.channel,
        values=values,
        before=_told(before),
        measured=_told(measured.channel(proposed.channel).ravel()[run]),
        versions=dict(zip(block.days.tolist(), block.versions.tolist(), strict=True)),
        office=office,
        reason=proposed.reason,
        note=note,
        state=EditState.PROPOSED,
        revision=1,
        proposed_by=who,
        proposed_at=now,
    )
    edit = replace(edit, number=edit_store.insert_edit(connection, edit=edit))
    _record(connection, edit, act=Act.EDIT_READING, event="propose", person=who, now=now)
    return edit


def confirm_edit(
    connection: Connection, *, number: int, revision: int, person: str, now: datetime, note: str = ""
) -> ReadingEdit:
    """
    Confirm an edit that another person proposed, and write it as a new version of its meter-days.

    :raises UnknownEdit: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person may not confirm edits in the meter's office.
    :raises SamePerson: if the person proposed it.
    :raises EditDecided: if it is decided, or is not what `revision` was.
    :raises ReadingsChanged: if a meter-day changed after it was proposed.
    """
    decided = _decided(
        connection,
        number=number,
        revision=revision,
        event=EditEvent.CONFIRM,
        person=person,
        note=note,
        now=now,
    )
    readings.store_edited(connection, edits=day_edits(decided), now=now)
    return _write(connection, decided, event=EditEvent.CONFIRM, act=Act.CONFIRM_EDIT, now=now)


def refuse_edit(
    connection: Connection, *, number: int, revision: int, person: str, now: datetime, note: str
) -> ReadingEdit:
    """
    Refuse an edit that another person proposed, with a reason; no reading changes.

    :raises UnknownEdit: if there is none of that number in the person's offices.
    :raises NotPermitted: if the person may not confirm edits in the meter's office.
    :raises SamePerson: if the person proposed it; they withdraw it.
    :raises EditDecided: if it is decided, or is not what `revision` was.
    :raises InvalidValue: if the reason is empty or no text.
    """
    said = _said(note, what="the reason")
    decided = _decided(
        connection,
        number=number,
        revision=revision,
        event=EditEvent.REFUSE,
        person=person,
        note=said,
        now=now,
    )
    return _write(connection, decided, event=EditEvent.REFUSE, act=Act.CONFIRM_EDIT, now=now)


def withdraw_edit(
    connection: Connection, *, number: int, revision: int, person: str, now: datetime
) -> ReadingEdit:
    """
    Take back an edit that the same person proposed; no reading changes.

    :raises UnknownEdit: if there is none of that number in the person's offices.
    :raises RefusedEdit: if somebody else proposed it.
    :raises EditDecided: if it is decided, or is not what `revision` was.
    """
    decided = _decided(
        connection,
        number=number,
        revision=revision,
        event=EditEvent.WITHDRAW,
        person=person,
        note="",
        now=now,
    )
    return _write(connection, decided, event=EditEvent.WITHDRAW, act=Act.EDIT_READING, now=now)


def _decided(
    connection: Connection,
    *,
    number: int,
    revision: int,
    event: EditEvent,
    person: str,
    note: str,
    now: datetime,
) -> ReadingEdit:
    """Return a proposed edit as the person decides it, locked."""
    found = queries.edit(connection, number=number, person=person, is_to_change=True)
    act = Act.EDIT_READING if event is EditEvent.WITHDRAW else Act.CONFIRM_EDIT
    who = offices.authorise(connection, sign_in=person, act=act, office=found.office).sign_in
    if event is not EditEvent.WITHDRAW:
        check_other_person(proposer=found.proposed_by, approver=who)
    elif found.proposed_by != who:
        raise RefusedEdit(f"{found.proposed_by} proposed edit {number}; they withdraw it, another refuses it")
    try:
        state = next_state(EDIT_STEPS, found.state, event)
    except IllegalStep:
        raise EditDecided(
            f"edit {number} is {found.state.value} by {found.decided_by}; it stays so"
        ) from None
    if found.revision != revision:
        raise EditDecided(f"edit {number} changed meanwhile; look at it again")
    said = check_text(note.strip(), what="the note", letters_max=NOTE_MAX)
    return replace(
        found, state=state, revision=revision + 1, decided_by=who, decided_at=now, decision_note=said
    )


def _write(
    connection: Connection, edit: ReadingEdit, *, event: EditEvent, act: Act, now: datetime
) -> ReadingEdit:
    edit_store.decide_edit(connection, edit=edit)
    _record(connection, edit, act=act, event=event.value, person=str(edit.decided_by), now=now)
    return edit


def _record(
    connection: Connection, edit: ReadingEdit, *, act: Act, event: str, person: str, now: datetime
) -> None:
    offices.record_act(
        connection,
        person=person,
        act=act,
        subject=f"reading-edit:{edit.number}",
        detail={
            "event": event,
            "meter": edit.meter,
            "start": edit.start,
            "end": edit.end,
            "kind": edit.kind.value,
            "channel": edit.channel,
            "values": list(edit.values),
            "reason": edit.reason.value,
            "note": edit.note if event == "propose" else edit.decision_note,
        },
        now=now,
    )


def _stored(connection: Connection, proposed: Proposed, *, now: datetime) -> tuple[int, DayBlock]:
    """Return the interval length and the meter-days of a run, estimates and edits in their places."""
    if not 0 < proposed.intervals <= EDIT_INTERVALS_MAX:
        raise RefusedEdit(
            f"{proposed.intervals} intervals cannot be edited at once; 1 to {EDIT_INTERVALS_MAX} can"
        )
    first = day_number(local_date(proposed.start))
    minutes = queries.interval_minutes(connection, meter=proposed.meter, at=proposed.start)
    if (epoch_seconds(proposed.start) + IST_OFFSET_S) % (minutes * 60) or proposed.start.microsecond:
        raise RefusedEdit(
            f"{proposed.start.isoformat()} is not the start of an interval of {minutes} minutes"
        )
    end = proposed.start + timedelta(minutes=minutes * proposed.intervals)
    if end > now:
        raise RefusedEdit(f"the last interval ends at {end.isoformat()}, which is still to come")
    last = (epoch_seconds(end) - 1 + IST_OFFSET_S) // SECONDS_PER_DAY
    keys = [(proposed.meter, day) for day in range(first, last + 1)]
    other = sum(INTERVAL_MINUTES) - minutes
    block = reading_queries.known_rows(connection, keys=keys, minutes=minutes)
    beside = reading_queries.known_rows(connection, keys=keys, minutes=other)
    if ((beside.versions > 0) & (block.versions == 0)).any():
        raise RefusedEdit(
            f"on some of these days the meter has intervals of {other} minutes; edit them apart"
        )
    return minutes, block


def _checked_values(proposed: Proposed) -> tuple[int, ...]:
    if proposed.channel not in ENERGY_CHANNELS:
        raise RefusedEdit(f"{proposed.channel!r} cannot be edited; {' and '.join(ENERGY_CHANNELS)} can")
    if proposed.kind is not EditKind.SET:
        if proposed.values:
            raise RefusedEdit("values belong only to an edit that gives other values")
        return ()
    if len(proposed.values) not in (1, proposed.intervals):
        raise RefusedEdit(
            f"{len(proposed.values)} values for {proposed.intervals} intervals; give one for each, or one for all"
        )
    for value in proposed.values:
        if not 0 <= value <= ENERGY_MAX_WH:
            raise RefusedEdit(f"{value} Wh is nothing that a meter counts in one interval")
    return (
        proposed.values
        if len(proposed.values) == proposed.intervals
        else proposed.values * proposed.intervals
    )


def _check_effect(
    proposed: Proposed,
    values: Sequence[int],
    before: Integers,
    quality: Qualities,
    measured: DayBlock,
    run: slice,
) -> None:
    edited: Flags = np.asarray(quality == Quality.EDITED)
    if proposed.kind is EditKind.SET:
        if proposed.channel != "wh_import" and (quality == Quality.ABSENT).any():
            raise RefusedEdit("where no import is known none else can be edited; edit wh_import first")
        has_effect = bool((before != np.array(values, dtype=np.int64)).any())
    elif proposed.kind is EditKind.TAKE_OUT:
        has_effect = bool((measured.values["wh_import"].ravel()[run] != ABSENT).any())
    else:
        has_effect = bool(edited.any() or (quality == Quality.SUSPECT).any())
        has_effect |= bool(
            ((quality == Quality.ESTIMATED) & (measured.values["wh_import"].ravel()[run] != ABSENT)).any()
        )
    if not has_effect:
        raise RefusedEdit("nothing would change by this edit; look at what stands there")


def _office(connection: Connection, *, meter: str, at: datetime) -> str | None:
    hung = sorted(
        registry.hangings(connection, meters=[meter]).get(meter, ()), key=lambda place: place.from_at
    )
    there = [place for place in hung if place.hangs_at(at)] or hung[-1:]
    return there[0].office if there else None


def _keys(block: DayBlock) -> list[tuple[str, int]]:
    return list(zip(block.meters, block.days.tolist(), strict=True))


def _told(values: Integers) -> tuple[int | None, ...]:
    return tuple(None if value == ABSENT else value for value in values.tolist())


def _said(text: str, *, what: str) -> str:
    said = check_text(" ".join(text.split()), what=what, letters_max=NOTE_MAX)
    if not said:
        raise RefusedEdit(f"{what} is empty; write why in words")
    return said
