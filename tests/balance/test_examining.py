"""Transformers examined from the database on; every fault in them was put there."""

import dataclasses
from datetime import date, timedelta

import numpy as np
import pytest
from tests.balance.grid import STEPS, Plan, Town, town, walk

from bijlighar.balance import operations, queries
from bijlighar.balance.model import Level, Loss, Verdict
from bijlighar.base.period import epoch_seconds, local_midnight
from bijlighar.readings import operations as readings
from bijlighar.readings.model import Delivery, MeterEvent
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database

FIRST = date(2025, 4, 1)
DAYS = 14
LAST = FIRST + timedelta(days=DAYS - 1)
NOW = local_midnight(LAST) + timedelta(days=2)
CONSUMERS = 24
HEADER = "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office\n"


def plans() -> list[Plan]:
    rng = np.random.default_rng(3)
    feeder = walk(rng, DAYS * STEPS)
    return [
        town(
            rng,
            consumers=CONSUMERS,
            days=DAYS,
            metres=25,
            feeder_volt=feeder + rng.normal(0, 0.5, len(feeder)),
        )
        for _ in range(2)
    ]


def fill(
    database: Database, towns: list[Town], *, registered: dict[str, tuple[str, str]], silent: int = 0
) -> None:
    """Store two towns T1 and T2; `registered` tells where and on what phase a meter is registered, if wrongly."""
    rows, deliveries = [], []
    starts = epoch_seconds(local_midnight(FIRST)) + np.arange(DAYS * STEPS, dtype=np.int64) * 1_800

    def deliver(meter: str, wh: np.ndarray, volt: np.ndarray) -> None:
        values = {"wh_import": wh.astype(np.int64), "volt": np.rint(volt * 100).astype(np.int64)}
        deliveries.append(Delivery(meter=meter, minutes=30, starts=starts, values=values))

    for number, built in enumerate(towns, start=1):
        for row in range(CONSUMERS):
            meter = f"M{number}{row:02}"
            code, phase = registered.get(meter, (f"T{number}", "RYB"[built.phase[row]]))
            rows.append(
                f"A{meter},,,,,U{meter},{meter},single-phase,tcp://h:{number}{row:02},{code},F1,{phase},"
            )
            if row >= silent:
                deliver(meter, built.metered_wh[row], built.volt[row])
        rows.append(f",,,,,,H{number},transformer,tcp://h:9{number},T{number},F1,,")
        deliver(f"H{number}", built.input_wh, built.head_volt)
    network = "transformer,feeder,kva,no_load_loss_w,load_loss_w,side\nT1,F1,10,,,\nT2,F1,100,,,\n"
    with database.write() as connection:
        registry.import_registry(connection, text=HEADER + "\n".join(rows) + "\n", now=NOW)
        registry.import_network(connection, text=network)
        readings.append(connection, deliveries=deliveries, now=NOW)
    operations.close_range(database, first=FIRST, last=LAST, now=NOW)


def losses(database: Database) -> tuple[Loss, Loss]:
    with database.read() as connection:
        found = queries.examined_losses(connection, level=Level.TRANSFORMER, first=FIRST, last=LAST)
    assert [loss.code for loss in found] == ["T1", "T2"]
    return found[0], found[1]


def alone(database: Database, code: str) -> Loss | None:
    with database.read() as connection:
        return queries.examined_loss(connection, level=Level.TRANSFORMER, code=code, first=FIRST, last=LAST)


def with_interval(database: Database) -> tuple[Loss, ...]:
    with database.read() as connection:
        found = queries.losses(connection, level=Level.TRANSFORMER, first=FIRST, last=LAST)
        return queries.with_interval(connection, losses=found, first=FIRST, last=LAST)


