"""
A document of settings: what engineers set meters to, and its one canonical form, whose SHA-256 orders name.

What is not named in a document is left alone at the meter. Reading and checking one is `settings_file`.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bijlighar.dlms.activity_calendar import Calendar
from bijlighar.dlms.settings import BillingDate, LoadLimit, PushSetup

#: Stands before what is hashed, so that no image of firmware can ever pass for a document.
DOMAIN = b"bijlighar meter settings 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsDocument:
    """What meters shall be set to; None and empty mean: left alone. `activate_at` None means at once."""

    name: str
    calendar: Calendar | None = None
    activate_at: datetime | None = None
    load_limit: LoadLimit | None = None
    capture_min: int | None = None
    billing: BillingDate | None = None
    push: tuple[tuple[str, PushSetup], ...] = ()
    event_filter: frozenset[int] | None = None
    payment: str | None = None
    metering: str | None = None

    @property
    def may_interrupt(self) -> bool:
        """Return whether a meter that is set so may open its relay by itself."""
        return self.load_limit is not None or self.payment == "prepaid"

    @property
    def is_empty(self) -> bool:
        """Return whether it sets nothing."""
        return all(
            part is None
            for part in (
                *(self.calendar, self.load_limit, self.capture_min, self.billing, self.event_filter),
                *(self.payment, self.metering, self.push or None),
            )
        )

    @property
    def digest(self) -> str:
        """Return the SHA-256 that an order for it names, in hex."""
        return hashlib.sha256(DOMAIN + canonical(self).encode("ascii")).hexdigest()


def canonical(document: SettingsDocument) -> str:
    """Return the one JSON text of a document, whatever it was written in."""
    return json.dumps(table_of(document), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def table_of(document: SettingsDocument) -> dict[str, Any]:
    """Return a document as its table; `settings_file.document_of_table` reads it back."""
    table: dict[str, Any] = {"name": document.name}
    if document.calendar is not None:
        table["calendar"] = {**calendar_table(document.calendar), "activate": _activation(document)}
    if document.load_limit is not None:
        table["load_limit"] = limit_table(document.load_limit)
    if document.capture_min is not None:
        table["capture_minutes"] = document.capture_min
    if document.billing is not None:
        table["billing"] = billing_table(document.billing)
    if document.push:
        table["push"] = {name: push_table(setup) for name, setup in document.push}
    if document.event_filter is not None:
        table["events"] = {"bits": sorted(document.event_filter)}
    mode = {"payment": document.payment, "metering": document.metering}
    if any(mode.values()):
        table["mode"] = {name: value for name, value in mode.items() if value is not None}
    return table


def calendar_table(calendar: Calendar) -> dict[str, Any]:
    """Return a calendar as a document writes it."""
    return {
        "name": calendar.name,
        "days": {
            str(day.number): {_clock(switch.minute): switch.zone for switch in day.switches}
            for day in calendar.days
        },
        "weeks": {week.name: list(week.days) for week in calendar.weeks},
        "seasons": {
            season.name: {"from": f"{season.month:02d}-{season.day:02d}", "week": season.week}
            for season in calendar.seasons
        },
    }


def limit_table(limit: LoadLimit) -> dict[str, Any]:
    """Return a load limit as a document writes it."""
    return {"watts": limit.watts, "over_s": limit.over_s, "under_s": limit.under_s}


def billing_table(billing: BillingDate) -> dict[str, Any]:
    """Return a billing date as a document writes it."""
    return {"day": billing.day, "time": _clock(billing.minute)}


def push_table(setup: PushSetup) -> dict[str, Any]:
    """Return a push setup as a document writes it."""
    return {
        "destination": setup.destination,
        "objects": [
            f"{item.class_id} {item.obis} {item.attribute} {item.data_index}" for item in setup.objects
        ],
        "windows": [f"{_clock(window.first)}-{_clock(window.last)}" for window in setup.windows],
        "randomise_s": setup.randomise_s,
        "retries": setup.retries,
        "repeat_s": setup.repeat_s,
    }


def _activation(document: SettingsDocument) -> str:
    at = document.activate_at
    return "now" if at is None else at.astimezone(UTC).isoformat(timespec="seconds")


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
