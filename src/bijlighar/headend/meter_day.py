"""One meter's collection: what is asked in one session, in as few round trips as it takes."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bijlighar.base.errors import BijligharError
from bijlighar.base.period import Period, date_of
from bijlighar.dlms import axdr, is15959
from bijlighar.dlms.cosem import Attribute, ByEntry, ByRange, Selection
from bijlighar.dlms.obis import Obis
from bijlighar.headend import contact, session_store
from bijlighar.headend.decode import block_delivery, clock_drift_s, log_events, snapshots
from bijlighar.headend.errors import BrokenQuirk, UnexpectedLayout
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.layout import FIRMWARE, Layout, read_columns, read_layout, read_model
from bijlighar.headend.model import FAMILIES, MeterAddress
from bijlighar.headend.quirks import Access, Quirk, entries_back
from bijlighar.headend.rules import Owed, closes_month
from bijlighar.headend.session import MeterSession
from bijlighar.headend.session_store import Schedule
from bijlighar.readings.model import Delivery, MeterEvent, RegisterKind, RegisterSnapshot
from bijlighar.storage.engine import Database

#: The sequence number of each family's event log: it has changed if the log has.
EVENT_NUMBERS = tuple(
    Attribute(class_id=1, obis=Obis.parse(f"0.0.96.15.{family}.255"), index=2) for family in range(FAMILIES)
)
FIRMWARE_NOW = Attribute(class_id=1, obis=Obis.parse(FIRMWARE), index=2)
DAY_PROFILES = ("block-load", "daily", "billing")
ENTRIES_IN_USE = 7
#: Stands for the sequence number of a log that has none: it is read every few days.
NO_NUMBER = -1
#: How far back a log is read at first, how much is read twice lest a slow clock hide an event, and how far a fast
#: clock may have stamped one ahead.
LOG_REACH = timedelta(days=45)
LOG_OVERLAP = timedelta(days=1)
CLOCK_AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A meter to be asked for the days it owes; `known` is its schedule, None before the first session."""

    meter: str
    url: str
    gateway: str | None
    owed: Owed
    known: Schedule | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Collected:
    """What one session brought, or the problem that ended it."""

    task: Task
    problem: BijligharError | None = None
    delivery: Delivery | None = None
    snapshots: tuple[RegisterSnapshot, ...] = ()
    events: tuple[MeterEvent, ...] = ()
    model: str | None = None
    quirk: str = ""
    event_numbers: tuple[int, ...] = ()
    events_to: datetime | None = None
    drift_s: int | None = None
    octets: tuple[int, int] = (0, 0)
    duration_ms: int = 0


