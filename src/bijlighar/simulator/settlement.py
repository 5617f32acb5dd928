"""Who lives in the town: consumers with their loads and habits, drawn from the seed, on transformers and feeders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

import numpy as np

from bijlighar.base.identity import check_digit
from bijlighar.base.words import Language
from bijlighar.simulator import people
from bijlighar.simulator.model import (
    PHASES,
    Behaviour,
    Consumer,
    Kind,
    LoadFile,
    LoadShape,
    Payer,
    Premises,
    TransformerPlan,
)

TOWN_OFFICE = "TO-DEPALPUR"
CONSUMERS_PER_TRANSFORMER = 25
TRANSFORMERS_PER_FEEDER = 25
LARGEST_TOWN = 60_000

THREE_PHASE_PCT = 6
LT_CT_PCT = 2
OLD_PCT = 8

#: kVA, no-load loss [W], load loss at full load [W].
_TRANSFORMERS = (
    (25, 100, 685),
    (63, 180, 1235),
    (100, 260, 1760),
    (200, 500, 3000),
    (315, 700, 4200),
    (500, 1000, 6000),
)
_DIVERSITY = 0.45
#: A street whose consumers may draw more than this [W] in all is wired with a thicker conductor.
_THIN_WIRE_W = 60_000
_HOME_W = ((500, 0.08), (1000, 0.34), (2000, 0.32), (3000, 0.18), (5000, 0.08))
_METHODS = ("upi", "upi", "upi", "netbanking", "card", "counter")
_NEVER_CLOSED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place of supply before anybody is settled there: its meter's kind and whether it is smart from the start."""

    kind: Kind
    smart: bool


def share(pct: float, of: int, *, least: int = 0) -> int:
    """
    Return `pct` [%] of a number, rounded half up, at least `least`.

    >>> share(8, 300), share(2, 20, least=1)
    (24, 1)
    """
    return max(least, int(pct * of / 100 + 0.5))


