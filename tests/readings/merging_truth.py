"""What must stand in the store after some steps, reckoned interval by interval, without any code of the room."""

import copy
from dataclasses import dataclass, field
from datetime import datetime

from tests.readings.merging_steps import MINUTES, SLOTS, Step

from bijlighar.readings.model import ABSENT, EditKind, Quality

IST_S = 19_800
MEASURED = ("wh_import", "vah_import", "wh_export", "volt", "amp")
LAID_OVER = ("wh_import", "wh_export")
Row = list[int]


def nothing() -> Row:
    return [ABSENT] * SLOTS


@dataclass
class Day:
    """One version of a meter-day."""

    version: int = 0
    recorded_at: datetime | None = None
    measured: dict[str, Row] = field(default_factory=lambda: {name: nothing() for name in MEASURED})
    overlay: dict[str, Row] = field(default_factory=lambda: {name: nothing() for name in LAID_OVER})
    quality: Row = field(default_factory=lambda: [int(Quality.ABSENT)] * SLOTS)
    validated_at: datetime | None = None

    def next(self, now: datetime) -> "Day":
        """The next version; it is not told at an earlier moment than this one."""
        made = copy.deepcopy(self)
        made.version += 1
        made.recorded_at = now if self.recorded_at is None else max(now, self.recorded_at)
        return made

    def is_over(self, slot: int) -> bool:
        return any(self.overlay[name][slot] != ABSENT for name in LAID_OVER)

    def same_as(self, other: "Day") -> bool:
        return self._said() == other._said()

    def _said(self) -> tuple[object, ...]:
        return (self.overlay, self.quality, self.validated_at is None)

    def is_plain(self) -> bool:
        """Nothing stands over what was measured, and the quality says no more than whether it came."""
        usual = (Quality.ABSENT, Quality.MEASURED if self.validated_at is None else Quality.VALID)
        return all(
            not self.is_over(slot) and quality == usual[self.measured["wh_import"][slot] != ABSENT]
            for slot, quality in enumerate(self.quality)
        )


class Truth:
    """All versions of all meter-days and registers, and the events."""

    def __init__(self) -> None:
        self.days: dict[tuple[str, int], list[Day]] = {}
        self.registers: dict[tuple[str, str, datetime], list[tuple[int | None, int | None]]] = {}
        self.events: dict[tuple[str, int, datetime], None] = {}

    def current(self, key: tuple[str, int]) -> Day:
        versions = self.days.get(key)
        return versions[-1] if versions else Day()

    def take(self, step: Step, *, seen: int, now: datetime) -> None:
        """Do what a step does that was committed."""
        if step.kind == "validated":
            self._validate(step, seen, now)
        elif step.kind == "edited":
            self._edit(step, seen, now)
        for snapshot in step.snapshots:
            key = (snapshot.meter, snapshot.kind.value, snapshot.at)
            versions = self.registers.setdefault(key, [])
            had = versions[-1] if versions else (None, None)
            given = (snapshot.wh_import, snapshot.wh_export)
            merged = (
                had[0] if given[0] is None else given[0],
                had[1] if given[1] is None else given[1],
            )
            if not versions or merged != had:
                versions.append(merged)
        for delivery in step.deliveries:
            self._merge(delivery.meter, delivery.starts.tolist(), delivery.values, now)
        for event in step.events:
            self.events.setdefault((event.meter, event.code, event.at))

    def _merge(self, meter: str, starts: list[int], values, now: datetime) -> None:
        by_day: dict[int, list[tuple[int, int]]] = {}
        for place, start in enumerate(starts):
            day, second = divmod(start + IST_S, 86_400)
            by_day.setdefault(day, []).append((place, second // (MINUTES * 60)))
        for day, places in by_day.items():
            before = self.current((meter, day))
            made = before.next(now)
            for place, slot in places:
                for channel, row in values.items():
                    value = int(row[place])
                    if value == ABSENT:
                        continue
                    made.measured[channel][slot] = value
                    if channel in LAID_OVER and before.quality[slot] != Quality.EDITED:
                        made.overlay[channel][slot] = ABSENT
            if made.measured == before.measured:
                continue
            for slot in range(SLOTS):
                if not made.is_over(slot):
                    is_absent = made.measured["wh_import"][slot] == ABSENT
                    made.quality[slot] = int(Quality.ABSENT if is_absent else Quality.MEASURED)
            made.validated_at = None
            self.days.setdefault((meter, day), []).append(made)

    def _validate(self, step: Step, seen: int, now: datetime) -> None:
        before = self.current(step.target)
        if before.version != seen:
            return
        made = before.next(now)
        made.validated_at = now
        for slot in range(SLOTS):
            if before.quality[slot] == Quality.EDITED:
                continue
            known = before.measured["wh_import"][slot]
            over = before.overlay["wh_import"][slot]
            known = known if over == ABSENT else over
            for name in LAID_OVER:
                made.overlay[name][slot] = ABSENT
            made.quality[slot] = int(Quality.VALID)
            if known == ABSENT:
                made.quality[slot] = int(Quality.ESTIMATED)
                made.overlay["wh_import"][slot] = step.values[slot]
        if before.version > 0 and before.is_plain() and made.is_plain():
            before.validated_at = before.validated_at or now  # agreed with as it is: no new version
            before.quality = made.quality
        elif not made.same_as(before):
            self.days.setdefault(step.target, []).append(made)

    def _edit(self, step: Step, seen: int, now: datetime) -> None:
        before = self.current(step.target)
        assert before.version == seen  # else it would have been refused
        made = before.next(now)
        made.validated_at = None
        for slot in range(*step.run):
            if step.edit is EditKind.SET:
                made.overlay[step.channel][slot] = step.values[slot]
                made.quality[slot] = int(Quality.EDITED)
                continue
            for name in LAID_OVER:
                made.overlay[name][slot] = ABSENT
            there = Quality.SUSPECT if step.edit is EditKind.TAKE_OUT else Quality.MEASURED
            made.quality[slot] = int(
                Quality.ABSENT if before.measured["wh_import"][slot] == ABSENT else there
            )
        self.days.setdefault(step.target, []).append(made)
