"""What people do: who pays when, who is protected, who steals; and what befalls meters."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import numpy as np

from bijlighar.base.period import local_time
from bijlighar.simulator.model import (
    Behaviour,
    Bypass,
    Consumer,
    Device,
    Kind,
    Premises,
    ProtectionPlan,
    Silence,
    StockReceipt,
    Tamper,
)
from bijlighar.simulator.settlement import share

SILENT_PCT = 30
TAMPER_CODES = (201, 251, 203)
#: Codes whose condition never ends (the cover was open once) have no restoration.
_NEVER_RESTORED = frozenset({251})
_TRANSFORMERS_WITH_THIEVES = 3
_LONGEST_SILENCE = 14
_CUT_SEASON_FROM = 95
_CUT_SEASON_TO = 112

_AFTER_CUT_PCT = 1.34
#: From this sanctioned load on two monthly bills exceed any minimum for a cut.
_WORTH_CUTTING_W = 2_000
_NEVER_PCT = 0.66
#: Every second of those who never pay signs for the notice so late that its fifteen clear days end with the plan:
#: whoever looks at the town then still has somebody to list.
_HOME_BEFORE_END_DAYS = 16
_AFTER_WARNING_PCT = 0.66
_PROTECTED_LATE_PCT = 0.66
_AFTER_NOTICE_PCT = 3.0
_LATE_PCT = 12.0
_THIEF_PCT = 2.0
#: A protected account that pays after it would have been cut, so that a list shows why it was left out.
_PROTECTED_PAYS_AFTER_DAYS = 84


def with_habits(
    generator: np.random.Generator,
    *,
    consumers: Sequence[Consumer],
    relays: frozenset[int],
    first_day: date,
    days: int,
    honest: bool,
) -> tuple[Consumer, ...]:
    """Return the consumers with their habits; `relays` are those whose supply can be cut remotely."""
    count = len(consumers)
    order = [int(index) for index in generator.permutation(count)]
    plain = [index for index in order if consumers[index].premises in (Premises.HOME, Premises.SHOP)]
    remote = [index for index in plain if index in relays]
    by_hand = [
        index for index in order if index not in relays and consumers[index].premises is Premises.WORKSHOP
    ]
    changed = dict(enumerate(consumers))

    def pays(indexes: Sequence[int], behaviour: Behaviour, low: int, high: int) -> None:
        for index in indexes:
            days_after = int(generator.integers(low, high))
            changed[index] = replace(
                changed[index], payer=replace(changed[index].payer, behaviour=behaviour, days=days_after)
            )

    # Who owes long enough to be cut has bills that are worth it: a policy leaves small sums alone.
    remote.sort(key=lambda index: consumers[index].sanctioned_w < _WORTH_CUTTING_W)
    after_cut = share(_AFTER_CUT_PCT, count, least=1)
    cut_by_hand = by_hand[: 1 if after_cut >= 3 else 0]
    pays(_take(remote, after_cut - len(cut_by_hand)) + cut_by_hand, Behaviour.AFTER_CUT, 0, 2)
    never = _take(remote, share(_NEVER_PCT, count))
    pays(never, Behaviour.NEVER, 0, 1)
    for index in never[1::2]:
        home_on = first_day + timedelta(days=days - 1 - _HOME_BEFORE_END_DAYS)
        changed[index] = replace(
            changed[index], payer=replace(changed[index].payer, home_on=max(home_on, first_day))
        )
    pays(
        _take(remote, share(_AFTER_WARNING_PCT, count, least=1 if count >= 40 else 0)),
        Behaviour.AFTER_WARNING,
        0,
        1,
    )
    protected = [index for index in remote if consumers[index].premises is Premises.HOME]
    protected = protected[: share(_PROTECTED_LATE_PCT, count, least=1)]
    for index in protected:
        remote.remove(index)
        changed[index] = replace(
            changed[index], protection=_life_support(generator, index=index, first_day=first_day)
        )
    pays(protected, Behaviour.LATE, _PROTECTED_PAYS_AFTER_DAYS, _PROTECTED_PAYS_AFTER_DAYS + 4)
    for index in _take(remote, 0 if honest else share(_THIEF_PCT, count, least=1)):
        bypass = Bypass(
            share_pct=int(generator.integers(40, 81)),
            since=first_day + timedelta(days=int(generator.integers(0, max(1, min(days // 3, 30))))),
        )
        changed[index] = replace(changed[index], bypass=bypass)
    pays(_take(remote, share(_AFTER_NOTICE_PCT, count)), Behaviour.AFTER_NOTICE, 3, 10)
    pays(_take(remote, share(_LATE_PCT, count)), Behaviour.LATE, 11, 40)
    for index in order:
        if consumers[index].premises in (Premises.HOSPITAL, Premises.WATERWORKS):
            changed[index] = replace(
                changed[index], protection=_public_service(consumers[index], first_day=first_day)
            )
    return tuple(changed[index] for index in range(count))


def _take(stock: list[int], count: int) -> list[int]:
    taken = stock[: max(0, count)]
    del stock[: max(0, count)]
    return taken


def _life_support(generator: np.random.Generator, *, index: int, first_day: date) -> ProtectionPlan:
    return ProtectionPlan(
        kind="life_support",
        certificate=f"CMHO-IND-{int(generator.integers(100, 1000))}-{index + 1}",
        until=date(first_day.year + 1, 3, 31),
    )


def _public_service(consumer: Consumer, *, first_day: date) -> ProtectionPlan:
    return ProtectionPlan(
        kind=str(consumer.premises),
        certificate=f"COLL-IND-{consumer.index + 1}",
        until=date(first_day.year + 2, 3, 31),
    )


def critical(consumers: Sequence[Consumer]) -> frozenset[int]:
    """Return the consumers on whose meters the line's end shows: nothing else is planned for them."""
    telling = (Behaviour.AFTER_CUT, Behaviour.NEVER, Behaviour.AFTER_WARNING)
    return frozenset(consumer.index for consumer in consumers if consumer.payer.behaviour in telling)