class TestExaminedLosses:
    def test_explain_an_honest_line_and_tell_how_its_transformer_is_loaded(self, database):
        towns = [plan.build() for plan in plans()]
        fill(database, towns, registered={})

        found = losses(database)

        for loss, built in zip(found, towns, strict=True):
            low, high = loss.non_technical_loss_wh_interval or (0, 0)
            assert low <= 0 <= high
            assert (loss.verdict, loss.theft_suspected, loss.misplaced) == (Verdict.EXPLAINED, False, ())
            assert loss.technical_loss_wh == pytest.approx(built.line_wh.sum(), rel=0.1)
            assert loss.loss_wh == (loss.technical_loss_wh or 0) + (loss.non_technical_loss_wh or 0)
        small, large = found[0].loading, found[1].loading
        assert small is not None
        assert large is not None
        load = towns[0].input_wh * 2
        assert (small.peak_va, small.hours_over_rating) == (round(load.max()), (load > 10_000).sum() / 2)
        assert large.hours_over_rating == 0
        assert (small.unbalance_pct or 0) > 0

    def test_find_meters_registered_at_the_wrong_transformer_and_on_the_wrong_phase(self, database):
        towns = [plan.build() for plan in plans()]
        right = "RYB"[towns[0].phase[7]]
        wrong = "YBR"[towns[0].phase[7]]
        elsewhere = "RYB"[towns[0].phase[5]]
        fill(database, towns, registered={"M105": ("T2", elsewhere), "M107": ("T1", wrong)})

        first, second = losses(database)

        assert [(each.meter, each.registered, each.found) for each in first.misplaced] == [
            ("M107", f"T1/{wrong}", f"T1/{right}")
        ]
        assert [(each.meter, each.registered, each.found) for each in second.misplaced] == [
            ("M105", "T2", "T1")
        ]
        assert "voltage follows T1" in second.misplaced[0].evidence.en
        assert "T1" in second.misplaced[0].evidence.hi
        # what it draws at T1 is not called theft there
        assert not first.theft_suspected
        assert not second.theft_suspected
        assert (alone(database, "T1"), alone(database, "T2")) == (first, second)

    def test_name_the_thief_first_and_tell_its_tamper_event(self, database):
        first, second = plans()
        thief = int(np.argsort(first.true_wh.sum(axis=1))[-3])
        first.recorded[thief, 6 * STEPS :] = 0.3
        fill(database, [first.build(), second.build()], registered={})
        meter = f"M1{thief:02}"
        event = MeterEvent(
            meter=meter,
            code=201,
            at=local_midnight(FIRST) + timedelta(days=6),
            family="other",
            origin="push",
            received_at=NOW,
        )
        with database.write() as connection:
            readings.append_events(connection, events=[event], now=NOW)

        loss, other = losses(database)

        assert alone(database, "T1") == loss
        assert [(each.verdict, each.theft_suspected, each.suspects) for each in with_interval(database)] == [
            (None, False, ())
        ] * 2
        assert (
            with_interval(database)[0].non_technical_loss_wh_interval == loss.non_technical_loss_wh_interval
        )
        assert (loss.theft_suspected, loss.verdict) == (True, Verdict.SUSPECTED)
        assert (loss.non_technical_loss_wh_interval or (0, 0))[0] > 0
        assert loss.suspects[0].meter == meter
        assert "tamper event 201" in loss.suspects[0].evidence.en
        assert "घटना 201" in loss.suspects[0].evidence.hi
        assert not other.theft_suspected

    def test_give_no_verdict_where_too_much_is_unread(self, database):
        fill(database, [plan.build() for plan in plans()], registered={}, silent=10)

        for loss in losses(database):
            assert (loss.verdict, loss.theft_suspected) == (Verdict.TOO_LITTLE_READ, False)
            assert loss.non_technical_loss_wh_interval is None

    def test_find_a_line_switched_to_the_other_transformer(self, database):
        first, second = plans()
        since = np.arange(DAYS * STEPS) >= 6 * STEPS
        end = first.pole >= 6
        moved = dataclasses.replace(second)
        moved.true_wh = np.concatenate([second.true_wh, first.true_wh[end] * since])
        moved.pole = np.concatenate([second.pole, np.full(end.sum(), 9)])
        moved.phase = np.concatenate([second.phase, first.phase[end]])
        moved.hooked_wh = np.zeros(moved.true_wh.shape)
        moved.recorded = np.ones(moved.true_wh.shape)
        first.away = np.where(end[:, None] & since[None, :], 0.0, 1.0)
        fill(database, [first.build(), moved.build()], registered={})

        found = losses(database)

        assert [loss.verdict for loss in found] == [Verdict.SWITCHED, Verdict.SWITCHED]
        assert not any(loss.theft_suspected for loss in found)
        assert any(
            "since 2025-04-07 a part of the line of T1" in each.evidence.en for each in found[1].suspects
        )
