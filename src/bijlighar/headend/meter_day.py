"""One meter's collection: what is asked in one session, in as few round trips as it takes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from bijlighar.base.errors import BijligharError
from bijlighar.base.period import Period, date_of
from bijlighar.dlms import axdr, is15959
from bijlighar.dlms.cosem import Attribute, ByEntry, Selection
from bijlighar.dlms.errors import LocalProtocolError
from bijlighar.dlms.obis import Obis
from bijlighar.headend import contact, session_store
from bijlighar.headend.decode import block_delivery, clock_drift_s, log_events, snapshots
from bijlighar.headend.errors import AccessRefused, BrokenQuirk, UnexpectedLayout
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.layout import (
    FIRMWARE,
    NEEDED_PROFILE,
    Layout,
    read_columns,
    read_layout,
    read_plate,
)
from bijlighar.headend.model import FAMILIES, MeterAddress
from bijlighar.headend.quirks import Access, Quirk, entries_back, names_of
from bijlighar.headend.rules import Owed, closes_month
from bijlighar.headend.session import Asked, MeterSession
from bijlighar.headend.session_store import Schedule
from bijlighar.readings.model import Delivery, MeterEvent, RegisterKind, RegisterSnapshot
from bijlighar.storage.engine import Database

#: The sequence number of each family's event log: it has changed if the log has.
EVENT_NUMBERS = tuple(
    Attribute(class_id=1, obis=Obis.parse(f"0.0.96.15.{family}.255"), index=2) for family in range(FAMILIES)
)
FIRMWARE_NOW = Attribute(class_id=1, obis=Obis.parse(FIRMWARE), index=2)
DAY_PROFILES = ("block-load", "daily", "billing")
REGISTER_PROFILES = MappingProxyType({"daily": RegisterKind.DAILY, "billing": RegisterKind.BILLING})
ASKED_FIRST: tuple[Asked, ...] = tuple(
    (attribute, None) for attribute in (is15959.CLOCK_TIME, FIRMWARE_NOW, *EVENT_NUMBERS)
)
ENTRIES_IN_USE = 7
#: Stands for the sequence number of a log that has none: it is read every few days.
NO_NUMBER = -1
#: How far back a log is read at first, how much is read twice lest a slow clock hide an event, and how far a fast
#: clock may have stamped one ahead.
LOG_REACH = timedelta(days=45)
LOG_OVERLAP = timedelta(days=1)
CLOCK_AHEAD = timedelta(days=1)
#: Nearly all meters owe the same days, which are worked out once.
OWED_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A meter to be asked for the days it owes; `known` is its schedule, None before the first session."""

    meter: str
    url: str
    gateway: str | None
    owed: Owed
    known: Schedule | None

    @property
    def doubts_lists(self) -> bool:
        """Return whether the last session broke off, so that a day in one list may be too much for the meter."""
        return self.known is not None and self.known.is_broken_off