def silences(
    generator: np.random.Generator,
    *,
    consumers: Sequence[Consumer],
    devices: Sequence[Device],
    first_day: date,
    days: int,
) -> tuple[Silence, ...]:
    """Return who is silent when: about 30 % of the meters for some days each, a transformer's for one day."""
    spared = critical(consumers)
    smart = [
        device for device in devices if device.smart and device.consumer is not None and not device.in_store
    ]
    usable = [device for device in smart if device.consumer not in spared]
    chosen = generator.permutation(len(usable))[: share(SILENT_PCT, len(smart), least=min(1, len(usable)))]
    result = [
        silence
        for rank, place in enumerate(chosen)
        for silence in _windows(
            generator, serial=usable[int(place)].serial, first_day=first_day, days=days, rank=rank
        )
    ]
    for device in devices:
        if device.kind is Kind.TRANSFORMER and device.smart and generator.random() < 0.15:
            day = first_day + timedelta(days=int(generator.integers(3, max(4, days - 3))))
            result.append(Silence(serial=device.serial, first=day, last=day))
    result.extend(_silent_when_cut(consumers=consumers, devices=smart, first_day=first_day))
    return tuple(sorted(result, key=lambda silence: (silence.serial, silence.first)))


def _windows(
    generator: np.random.Generator, *, serial: str, first_day: date, days: int, rank: int
) -> list[Silence]:
    """Return one to three spans; meter 0 is silent over the first month's end, meter 1 to the end of the plan."""
    if rank == 0:
        first, length = min(27, max(1, days - 6)), 8
        return [_span(serial, first_day, first, min(length, max(1, days - first - 2)))]
    if rank == 1 and days > 30:
        return [_span(serial, first_day, days - 9, _LONGEST_SILENCE)]
    spans = []
    at = int(generator.integers(1, max(2, days // 2)))
    for _ in range(int(generator.integers(1, 4))):
        long = generator.random() < 0.1
        length = int(generator.integers(6, 12)) if long else int(generator.integers(1, 5))
        if at + length >= days - 2:
            break
        spans.append(_span(serial, first_day, at, length))
        at += length + int(generator.integers(8, 40))
    return spans or [_span(serial, first_day, max(0, days // 2 - 1), 1)]


def _silent_when_cut(
    *, consumers: Sequence[Consumer], devices: Sequence[Device], first_day: date
) -> list[Silence]:
    """Return the silence of one meter in the season of the cuts, in a town that has others to show the remote cut."""
    cut = [consumer.index for consumer in consumers if consumer.payer.behaviour is Behaviour.AFTER_CUT]
    hanging = {device.consumer: device for device in devices if device.kind.has_relay}
    remote = [hanging[index] for index in cut if index in hanging]
    if len(remote) < 3:
        return []
    return [_span(remote[-1].serial, first_day, _CUT_SEASON_FROM, _CUT_SEASON_TO - _CUT_SEASON_FROM)]


def _span(serial: str, first_day: date, at: int, length: int) -> Silence:
    first = first_day + timedelta(days=at)
    return Silence(serial=serial, first=first, last=first + timedelta(days=length - 1))


def tampers(
    generator: np.random.Generator,
    *,
    consumers: Sequence[Consumer],
    devices: Sequence[Device],
    silent: Sequence[Silence],
    first_day: date,
    days: int,
) -> tuple[Tamper, ...]:
    """Return the tampers, spread over the days, at meters that can tell of them."""
    spared = critical(consumers)
    quiet = {silence.serial for silence in silent}
    usable = [
        device
        for device in devices
        if device.smart
        and not device.in_store
        and device.kind.has_relay
        and device.consumer not in spared
        and device.serial not in quiet
    ]
    count = min(len(usable), max(len(TAMPER_CODES), share(100 / 60, len(consumers))))
    result = []
    for number, place in enumerate(generator.permutation(len(usable))[:count]):
        code = TAMPER_CODES[number % len(TAMPER_CODES)]
        day = first_day + timedelta(days=min(days - 1, 3 + number * max(1, days - 6) // count))
        at = local_time(day, time(int(generator.integers(10, 20)), 30 * int(generator.integers(2))))
        restored = None if code in _NEVER_RESTORED else at + timedelta(hours=2)
        result.append(Tamper(at=at, serial=usable[int(place)].serial, code=code, restored_at=restored))
    return tuple(sorted(result, key=lambda tamper: (tamper.at, tamper.serial)))


def installation_times(*, count: int, first_day: date, days: int) -> tuple[datetime, ...]:
    """Return when the old meters are exchanged: in working hours, spread over the middle of the time."""
    start, span = days // 6, max(1, days * 2 // 3)
    result = []
    for number in range(count):
        day = first_day + timedelta(days=start + number * span // max(1, count))
        day += timedelta(days=1) if day.weekday() == 6 else timedelta(0)
        result.append(local_time(day, time(10 + number % 6, 30)))
    return tuple(result)


def receipts(
    *, coming: Sequence[str], spare: Sequence[str], first_day: date, days: int
) -> tuple[StockReceipt, ...]:
    """Return the deliveries to the store: the meters that are hung, in order, and a few that stay there."""
    serials = (*coming, *spare)
    if not serials:
        return ()
    first = -(-len(serials) * 3 // 5)
    parts = [(2, serials[:first]), (max(3, days // 3), serials[first:])]
    return tuple(
        StockReceipt(
            at=local_time(first_day + timedelta(days=at), time(9, 30)),
            kind=Kind.SINGLE_PHASE,
            serials=delivered,
            reference=f"GRN-{first_day.year}-{number + 1:03d}",
        )
        for number, (at, delivered) in enumerate(parts)
        if delivered
    )
