"""Examine the transformers of a range of days: doubt, verdict, suspects, wrong places, switches and loading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from sqlalchemy import Connection

from bijlighar.balance import evidence, gathering, indexing, viewing
from bijlighar.balance.doubt import Marks
from bijlighar.balance.examination import Examination, examine
from bijlighar.balance.flat_loads import flat_loads
from bijlighar.balance.gathering import Network
from bijlighar.balance.loading import loading
from bijlighar.balance.model import Level, Loss, Misplaced, Suspect, Verdict
from bijlighar.balance.technical import Reals
from bijlighar.balance.viewing import Seen
from bijlighar.base.period import date_of, local_date, local_midnight
from bijlighar.base.words import Words
from bijlighar.readings import queries as readings
from bijlighar.readings.model import Integers
from bijlighar.registry import queries as registry
from bijlighar.registry.model import MeterType, Transformer

#: A longer range is not examined: who hung where, and how lines lie, changes over it.
DAYS_MAX = 62
#: So many suspects are named at a transformer, and none below this score.
SUSPECTS_MAX = 10
SCORE_MIN = 0.05
#: From here on a shape, a voltage or a slope is told as evidence.
SHAPE_TOLD_MIN = 0.05
VOLTAGE_TOLD_MIN = 0.10
SCORE_OF_EVENT = 0.25
#: Voltages of transformers are compared by the half-hour.
HALF_HOUR = 30
#: A slope as low as this tells of a meter that is not here at all, not of a ratio.
SLOPE_MAX = 1 - indexing.SLOPE_NEAR
#: Events by which a meter reports a tamper (IS 15959): reversal, CT open, bypass, magnet, neutral, cover.
TAMPER_CODES = (51, 57, 59, 61, 65, 201, 203, 207, 251)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """One examined transformer: what was seen of it and what the arithmetic says."""

    code: str
    seen: Seen
    result: Examination


def examined(
    connection: Connection,
    *,
    losses: Sequence[Loss],
    first: int,
    last: int,
    beside: Sequence[str] | None = None,
) -> tuple[Loss, ...]:
    """
    Return the losses of transformers over the days `first` to `last` with their doubt, verdict and suspects.

    They are held against all transformers, or against those named `beside`, themselves among them.
    """
    if not losses or last - first >= DAYS_MAX:
        return tuple(losses)
    net = gathering.network(connection, first=first, last=last, transformers=beside)
    if not net.hangings:
        return tuple(losses)
    found = _examine_all(connection, net=net)
    plates = {plate.code: plate for plate in registry.transformers(connection)}
    placed = _misplaced(net, found)
    switched = _switched(net, found)
    tampers = _tampers(connection, net)
    counted = _energy_by_meter(net, found)
    return tuple(
        _with_doubt(
            loss,
            found[loss.code],
            net=net,
            plate=plates.get(loss.code),
            placed=placed,
            switched=switched.get(loss.code),
            tampers=tampers,
            counted=counted,
        )
        if loss.code in found
        else loss
        for loss in losses
    )


def _examine_all(connection: Connection, *, net: Network) -> dict[str, Examined]:
    by_hand, wanted = gathering.assessed(connection, net=net)
    own: dict[str, dict[int, int]] = {}
    for (code, day), energy_wh in gathering.transformer_losses(connection, net=net).items():
        own.setdefault(code, {})[day - net.first] = energy_wh
    flat = flat_loads(connection, first=net.first, last=net.last)
    found: dict[str, Examined] = {}
    for place, code in enumerate(net.codes(Level.TRANSFORMER)):
        seen = viewing.see(
            connection,
            net=net,
            place=place,
            assessed_wh=by_hand.energy_wh,
            by_hand=wanted & by_hand.known,
            own_loss_wh=own.get(code, {}),
        )
        if seen is not None:
            energy, errors = flat.below(code, seen.days)
            view = replace(seen.view, flat_wh=energy, flat_error_wh=errors)
            found[code] = Examined(code=code, seen=replace(seen, view=view), result=examine(view))
    return found


def _with_doubt(
    loss: Loss,
    found: Examined,
    *,
    net: Network,
    plate: Transformer | None,
    placed: Mapping[str, Misplaced],
    switched: Words | None,
    tampers: Mapping[str, Words],
    counted: Mapping[str, float],
) -> Loss:
    view, result = found.seen.view, found.result
    here = [net.hangings[row].meter for row in found.seen.hangings.tolist()]
    verdict = result.verdict
    if switched is not None and verdict in (Verdict.SUSPECTED, Verdict.EXPLAINED):
        verdict = Verdict.SWITCHED
    if verdict is Verdict.SUSPECTED:
        # what a meter registered elsewhere draws here is not stolen
        strange = sum(counted[each.meter] for each in placed.values() if each.found == found.code)
        if result.interval is not None and result.interval[0] - strange <= 0:
            verdict = Verdict.INDEXING
    ours = tuple(
        placed[meter] for meter in here if meter in placed and placed[meter].registered.startswith(found.code)
    )
    by_phase = np.array(
        [np.abs(view.energy_wh[view.phase == number]).sum() for number in range(len(viewing.PHASES))]
    )
    known = result.interval is not None and verdict is not Verdict.TOO_SHORT
    suspects = _suspects(found, net=net, tampers=tampers)
    if switched is not None:
        suspects = tuple(
            replace(each, evidence=evidence.joined([each.evidence, switched])) for each in suspects
        )
    return replace(
        loss,
        technical_loss_wh=loss.technical_loss_wh if verdict is Verdict.TOO_SHORT else result.technical_wh,
        non_technical_loss_wh=result.non_technical_wh if known else None,
        non_technical_loss_wh_interval=result.interval if known else None,
        theft_suspected=verdict is Verdict.SUSPECTED,
        verdict=verdict,
        suspects=suspects,
        misplaced=ours,
        loading=loading(
            input_wh=view.input_wh,
            input_vah=found.seen.input_vah,
            minutes=view.minutes,
            rated_va=None if plate is None else plate.rated_va,
            phase_wh=by_phase if (view.phase < len(viewing.PHASES)).all() else np.zeros(0),
        ),
    )


def _energy_by_meter(net: Network, found: Mapping[str, Examined]) -> dict[str, float]:
    """Return what each meter counted in the examined days [Wh], as a real of the arithmetic."""
    return {
        net.hangings[row].meter: float(each.seen.view.energy_wh[place].sum())
        for each in found.values()
        for place, row in enumerate(each.seen.hangings.tolist())
    }


def _suspects(found: Examined, *, net: Network, tampers: Mapping[str, Words]) -> tuple[Suspect, ...]:
    result, fit = found.result, found.result.fit
    taken = {shape.meter: shape for shape in fit.shapes}
    told: list[Suspect] = []
    for row, hanging in enumerate(found.seen.hangings.tolist()):
        meter = net.hangings[hanging].meter
        score, parts = float(result.score[row]), list[Words]()
        shape = taken.get(row)
        if shape is not None:
            parts.append(
                evidence.shape(
                    shape.kind, hidden_wh=round(shape.energy), since=_day(net, found.seen, shape.since)
                )
            )
        elif fit.score[row] >= SHAPE_TOLD_MIN:
            parts.append(
                evidence.shape(
                    fit.kind[row],
                    hidden_wh=round(float(fit.hidden[row])),
                    since=_day(net, found.seen, int(fit.since[row])),
                )
            )
        if fit.fall[row] > 0:
            parts.append(
                evidence.fall(share=float(fit.fall[row]), since=_day(net, found.seen, int(fit.since[row])))
            )
        if result.seen[row] >= VOLTAGE_TOLD_MIN:
            parts.append(evidence.voltage())
        factor = 1 / (1 + float(result.slope[row])) if result.slope[row] > -SLOPE_MAX else 0.0
        sure = abs(float(result.slope[row])) >= indexing.SLOPE_ERRORS_MIN * float(result.slope_error[row])
        off = abs(factor - 1) >= indexing.RATIO_OFF_MIN and factor > 0
        has_ratio = (
            net.hangings[hanging].multiplier != 1 or net.hangings[hanging].meter_type is MeterType.LT_CT
        )
        if sure and off and has_ratio:
            parts.append(evidence.ratio(factor))
            score = max(score, SCORE_OF_EVENT)
        if meter in tampers:
            parts.append(tampers[meter])
            score = min(1.0, score + SCORE_OF_EVENT)
        if parts and score >= SCORE_MIN:
            told.append(Suspect(meter=meter, score=round(score, 3), evidence=evidence.joined(parts)))
    return tuple(sorted(told, key=lambda each: (-each.score, each.meter))[:SUSPECTS_MAX])


def _day(net: Network, seen: Seen, place: int) -> date:
    return date_of(net.first + int(seen.days[place]))


def _tampers(connection: Connection, net: Network) -> dict[str, Words]:
    since = local_midnight(date_of(net.first))
    end = local_midnight(date_of(net.last)) + timedelta(days=1)
    newest = sorted(
        (at, code, meter)
        for meter, code, at in readings.last_events(connection, codes=TAMPER_CODES, since=since)
        if at < end
    )
    return {meter: evidence.tamper(code=code, on=local_date(at)) for at, code, meter in newest}


def _misplaced(net: Network, found: Mapping[str, Examined]) -> dict[str, Misplaced]:
    """Return the meters whose voltage or load says that they hang elsewhere, by meter."""
    names: list[tuple[str, int]] = []
    volts: list[Reals] = []
    groups: list[int] = []
    where: list[tuple[str, int]] = []
    for code, each in found.items():
        steps = len(net.starts) * each.seen.view.steps_per_day
        place = _steps(each)
        for row in range(len(each.seen.hangings)):
            key = (code, int(each.seen.view.phase[row]))
            if key not in names:
                names.append(key)
            volt = np.full(steps, np.nan)
            volt[place] = each.seen.view.volt[row]
            volts.append(volt if each.seen.view.minutes == HALF_HOUR else _halves(volt))
            groups.append(names.index(key))
            where.append((code, row))
    if not volts:
        return {}
    best, margin = indexing.alike(np.stack(volts), np.array(groups, dtype=np.int64))
    placed: dict[str, Misplaced] = {}
    for index, (code, row) in enumerate(where):
        each = found[code]
        meter = net.hangings[int(each.seen.hangings[row])].meter
        slope, error = float(each.result.slope[row]), float(each.result.slope_error[row])
        by_load = abs(slope + 1) <= indexing.SLOPE_NEAR and -slope >= indexing.SLOPE_ERRORS_MIN * error
        other, phase = names[int(best[index])]
        by_voltage = margin[index] >= indexing.MARGIN_MIN
        known_phase = max(phase, names[groups[index]][1]) < len(viewing.PHASES)
        if by_voltage and other == code and known_phase:
            placed[meter] = evidence.misplaced(
                meter=meter,
                registered=f"{code}/{viewing.PHASES[names[groups[index]][1]]}",
                found=f"{code}/{viewing.PHASES[phase]}",
                by_voltage=True,
                by_load=False,
            )
        elif (by_voltage and other != code) or by_load:
            placed[meter] = evidence.misplaced(
                meter=meter,
                registered=code,
                found=other if by_voltage and other != code else None,
                by_voltage=bool(by_voltage and other != code),
                by_load=by_load,
            )
    return placed


def _steps(each: Examined) -> Integers:
    slots = each.seen.view.steps_per_day
    return (each.seen.days[:, None] * slots + np.arange(slots)[None, :]).reshape(-1)


def _halves(volt: Reals) -> Reals:
    return np.asarray(volt.reshape(-1, 2).mean(axis=1))


def _switched(net: Network, found: Mapping[str, Examined]) -> dict[str, Words]:
    """Return, by transformer, that a part of its line went over to another on one day, or came from one."""
    codes = sorted(found)
    if len(codes) < 2:
        return {}
    days = len(net.starts)
    missing = np.zeros((len(codes), days))
    given = np.zeros((len(codes), days))
    whole: Marks = np.ones(days, dtype=np.bool_)
    for row, code in enumerate(codes):
        each = found[code]
        slots = each.seen.view.steps_per_day
        missing[row, each.seen.days] = each.result.unexplained_wh.reshape(-1, slots).sum(axis=1)
        given[row, each.seen.days] = each.seen.view.input_wh.reshape(-1, slots).sum(axis=1)
        there = np.zeros(days, dtype=np.bool_)
        there[each.seen.days] = True
        whole &= there
    columns = np.flatnonzero(whole)
    told: dict[str, Words] = {}
    if len(columns) < 5:
        return told
    for source, target, begin in indexing.switches(missing[:, columns], given[:, columns]):
        words = evidence.switched(
            source=codes[source], target=codes[target], since=date_of(net.first + int(columns[begin]))
        )
        told[codes[source]] = told[codes[target]] = words
    return told