class Collector:
    """Collects from meters, with the layouts of their models remembered."""

    def __init__(self, *, database: Database, head_end: HeadEnd, now: datetime) -> None:
        """Begin with the layouts that the database knows."""
        self._database = database
        self._head_end = head_end
        self._now = now
        with database.read() as connection:
            documents = session_store.layouts(connection)
        #: One session at a time learns the columns of a model; the others of that model wait for it.
        self._learning: dict[str, asyncio.Lock] = {}
        self.layouts: dict[str, Layout] = {}
        #: The marks of the quirk files that layouts of other texts were read with.
        self._marks: dict[str, str] = {}
        for model, document in documents.items():
            self._recall(Layout.of_document(model, document))

    def _recall(self, layout: Layout) -> None:
        """Use a stored layout if its model's quirk file still says what it said; else it is read again."""
        self._marks[layout.model] = layout.quirk_mark
        try:
            quirk = self._quirk(layout.model)
        except BrokenQuirk:
            return
        if quirk.mark == layout.quirk_mark:
            self.layouts[layout.model] = replace(layout, quirk=quirk)

    def _quirk(self, model: str) -> Quirk:
        return self._head_end.settings.quirks.of_model(model, before=self._marks.get(model, ""))

    async def collect(self, task: Task, address: MeterAddress) -> Collected:
        """
        Ask a meter for the days it owes, its clock, and the event logs that have changed.

        :raises BijligharError: if it cannot be reached, is silent, refuses or answers garbage.
        """
        head_end = self._head_end
        session = await contact.open_prepared(
            head_end, meter=task.meter, address=address, client=head_end.settings.collect_client
        )
        try:
            known = task.known.model if task.known else None
            layout = self.layouts.get(known) if known else None
            if layout is None:
                layout = await self._learn_layout(session, task)
            try:
                collected = await self._ask(session, task, layout)
            except UnexpectedLayout:
                layout = await self._learn_layout(session, task, wrong=layout)
                collected = await self._ask(session, task, layout, is_fresh=True)
            await session.release()
        finally:
            head_end.heard(
                meter=task.meter, client=head_end.settings.collect_client, counter=session.received_counter
            )
            session.close()
        return collected

    async def _learn_layout(
        self, session: MeterSession, task: Task, *, wrong: Layout | None = None
    ) -> Layout:
        """Read the model from the name plate, and the columns of its profiles if they are not known or wrong."""
        model = await read_model(session, meter=task.meter)
        async with self._learning.setdefault(model, asyncio.Lock()):
            layout = self.layouts.get(model)
            if layout is None or (wrong is not None and layout.is_read_with(wrong)):
                layout = await read_layout(
                    session, model=model, profiles=DAY_PROFILES, quirk=self._quirk(model)
                )
                self._remember(layout)
        return layout

    def _remember(self, layout: Layout) -> None:
        self.layouts[layout.model] = layout
        with self._database.write() as connection:
            session_store.write_layout(
                connection, model=layout.model, document=layout.document(), now=self._now
            )

    async def _ask(
        self, session: MeterSession, task: Task, layout: Layout, *, is_fresh: bool = False
    ) -> Collected:
        owed = task.owed
        drift_s, numbers = await self._ask_clock(session, None if is_fresh else layout)
        quirk, within = layout.quirk, _span(owed)
        selection = await self._block_rows(session, layout, within)
        buffer = await session.get(quirk.plan("block-load").buffer, selection)
        is_chosen = quirk.of_profile("block-load").access is Access.RANGE
        delivery = block_delivery(
            meter=task.meter, layout=layout, buffer=buffer, within=None if is_chosen else within
        )
        shots = await self._ask_registers(session, task, layout, "daily")
        if any(closes_month(day) for day in range(owed.first, owed.last + 1)):
            shots += await self._ask_registers(session, task, layout, "billing")
        events, events_to = await self._ask_events(session, task, layout, numbers)
        return Collected(
            task=task,
            delivery=delivery,
            snapshots=shots,
            events=events,
            model=layout.model,
            quirk=quirk.name,
            event_numbers=numbers,
            events_to=events_to,
            drift_s=drift_s,
            octets=session.octets,
        )

    async def _block_rows(self, session: MeterSession, layout: Layout, span: Period) -> Selection | None:
        """Return how to choose the intervals of a span as the model can, None for all that the meter has."""
        quirk = layout.quirk.of_profile("block-load")
        if quirk.access is Access.RANGE:
            early = timedelta(seconds=layout.period_s if quirk.is_stamped_at_start else 0)
            return is15959.between(span.start - early, span.end - early)
        if quirk.access is Access.WHOLE or layout.period_s <= 0:
            return None
        plan = layout.quirk.plan("block-load")
        told = await session.get(Attribute(class_id=7, obis=plan.obis, index=ENTRIES_IN_USE))
        wanted = entries_back(since=span.start, now=self._now, period_s=layout.period_s)
        return ByEntry(first=max(1, _whole(told) - wanted + 1), last=0)

    async def _ask_clock(
        self, session: MeterSession, layout: Layout | None
    ) -> tuple[int | None, tuple[int, ...]]:
        """
        Return how far the meter's clock is ahead [s], and the sequence numbers of its event logs.

        A layout that was read in this very session is not doubted.

        :raises UnexpectedLayout: if its firmware is another than the layout's: columns of equal types may have moved.
        """
        clock, firmware, *numbers = await session.get_list((is15959.CLOCK_TIME, FIRMWARE_NOW, *EVENT_NUMBERS))
        if layout is not None and firmware is not None and not layout.is_of_firmware(firmware):
            raise UnexpectedLayout(f"the meter has another firmware than model {layout.model}")
        return clock_drift_s(clock, now=self._now), tuple(_whole(number) for number in numbers)

    async def _ask_registers(
        self, session: MeterSession, task: Task, layout: Layout, profile: str
    ) -> tuple[RegisterSnapshot, ...]:
        """Return the daily or billing registers that close with the days owed."""
        if not layout.has(profile):
            return ()
        plan = layout.quirk.plan(profile)
        selection = _rows_of(task.owed) if plan.by_range else None
        kind = RegisterKind.DAILY if profile == "daily" else RegisterKind.BILLING
        found = snapshots(
            meter=task.meter,
            layout=layout,
            profile=profile,
            buffer=await session.get(plan.buffer, selection),
            kind=kind,
        )
        span = _span(task.owed)
        return tuple(shot for shot in found if span.start < shot.at <= span.end)

    async def _ask_events(
        self, session: MeterSession, task: Task, layout: Layout, numbers: tuple[int, ...]
    ) -> tuple[tuple[MeterEvent, ...], datetime | None]:
        """Return the events of the logs that have changed, and up to when all logs are read now."""
        known, now = task.known, self._now
        before = known.event_numbers if known and known.event_numbers else (0,) * FAMILIES
        read_to = known.events_to if known else None
        age = timedelta.max if read_to is None else now - read_to
        unnumbered_due = age >= timedelta(days=self._head_end.settings.event_days)
        events: tuple[MeterEvent, ...] = ()
        changed = [
            family
            for family, (old, new) in enumerate(zip(before, numbers, strict=True))
            if (unnumbered_due if new == NO_NUMBER else new != old)
        ]
        since = now - (LOG_REACH if read_to is None else age + LOG_OVERLAP)
        for family in changed:
            events += await self._ask_log(session, task, layout, is15959.FAMILY_NAMES[family], since)
        all_read = changed or read_to is None or NO_NUMBER not in numbers
        return events, now if all_read else read_to

    async def _ask_log(
        self, session: MeterSession, task: Task, layout: Layout, family: str, since: datetime
    ) -> tuple[MeterEvent, ...]:
        profile = f"events-{family}"
        layout = self.layouts.get(layout.model, layout)
        if not layout.knows(profile):
            async with self._learning.setdefault(layout.model, asyncio.Lock()):
                layout = self.layouts.get(layout.model, layout)
                if not layout.knows(profile):
                    layout = layout.with_profile(
                        profile, await read_columns(session, profile, quirk=layout.quirk)
                    )
                    self._remember(layout)
        if not layout.has(profile):
            return ()
        until = self._now + CLOCK_AHEAD
        plan = layout.quirk.plan(profile)
        buffer = await session.get(plan.buffer, is15959.between(since, until) if plan.by_range else None)
        found = log_events(
            meter=task.meter,
            layout=layout,
            profile=profile,
            family=family,
            buffer=buffer,
            received_at=self._now,
        )
        return found if plan.by_range else tuple(event for event in found if since < event.at <= until)


def _span(owed: Owed) -> Period:
    return Period.of_local_days(date_of(owed.first), date_of(owed.last))


def _rows_of(owed: Owed) -> ByRange:
    """Return the rows that are stamped in the days owed; a row at midnight belongs to the day before it."""
    span = _span(owed)
    return is15959.between(span.start, span.end)


def _whole(data: bytes | None) -> int:
    value = None if data is None else axdr.decode(data)
    return value if isinstance(value, int) and not isinstance(value, bool) else NO_NUMBER