@dataclass(slots=True, kw_only=True, eq=False)
class Collected:
    """What one session brought, or the problem that ended it; how long it took is told when it is over."""

    task: Task
    problem: BijligharError | None = None
    delivery: Delivery | None = None
    snapshots: tuple[RegisterSnapshot, ...] = ()
    events: tuple[MeterEvent, ...] = ()
    model: str | None = None
    year: int | None = None
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
        self._tried: set[str] = set()
        #: The year of manufacture of meters whose name plate was read in this run.
        self._years: dict[str, int | None] = {}
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
            head_end,
            meter=task.meter,
            address=address,
            client=head_end.settings.collect_client,
            now=self._now,
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
            if await self._try_list(session, task, layout):
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
        plate = await read_plate(session, meter=task.meter)
        model, self._years[task.meter] = plate.model, plate.year
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
        """
        Return what the meter has of the days owed.

        A layout that was read in this very session is not doubted.

        :raises UnexpectedLayout: if its firmware is another than the layout's: columns of equal types may have moved.
        """
        profiles = await self._profiles(session, task.owed, layout)
        clock, firmware, numbers, buffers = await self._ask_days(session, task, layout, profiles)
        if not is_fresh and firmware is not None and not layout.is_of_firmware(firmware):
            raise UnexpectedLayout(f"the meter has another firmware than model {layout.model}")
        drift_s = clock_drift_s(clock, now=self._now)
        if not buffers:
            buffers = [await session.get(*asked) for asked in profiles.values()]
        delivery = await self._deliver(session, task, layout, buffers[0])
        shots: tuple[RegisterSnapshot, ...] = ()
        for profile, buffer in zip(profiles, buffers, strict=True):
            if profile in REGISTER_PROFILES:
                shots += _registers(task, layout, profile, buffer)
        events, events_to = await self._ask_events(session, task, layout, numbers)
        return Collected(
            task=task,
            delivery=delivery,
            snapshots=shots,
            events=events,
            model=layout.model,
            year=self._years.get(task.meter),
            quirk=names_of(self._head_end.settings.quirks.of_serial(task.meter), layout.quirk),
            event_numbers=numbers,
            events_to=events_to,
            drift_s=drift_s,
            octets=session.octets,
        )

    async def _profiles(self, session: MeterSession, owed: Owed, layout: Layout) -> dict[str, Asked]:
        """Return what is asked of the profiles for the days owed, by profile; the block load comes first."""
        if not layout.quirk_mark:
            return _plain_profiles(owed, layout)
        span, quirk = _span(owed), layout.quirk
        rows = is15959.between(span.start, span.end)
        asked: dict[str, Asked] = {
            NEEDED_PROFILE: (
                quirk.plan(NEEDED_PROFILE).buffer,
                await self._block_rows(session, layout, span),
            )
        }
        for name in _plain_profiles(owed, layout):
            if name in REGISTER_PROFILES:
                plan = quirk.plan(name)
                asked[name] = (plan.buffer, rows if plan.by_range else None)
        return asked

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

    async def _ask_days(
        self, session: MeterSession, task: Task, layout: Layout, profiles: Mapping[str, Asked]
    ) -> tuple[bytes | None, bytes | None, tuple[int, ...], list[bytes]]:
        """
        Return the meter's clock, firmware and numbers of event logs, and the buffers of the profiles.

        A model that gives lists gives all of it in one round trip; of another there are no buffers yet, nor of one
        whose last session broke off.
        """
        gives_lists = not layout.quirk_mark and self.layouts.get(layout.model, layout).gives_lists
        together = gives_lists and not task.doubts_lists
        asked = (*ASKED_FIRST, *profiles.values()) if together else ASKED_FIRST
        try:
            answers = await session.get_list(asked)
        except (AccessRefused, LocalProtocolError):
            if not together:
                raise
            answers = (*await session.get_list(ASKED_FIRST), *(None for _ in profiles))
        clock, firmware, *numbers = answers[: len(ASKED_FIRST)]
        buffers = [buffer for buffer in answers[len(ASKED_FIRST) :] if buffer is not None]
        if len(buffers) < len(profiles):
            buffers = []
            if together:
                self._remember(replace(self.layouts.get(layout.model, layout), gives_lists=False))
        return clock, firmware, tuple(_whole(number) for number in numbers), buffers

    async def _try_list(self, session: MeterSession, task: Task, layout: Layout) -> bool:
        """
        Find out, once for a model, whether it gives profiles in a list: after a day is read, so that nothing is lost.

        :return: whether the session may go on.
        """
        if layout.model in self._tried or task.doubts_lists:
            return True
        self._tried.add(layout.model)
        if layout.quirk_mark or self.layouts.get(layout.model, layout).gives_lists is not None:
            return True
        gives, goes_on = False, True
        try:
            gives = await session.gives_list((*ASKED_FIRST, *_plain_profiles(task.owed, layout).values()))
        except LocalProtocolError:
            pass  # it takes no request that is so long: nothing was sent
        except BijligharError:
            goes_on = False
        self._remember(replace(self.layouts.get(layout.model, layout), gives_lists=gives))
        return goes_on

    @staticmethod
    async def _deliver(session: MeterSession, task: Task, layout: Layout, buffer: bytes) -> Delivery:
        """Return the intervals of a buffer; a meter may have been set to others than the rest of its model."""
        is_chosen = layout.quirk.of_profile(NEEDED_PROFILE).access is Access.RANGE
        within = None if is_chosen else _span(task.owed)
        delivery = block_delivery(meter=task.meter, layout=layout, buffer=buffer, within=within)
        starts = delivery.starts
        if len(starts) > 1 and starts[1] - starts[0] == layout.period_s:
            return delivery
        steps = np.diff(np.unique(starts))
        if not len(delivery.starts) or (len(steps) and int(steps.min()) == layout.period_s):
            return delivery
        period_s = _whole(await session.get_if_any(layout.quirk.plan(NEEDED_PROFILE).period))
        if period_s <= 0 or period_s == layout.period_s:
            return delivery
        own = replace(layout, period_s=period_s)
        return block_delivery(meter=task.meter, layout=own, buffer=buffer, within=within)

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
        buffer = await session.get(plan.buffer, _stamped(since, until) if plan.by_range else None)
        found = log_events(
            meter=task.meter,
            layout=layout,
            profile=profile,
            family=family,
            buffer=buffer,
            received_at=self._now,
        )
        return found if plan.by_range else tuple(event for event in found if since < event.at <= until)


def _plain_profiles(owed: Owed, layout: Layout) -> dict[str, Asked]:
    """Return what is asked of a model that is as it should be."""
    return {name: asked for name, asked in _days_asked(owed) if name == NEEDED_PROFILE or layout.has(name)}


@lru_cache(maxsize=OWED_MAX)
def _days_asked(owed: Owed) -> tuple[tuple[str, Asked], ...]:
    names = [NEEDED_PROFILE, "daily"]
    if any(closes_month(day) for day in range(owed.first, owed.last + 1)):
        names.append("billing")
    span, plans = _span(owed), is15959.PROFILES
    rows = is15959.between(span.start, span.end)  # a row at midnight belongs to the day before it
    return tuple((name, (plans[name].buffer, rows if plans[name].by_range else None)) for name in names)


def _registers(task: Task, layout: Layout, profile: str, buffer: bytes) -> tuple[RegisterSnapshot, ...]:
    """Return the daily or billing registers that close with the days owed."""
    found = snapshots(
        meter=task.meter, layout=layout, profile=profile, buffer=buffer, kind=REGISTER_PROFILES[profile]
    )
    span = _span(task.owed)
    return tuple(shot for shot in found if span.start < shot.at <= span.end)


@lru_cache(maxsize=OWED_MAX)
def _stamped(since: datetime, until: datetime) -> Selection:
    return is15959.between(since, until)


@lru_cache(maxsize=OWED_MAX)
def _span(owed: Owed) -> Period:
    return Period.of_local_days(date_of(owed.first), date_of(owed.last))


def _whole(data: bytes | None) -> int:
    value = None if data is None else axdr.decode(data)
    return value if isinstance(value, int) and not isinstance(value, bool) else NO_NUMBER
