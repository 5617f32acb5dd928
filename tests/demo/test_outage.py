"""A feeder fails in the middle of a demo's month: the line goes on, and what it says stays true."""

from datetime import date, datetime
from datetime import time as wall_time
from pathlib import Path

import numpy as np

from bijlighar.base.period import Period, day_number, local_time
from bijlighar.demo import driver
from bijlighar.demo.children import Children
from bijlighar.demo.setup import Plan
from bijlighar.readings import queries as readings
from bijlighar.readings.model import ABSENT
from bijlighar.runtime.home import Home

FAILS = local_time(date(2025, 4, 9), wall_time(15))
RETURNS = local_time(date(2025, 4, 10), wall_time(10, 30))


class Outage:
    """Lets the first feeder fail and come back when the clock is there."""

    def __init__(self, demo: driver.Demo) -> None:
        self._demo = demo
        self.feeder = demo.town.feeders[0]
        self.meters = 0

    def __call__(self, now: datetime, _children: Children) -> None:
        if now == FAILS:
            self.meters = self._demo.meters.fail_feeder(self.feeder)
        elif now == RETURNS:
            self._demo.meters.restore_feeder(self.feeder)


class TestOutage:
    def test_leaves_the_report_true_and_the_dark_without_energy(self, tmp_path: Path):
        plan = Plan(meters=20, months=1, seed=7, profiles=None, web_port=None)
        with driver.running(Home(tmp_path / "home"), plan=plan) as demo:
            outage = Outage(demo)
            report = driver.run(demo, disturb=outage)
            below = sorted(
                device.serial
                for device in demo.town.devices
                if device.feeder == outage.feeder and device.consumer is not None and device.smart
            )
            day = day_number(date(2025, 4, 9))
            with demo.line.database.read() as connection:
                gasps = {
                    event.meter
                    for meter in below
                    for event in readings.events_of(
                        connection, meter=meter, period=Period(start=FAILS, end=RETURNS)
                    )
                    if event.code == 85
                }
                measured = readings.raw_rows(
                    connection, keys=[(meter, day) for meter in below], minutes=30
                ).values["wh_import"]
                settled = readings.day_matrix(
                    connection, meters=below, first=day, last=day, channel="wh_import"
                )

        assert report.is_true, report.invariants
        assert outage.meters >= len(below) - 2
        assert 0 < len(gasps) < len(below)
        hung = (measured[:, :30] != ABSENT).all(axis=1)
        assert hung.sum() >= len(below) - 4
        assert (measured[hung, 30:] == ABSENT).all()
        assert (settled[hung, 0, :30] > 0).any(axis=1).all()
        assert settled[hung, 0, 30:].tolist() == np.zeros((hung.sum(), 18), dtype=int).tolist()