def places(generator: np.random.Generator, *, meters: int, old_meters: bool) -> tuple[Place, ...]:
    """Return the places of supply in the order in which they are settled along the streets."""
    least = 1 if meters >= 10 and old_meters else 0
    lt_ct = share(LT_CT_PCT, meters, least=least)
    three = share(THREE_PHASE_PCT, meters, least=least)
    old = share(OLD_PCT, meters, least=2 * least) if old_meters else 0
    kinds = (
        [Place(kind=Kind.LT_CT, smart=True)] * lt_ct
        + [Place(kind=Kind.THREE_PHASE, smart=True)] * three
        + [Place(kind=Kind.SINGLE_PHASE, smart=False)] * old
    )
    kinds += [Place(kind=Kind.SINGLE_PHASE, smart=True)] * (meters - len(kinds))
    return tuple(kinds[int(index)] for index in generator.permutation(len(kinds)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where on the network a place of supply hangs."""

    transformer: str
    feeder: str
    phase: str
    node: int


def settle(
    generator: np.random.Generator, *, settled: Sequence[Place], seed: int, profiles: LoadFile | None
) -> tuple[tuple[Consumer, ...], tuple[TransformerPlan, ...], tuple[str, ...]]:
    """Return the consumers of the places, the transformers and the feeders above them; nobody has habits yet."""
    count = max(1, share(100 / CONSUMERS_PER_TRANSFORMER, len(settled)))
    feeders = tuple(f"F-DEPALPUR-{number + 1}" for number in range(_feeder_count(count)))
    streets: list[list[int]] = [[] for _ in range(count)]
    for index in range(len(settled)):
        streets[index * count // len(settled)].append(index)
    consumers: list[Consumer] = []
    transformers: list[TransformerPlan] = []
    for number, street in enumerate(streets):
        code, feeder = f"DT-DEP-{number + 1:03d}", feeders[number * len(feeders) // count]
        residents = [
            _consumer(generator, index=index, settled=settled, spot=spot, seed=seed, profiles=profiles)
            for index, spot in _spots(generator, street=street, settled=settled, code=code, feeder=feeder)
        ]
        sanctioned_w = sum(resident.sanctioned_w for resident in residents)
        transformers.append(_transformer(generator, code=code, feeder=feeder, sanctioned_w=sanctioned_w))
        consumers.extend(residents)
    return tuple(consumers), tuple(transformers), feeders


def _spots(
    generator: np.random.Generator, *, street: Sequence[int], settled: Sequence[Place], code: str, feeder: str
) -> list[tuple[int, Spot]]:
    """Return a pole and phase for each place of a street; three-phase supplies stand nearest to the transformer."""
    big = [index for index in street if settled[index].kind.phases == 3]
    wires = [len(big)] * len(PHASES)
    spots = []
    for index in street:
        if settled[index].kind.phases == 3:
            phase, node = "".join(PHASES), big.index(index)
        else:
            wire = int(generator.integers(len(PHASES)))
            if wires[wire] > min(wires) + 1:
                wire = wires.index(min(wires))
            phase, node = PHASES[wire], wires[wire]
            wires[wire] += 1
        spots.append((index, Spot(transformer=code, feeder=feeder, phase=phase, node=node)))
    return spots


def _feeder_count(transformers: int) -> int:
    if transformers < 2:
        return 1
    return max(2, min(3, transformers // 4), transformers // TRANSFORMERS_PER_FEEDER)


def _transformer(
    generator: np.random.Generator, *, code: str, feeder: str, sanctioned_w: int
) -> TransformerPlan:
    needed_kva = sanctioned_w * _DIVERSITY / 1000
    size = next((size for size in _TRANSFORMERS if size[0] >= needed_kva), _TRANSFORMERS[-1])
    return TransformerPlan(
        code=code,
        feeder=feeder,
        kva=size[0],
        no_load_loss_w=size[1],
        load_loss_w=size[2],
        milliohm_per_span=int(generator.integers(90, 150) * min(1.0, _THIN_WIRE_W / max(1, sanctioned_w))),
    )


def _consumer(
    generator: np.random.Generator,
    *,
    index: int,
    settled: Sequence[Place],
    spot: Spot,
    seed: int,
    profiles: LoadFile | None,
) -> Consumer:
    kind = settled[index].kind
    rank = sum(place.kind is Kind.LT_CT for place in settled[:index]) if kind is Kind.LT_CT else -1
    premises = _premises(generator, kind=kind, rank=rank)
    language: Language = "hi" if generator.random() < 0.72 else "en"
    sanctioned_w = _sanctioned_w(generator, premises=premises, kind=kind)
    load = _load(generator, premises=premises, sanctioned_w=sanctioned_w)
    profile = None
    if profiles is not None:
        profile = index % len(profiles.names)
        peak_w = 2 * int(profiles.energy_wh[profile].max(initial=0))
        sanctioned_w = max(sanctioned_w, -(-peak_w // 500) * 500)
    digits = f"34{seed % 100:02d}{index + 1:05d}"
    reachable = generator.random() < 0.96
    writes = generator.random() < 0.2
    return Consumer(
        index=index,
        account=f"N{digits}{check_digit(digits)}",
        name=_name(generator, premises=premises, language=language),
        premises=premises,
        category=_category(premises),
        area="urban",
        sanctioned_w=sanctioned_w,
        usage_point=f"UP-{seed % 100:02d}{index + 1:05d}",
        office=TOWN_OFFICE,
        phone=f"+9170000{index:05d}" if reachable else "",
        language=language,
        email=f"consumer{index + 1}@example.com" if writes else "",
        transformer=spot.transformer,
        feeder=spot.feeder,
        phase=spot.phase,
        node=spot.node,
        power_factor_pct=int(
            generator.integers(92, 99) if premises is Premises.HOME else generator.integers(84, 95)
        ),
        load=load,
        payer=_prompt(generator),
        profile=profile,
    )


def _premises(generator: np.random.Generator, *, kind: Kind, rank: int) -> Premises:
    draw = generator.random()
    if kind is Kind.LT_CT:
        return {0: Premises.HOSPITAL, 1: Premises.WATERWORKS}.get(rank, Premises.WORKSHOP)
    if kind is Kind.THREE_PHASE:
        if draw < 0.4:
            return Premises.HOME
        return Premises.SHOP if draw < 0.65 else Premises.WORKSHOP
    return Premises.HOME if draw < 0.82 else Premises.SHOP


def _category(premises: Premises) -> str:
    if premises is Premises.HOME:
        return "LV-1.2"
    return "LV-2.2" if premises in (Premises.SHOP, Premises.HOSPITAL) else "LV-4"


def _name(generator: np.random.Generator, *, premises: Premises, language: Language) -> str:
    if premises is Premises.HOSPITAL:
        return people.HOSPITAL[language]
    if premises is Premises.WATERWORKS:
        return people.WATERWORKS[language]
    if premises is Premises.HOME:
        return people.person_name(generator, language=language)
    if premises is Premises.SHOP:
        return people.shop_name(generator, language=language)
    return people.workshop_name(generator, language=language)


def _sanctioned_w(generator: np.random.Generator, *, premises: Premises, kind: Kind) -> int:
    if premises is Premises.HOSPITAL:
        return 10_000
    if premises in (Premises.WORKSHOP, Premises.WATERWORKS):
        low, high = (20, 45) if kind is Kind.LT_CT else (8, 18)
        return int(generator.integers(low, high)) * 1000
    if kind is Kind.THREE_PHASE:
        return int(generator.integers(5, 11)) * 1000
    if premises is Premises.SHOP:
        return int(generator.integers(1, 6)) * 1000
    draw = generator.random()
    for sanctioned_w, chance in _HOME_W:
        draw -= chance
        if draw < 0:
            return sanctioned_w
    return _HOME_W[-1][0]


def _load(generator: np.random.Generator, *, premises: Premises, sanctioned_w: int) -> LoadShape:
    spread = float(0.75 + 0.5 * generator.random())

    def part(fraction: float) -> int:
        return max(0, int(sanctioned_w * fraction * spread))

    if premises is Premises.HOME:
        cools = sanctioned_w >= 2000 and generator.random() < 0.45
        return LoadShape(
            base_w=max(12, part(0.035)),
            fan_w=min(part(0.07), 280),
            cooling_w=part(0.22) if cools else 0,
            morning_w=part(0.10),
            evening_w=part(0.13),
            working_w=0,
            opens_half_hour=0,
            closes_half_hour=0,
            closed_weekday=_NEVER_CLOSED,
        )
    around_the_clock = premises in (Premises.HOSPITAL, Premises.WATERWORKS)
    shop = premises is Premises.SHOP
    return LoadShape(
        base_w=max(15, part(0.18 if around_the_clock else 0.025)),
        fan_w=min(part(0.05), 300),
        cooling_w=part(0.10) if shop and generator.random() < 0.3 else 0,
        morning_w=part(0.10) if around_the_clock else 0,
        evening_w=part(0.08) if around_the_clock or shop else 0,
        working_w=part(0.16 if shop else 0.28),
        opens_half_hour=int(generator.integers(18, 22)) if shop else 17,
        closes_half_hour=int(generator.integers(40, 44)) if shop else int(generator.integers(35, 39)),
        closed_weekday=_NEVER_CLOSED if around_the_clock else (int(generator.integers(0, 7)) if shop else 6),
    )


def _prompt(generator: np.random.Generator) -> Payer:
    return Payer(
        behaviour=Behaviour.PROMPT,
        days=int(generator.integers(0, 9)),
        at=_pay_time(generator),
        method=_METHODS[int(generator.integers(len(_METHODS)))],
    )


def _pay_time(generator: np.random.Generator) -> time:
    return time(int(generator.integers(9, 20)), 30 * int(generator.integers(2)))
