"""Where what a push brings is put, in the caller's transaction: events, readings, registers, facts of modems."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.base.period import epoch_seconds
from bijlighar.dlms.errors import RemoteProtocolError, Replayed
from bijlighar.headend import modem_store, push_kinds_store, push_store, session_store
from bijlighar.headend.decode import block_delivery, snapshots
from bijlighar.headend.errors import BrokenQuirk, UnexpectedLayout
from bijlighar.headend.layout import Layout
from bijlighar.headend.push_bodies import (
    Alert,
    Body,
    Periodic,
    PushKind,
    alert_events,
    state_after,
    strange_bits,
    wrong_length,
)
from bijlighar.headend.push_store import PushState
from bijlighar.headend.quirks import LONE_MODEL, NO_QUIRKS, Quirks
from bijlighar.headend.registration import FactKind, Registration
from bijlighar.readings import operations as readings
from bijlighar.readings.model import MeterEvent, RegisterKind

#: What a pushed row may be stamped with: nothing that the schedule would not ask for either.
ROWS_BACK = timedelta(days=45)
ROWS_AHEAD = timedelta(days=1)
REGISTER_KINDS = {PushKind.DAILY: RegisterKind.DAILY, PushKind.BILLING: RegisterKind.BILLING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A genuine push that waits to be stored; `source` is the address that it came from."""

    meter: str
    counter: int
    body: Body
    source: str


class _Unplaced(Exception):
    """There is no place for what a push says."""


def store_pushes(
    connection: Connection, *, pushes: Sequence[Taken], now: datetime, quirks: Quirks = NO_QUIRKS
) -> list[RemoteProtocolError | None]:
    """
    Store pushes in order, and return for each why it was refused, None if it is stored.

    Alerts that cannot be read, for want of a quirk file or by a broken one, wait: their word is not taken for seen.
    """
    refusals: list[RemoteProtocolError | None] = []
    events: list[MeterEvent] = []
    states = push_store.hold(connection, meters={taken.meter for taken in pushes})
    heard: dict[str, PushState] = {}
    for taken in pushes:
        state = states[taken.meter]
        if taken.counter < state.counter:
            refusals.append(
                Replayed(
                    f"a push of meter {taken.meter} carries counter {taken.counter} after {state.counter}",
                    expected=state.counter + 1,
                )
            )
            continue
        if isinstance(taken.body, Alert):
            told, after = _alert(connection, taken, taken.body, state=state, now=now, quirks=quirks)
            events += told
        elif taken.counter == state.counter:
            after = replace(state, repeated=state.repeated + 1)
        else:
            _place(connection, taken, now=now)
            after = replace(state, counter=taken.counter, received=state.received + 1)
        states[taken.meter] = heard[taken.meter] = after
        refusals.append(None)
    push_store.write(connection, states=heard.values(), now=now)
    readings.append_events(connection, events=events, now=now)
    return refusals


def _alert(
    connection: Connection, taken: Taken, alert: Alert, *, state: PushState, now: datetime, quirks: Quirks
) -> tuple[tuple[MeterEvent, ...], PushState]:
    """Return the events of an alert and what is known of the meter's pushes after it; count what is strange in it."""

    def model() -> str:
        known = session_store.layout_of(connection, meter=taken.meter)
        return f"{LONE_MODEL}{taken.meter}" if known is None else known[0]

    told: tuple[MeterEvent, ...] = ()
    # A word that cannot be read is not taken for seen: what stands in it is told when it can.
    after = replace(state, counter=taken.counter, received=state.received + 1)
    try:
        quirk = quirks.status_word_of(serial=taken.meter, model=model)
        why = wrong_length(alert, quirk)
    except BrokenQuirk as problem:
        quirk, why = None, str(problem)
    if not why:
        told = alert_events(meter=taken.meter, alert=alert, state=state, now=now, quirk=quirk)
        after = state_after(alert=alert, counter=taken.counter, state=state)
        why = strange_bits(alert=alert, state=state, quirk=quirk)
    if why:
        push_kinds_store.count(
            connection,
            meter=taken.meter,
            kind=PushKind.ALERT.value,
            why_unplaced=why,
            body=alert.word.octets,
            now=now,
        )
    return told, after


def _place(connection: Connection, taken: Taken, *, now: datetime) -> None:
    """Put what is no alert in its place, or count that it has none."""
    body, why = taken.body, ""
    kind = body.kind if isinstance(body, Periodic) else PushKind.REGISTRATION
    try:
        if isinstance(body, Registration):
            modem_store.claim(
                connection,
                modem=taken.meter,
                facts={FactKind.ADDRESS: taken.source, **body.facts},
                source=taken.source,
                now=now,
                calls_in=False,
            )
        elif isinstance(body, Periodic):
            _place_rows(connection, taken.meter, body, now=now)
    except _Unplaced as none:
        why = str(none)
    push_kinds_store.count(
        connection,
        meter=taken.meter,
        kind=kind.value,
        why_unplaced=why,
        body=body.body if isinstance(body, Periodic) else b"",
        now=now,
    )


def _place_rows(connection: Connection, meter: str, body: Periodic, *, now: datetime) -> None:
    """
    Store the rows of a pushed profile.

    Only rows in the profile's own columns are read: those are known per model and firmware from a session. The
    schedule goes on owing the days, so that a session says again what was pushed, and what it says stands.
    """
    if body.kind not in (PushKind.BLOCK_LOAD, *REGISTER_KINDS):
        raise _Unplaced(f"readings have no place for pushes of the kind {body.kind.value}")
    if body.rows is None:
        raise _Unplaced("a list of values without a profile's buffer does not say of which objects they are")
    document = session_store.layout_of(connection, meter=meter)
    if document is None:
        raise _Unplaced("the columns of this meter's profiles are not known before its first session")
    layout = Layout.of_document(*document)
    try:
        if body.kind is PushKind.BLOCK_LOAD:
            delivery = block_delivery(meter=meter, layout=layout, buffer=body.rows)
            if len(delivery.starts) == 0:
                raise _Unplaced("no row has a time")
            _check_stamps(delivery.starts.tolist(), now=now)
            readings.append(connection, deliveries=[delivery], now=now)
            return
        shots = snapshots(
            meter=meter,
            layout=layout,
            profile=body.kind.value,
            buffer=body.rows,
            kind=REGISTER_KINDS[body.kind],
        )
    except (UnexpectedLayout, RemoteProtocolError) as problem:
        raise _Unplaced(f"the rows do not fit the meter's columns: {problem}") from None
    if not shots:
        raise _Unplaced("no row has a time and an energy")
    _check_stamps([epoch_seconds(shot.at) for shot in shots], now=now)
    readings.append_registers(connection, snapshots=shots, now=now)


def _check_stamps(stamps: Sequence[int], *, now: datetime) -> None:
    first, last = epoch_seconds(now - ROWS_BACK), epoch_seconds(now + ROWS_AHEAD)
    if any(not first <= stamp <= last for stamp in stamps):
        raise _Unplaced(
            "rows are stamped more than 45 days ago or ahead of the time: look at the meter's clock"
        )
