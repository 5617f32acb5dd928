"""The plan of a town, drawn from its seed, and what follows from the plan without any state."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np

from bijlighar.base.period import IST, Month, local_date, local_midnight, local_time
from bijlighar.simulator import habits, settlement
from bijlighar.simulator.errors import ImpossibleTown
from bijlighar.simulator.makers import make_devices, serial_number
from bijlighar.simulator.model import (
    Behaviour,
    Consumer,
    Device,
    HandReadingRound,
    Installation,
    Kind,
    LoadFile,
    OfficePlan,
    Payer,
    PersonPlan,
    Silence,
    Town,
)
from bijlighar.simulator.settlement import share

CONTROL_CENTRE = "REG-INDORE"
FITTER = "s.patel"
LONGEST_PLAN_MONTHS = 120

_STREAM_PLAN = 10
#: Meters that arrive beyond those that are hung, in percent of the old ones: too few for everybody.
_SPARE_PCT = 17
_OFFICES = (
    ("CO-WEST", "West Discom", "पश्चिम क्षेत्र विद्युत वितरण कंपनी", "company", ""),
    (CONTROL_CENTRE, "Indore Region", "इंदौर रीजन", "region", "CO-WEST"),
    ("CIR-INDORE-RURAL", "Indore Rural Circle", "इंदौर ग्रामीण वृत्त", "circle", CONTROL_CENTRE),
    ("DIV-DEPALPUR", "Depalpur Division", "देपालपुर डिवीजन", "division", "CIR-INDORE-RURAL"),
    (settlement.TOWN_OFFICE, "Depalpur Town Office", "देपालपुर वितरण केंद्र", "town-office", "DIV-DEPALPUR"),
)
_PERSONS = (
    ("r.verma", "रीना वर्मा", settlement.TOWN_OFFICE, ("clerk",)),
    (FITTER, "संतोष पटेल", settlement.TOWN_OFFICE, ("fitter",)),
    ("a.joshi", "अरुण जोशी", CONTROL_CENTRE, ("approver",)),
    ("k.sharma", "Kiran Sharma", CONTROL_CENTRE, ("operator",)),
    ("p.chouhan", "Prakash Chouhan", CONTROL_CENTRE, ("store_keeper",)),
    ("m.khan", "Mumtaz Khan", CONTROL_CENTRE, ("theft_officer",)),
    ("v.rathore", "विक्रम राठौर", CONTROL_CENTRE, ("engineer",)),
    ("n.tiwari", "नीलिमा तिवारी", CONTROL_CENTRE, ("admin",)),
)


def plan_town(
    *,
    seed: int,
    meters: int,
    months: int,
    first_day: date,
    profiles: LoadFile | None = None,
    stand_alone: bool = False,
) -> Town:
    """
    Return the town of a seed: `meters` consumers' meters, with the transformers' and feeders' meters on top.

    A stand-alone town is only its meters: all are smart and answer, nobody steals, nothing is planned to happen.

    :raises ImpossibleTown: if there can be no such town.
    """
    _check(meters=meters, months=months, first_day=first_day, stand_alone=stand_alone, profiles=profiles)
    generator = np.random.default_rng([seed, _STREAM_PLAN])
    last_day = _last_day(first_day, months)
    days = (last_day - first_day).days + 1
    settled = settlement.places(generator, meters=meters, old_meters=not stand_alone)
    consumers, transformers, feeders = settlement.settle(
        generator, settled=settled, seed=seed, profiles=profiles
    )
    if not stand_alone:
        relays = frozenset(
            index for index, place in enumerate(settled) if place.smart and place.kind.has_relay
        )
        consumers = habits.with_habits(
            generator,
            consumers=consumers,
            relays=relays,
            first_day=first_day,
            days=days,
            honest=profiles is not None,
        )
    old = [index for index, place in enumerate(settled) if not place.smart]
    exchanged = [old[int(place)] for place in generator.permutation(len(old))[: (len(old) + 1) // 2]]
    devices = make_devices(
        generator,
        seed=seed,
        first_day=first_day,
        consumers=consumers,
        settled=settled,
        exchanged=exchanged,
        above=() if stand_alone else transformers,
    )
    silences: tuple[Silence, ...] = ()
    if not stand_alone:
        silences = habits.silences(
            generator, consumers=consumers, devices=devices, first_day=first_day, days=days
        )
    return Town(
        seed=seed,
        months=months,
        first_day=first_day,
        last_day=last_day,
        stand_alone=stand_alone,
        office=settlement.TOWN_OFFICE,
        control_centre=CONTROL_CENTRE,
        consumers=consumers,
        devices=devices,
        transformers=transformers,
        feeders=feeders,
        silences=silences,
        offices=tuple(
            OfficePlan(code=code, name_en=en, name_hi=hi, level=level, parent=parent)
            for code, en, hi, level, parent in _OFFICES
        ),
        persons=tuple(
            PersonPlan(sign_in=sign_in, name=name, office=office, roles=roles)
            for sign_in, name, office, roles in _PERSONS
        ),
        receipts=habits.receipts(
            coming=[device.serial for device in devices if device.in_store],
            spare=[
                serial_number(Kind.SINGLE_PHASE, seed=seed, number=len(devices) + 1 + number)
                for number in range(min(len(old) - len(exchanged), share(_SPARE_PCT, len(old))))
            ],
            first_day=first_day,
            days=days,
        ),
        installations=_installations(consumers, devices, exchanged, first_day=first_day, days=days),
        tampers=()
        if stand_alone
        else habits.tampers(
            generator, consumers=consumers, devices=devices, silent=silences, first_day=first_day, days=days
        ),
        hand_readings=() if stand_alone else _hand_readings(first_day, months),
    )


def pays_at(
    payer: Payer,
    *,
    issued_at: datetime,
    noticed_at: datetime | None = None,
    warned_at: datetime | None = None,
    cut_at: datetime | None = None,
) -> datetime | None:
    """
    Return when a consumer pays everything that is open, or None as long as what they wait for has not happened.

    The moments are those of the oldest bill still unpaid: its issue, the statutory notice, the last warning, the cut.
    """
    waits_for = {
        Behaviour.PROMPT: issued_at,
        Behaviour.LATE: issued_at,
        Behaviour.AFTER_NOTICE: noticed_at,
        Behaviour.AFTER_WARNING: warned_at,
        Behaviour.AFTER_CUT: cut_at,
        Behaviour.NEVER: None,
    }[payer.behaviour]
    if waits_for is None:
        return None
    due = local_time(local_date(waits_for) + timedelta(days=payer.days), payer.at)
    return due if due > waits_for else due + timedelta(days=1)


def is_silent(town: Town, *, serial: str, day: date) -> bool:
    """Return whether the plan has a meter silent on a day."""
    return any(silence.serial == serial and silence.first <= day <= silence.last for silence in town.silences)


def time_zone(half_hour: int) -> int:
    """
    Return the time-of-day register, 0 for 22-06, 1 for 06-09, 2 for 09-17, 3 for 17-22, of a half-hour of the day.

    >>> [time_zone(half_hour) for half_hour in (0, 12, 18, 34, 44)]
    [0, 1, 2, 3, 0]
    """
    if 12 <= half_hour < 18:
        return 1
    if 18 <= half_hour < 34:
        return 2
    return 3 if 34 <= half_hour < 44 else 0


def half_hour_of(moment: datetime) -> int:
    """Return which of the day's 48 half-hours, by IST, a moment lies in."""
    local = moment.astimezone(IST)
    return local.hour * 2 + local.minute // 30


def _check(
    *, meters: int, months: int, first_day: date, stand_alone: bool, profiles: LoadFile | None
) -> None:
    if not 1 <= meters <= settlement.LARGEST_TOWN:
        raise ImpossibleTown(f"a town has 1 to {settlement.LARGEST_TOWN} meters, not {meters}")
    if not 1 <= months <= LONGEST_PLAN_MONTHS:
        raise ImpossibleTown(f"a town runs 1 to {LONGEST_PLAN_MONTHS} months, not {months}")
    if first_day.day != 1 and not stand_alone:
        raise ImpossibleTown(f"a town begins on the first of a month, not on {first_day}")
    if profiles is not None and not profiles.names:
        raise ImpossibleTown("the file of load curves has no meter; give one with columns meter_id, ts, kwh")


def _last_day(first_day: date, months: int) -> date:
    month = Month.of(first_day)
    for _ in range(months - 1):
        month = month.next
    return month.last


def _hand_readings(first_day: date, months: int) -> tuple[HandReadingRound, ...]:
    month, rounds = Month.of(first_day), []
    for _ in range(months + 1):
        rounds.append(HandReadingRound(at=local_midnight(month.first)))
        month = month.next
    return tuple(rounds)


def _installations(
    consumers: Sequence[Consumer],
    devices: Sequence[Device],
    exchanged: Sequence[int],
    *,
    first_day: date,
    days: int,
) -> tuple[Installation, ...]:
    hanging = {
        device.consumer: device for device in devices if not device.in_store and device.consumer is not None
    }
    coming = {device.consumer: device for device in devices if device.in_store}
    times = habits.installation_times(count=len(exchanged), first_day=first_day, days=days)
    return tuple(
        Installation(
            at=at,
            account=consumers[index].account,
            usage_point=consumers[index].usage_point,
            old_serial=hanging[index].serial,
            new_serial=coming[index].serial,
            fitter=FITTER,
        )
        for index, at in zip(exchanged, times, strict=True)
    )
