"""A feeder fails: in the running town, and over the meters' real sockets."""

import numpy as np
import pytest

from bijlighar.base.period import epoch_seconds
from bijlighar.dlms import is15959
from bijlighar.dlms.is15959_events import status_edges
from bijlighar.simulator import feeders
from bijlighar.simulator.errors import ControlRefused
from bijlighar.simulator.history import truth_of
from bijlighar.simulator.memory import BILLING_MINUTES
from bijlighar.simulator.model import Kind
from bijlighar.simulator.silence import SilencePlan
from tests.simulator.test_process import Listener, wait_for_pushes
from tests.simulator.towns import (
    FIRST_DAY,
    HOUR,
    MIDNIGHT,
    MeterClient,
    TownProcess,
    a_town,
    column,
    relay_meter,
    running,
)

START = epoch_seconds(MIDNIGHT)
LAST_GASP, FIRST_BREATH = 85, 86


@pytest.fixture
def town():
    return a_town(meters=60)


@pytest.fixture
def live(town):
    return running(town, pushes=True)


def fail(live, feeder):
    return feeders.fail(live, feeder=feeder, quiet=SilencePlan(live))


def restore(live, feeder):
    return feeders.restore(live, feeder=feeder, quiet=SilencePlan(live))


def told(live):
    """The meters whose alert waits, by what its status word newly says."""
    word = {LAST_GASP: set(), FIRST_BREATH: set()}
    for push in live.memory.pending_pushes():
        word[LAST_GASP if push.code == 101 else FIRST_BREATH].add(push.device)
    return word


class TestFail:
    def test_stops_everything_below_and_nothing_else(self, town, live):
        feeder = town.feeders[0]
        hit = [d.index for d in town.devices if d.feeder == feeder and d.kind is not Kind.FEEDER]
        spared = [d.index for d in town.devices if d.feeder != feeder and d.kind is Kind.TRANSFORMER]
        live.advance(START + 3600)
        dark = fail(live, feeder)
        live.advance(START + 3 * 3600)
        restore(live, feeder)
        live.advance(START + 4 * 3600)

        found = truth_of(live, first=FIRST_DAY, last=FIRST_DAY)

        hanging = [index for index in hit if found.present[index, 0]]
        assert dark == len(hanging)
        assert found.registered_wh[hit, 2:6].sum() == 0
        assert not found.present[hit, 2:6].any()
        assert found.present[hanging][:, [0, 1, 6, 7]].all()
        assert found.registered_wh[spared, 2:6].min() > 0
        at = [index for index, transformer in enumerate(town.transformers) if transformer.feeder == feeder]
        assert found.input_wh[at, 2:6].sum() == 0
        assert found.line_loss_wh[at, 2:6].sum() == 0
        assert found.own_loss_wh[at, 2:6].sum() == 0
        of_feeder = [consumer.index for consumer in town.consumers if consumer.feeder == feeder]
        assert found.consumed_wh[of_feeder, 2:6].sum() == 0
        assert found.feeder_input_wh[0, 2:6].sum() == 0
        assert found.feeder_input_wh[0, 6] > 0

    def test_leaves_the_feeders_own_meter_at_the_bus_with_voltage_and_nothing_to_count(self, town, live):
        own = next(d for d in town.devices if d.kind is Kind.FEEDER and d.feeder == town.feeders[0])
        live.advance(START + 3600)
        fail(live, own.feeder)
        live.advance(START + 2 * 3600)

        block = live.block_day(20_179)

        assert block.present[2:, own.index].all()
        assert block.energy_wh[2:, own.index].sum() == 0
        assert block.volt[2:, live.wiring.channel_of[own.index]].min() > 600_000
        assert live.has_power(own.index)

    def test_counts_the_seconds_before_it_and_keeps_the_voltage_of_these(self, town, live):
        meter = relay_meter(town)
        live.advance(START + 3600 + 600)
        fail(live, meter.feeder)
        live.advance(START + 2 * 3600)
        whole = running(town)
        whole.advance(START + 2 * 3600)

        block, undisturbed = live.block_day(20_179), whole.block_day(20_179)

        assert block.present[2, meter.index]
        assert not block.present[3, meter.index]
        assert block.energy_wh[2, meter.index] == undisturbed.energy_wh[2, meter.index] // 3
        assert block.volt[2, live.wiring.channel_of[meter.index]] > 20_000
        assert block.volt[3, live.wiring.channel_of[meter.index]] == 0

    def test_keeps_the_balance_of_every_half_hour_in_whole_wh(self, town, live):
        live.advance(START + 5000)
        fail(live, town.feeders[0])
        live.advance(START + 9000)
        restore(live, town.feeders[0])
        live.advance(START + 86_400)

        found = truth_of(live, first=FIRST_DAY, last=FIRST_DAY)

        for row, code in enumerate(found.transformers):
            fed = [c.index for c in town.consumers if c.transformer == code]
            assert np.array_equal(
                found.input_wh[row], found.consumed_wh[fed].sum(axis=0) + found.line_loss_wh[row]
            )
        meter = next(d for d in town.devices if d.kind is Kind.FEEDER and d.feeder == town.feeders[0])
        assert np.array_equal(found.registered_wh[meter.index], found.feeder_input_wh[0])

    def test_is_logged_by_every_smart_meter_and_told_by_most(self):
        town = a_town(meters=300)
        live = running(town, pushes=True)
        live.advance(START + 3600)
        fail(live, town.feeders[0])
        smart = {
            d.index
            for d in town.devices
            if d.smart and not d.in_store and d.feeder == town.feeders[0] and d.kind is not Kind.FEEDER
        }
        quiet = SilencePlan(live)
        speaking = {index for index in smart if not quiet.is_silent(index)}

        gasped = told(live)[LAST_GASP]

        assert gasped < speaking
        assert 0.75 < len(gasped) / len(speaking) < 0.95
        logged = {index for index in smart if live.memory.events(device=index, family=2, newest=9)}
        assert logged == smart

    def test_is_told_by_the_same_meters_for_the_same_seed(self, town):
        both = []
        for _ in range(2):
            live = running(town, pushes=True)
            fail(live, town.feeders[0])
            both.append(told(live)[LAST_GASP])

        assert both[0] == both[1]

    def test_changes_nothing_the_second_time(self, town, live):
        first = fail(live, town.feeders[0])
        waiting = len(live.memory.pending_pushes())

        assert fail(live, town.feeders[0]) == first
        assert len(live.memory.pending_pushes()) == waiting

    def test_refuses_a_feeder_that_is_not_there(self, live):
        with pytest.raises(ControlRefused, match="there are F-DEPALPUR-1"):
            fail(live, "F-NOWHERE-1")


class TestRestore:
    def test_lets_every_meter_that_speaks_breathe(self, town, live):
        fail(live, town.feeders[0])
        live.advance(START + 3600)
        lit = restore(live, town.feeders[0])
        quiet = SilencePlan(live)

        speaking = {
            d.index
            for d in town.devices
            if d.smart
            and d.kind is not Kind.FEEDER
            and d.feeder == town.feeders[0]
            and not d.in_store
            and not quiet.is_silent(d.index)
        }

        assert told(live)[FIRST_BREATH] == speaking
        assert lit >= len(speaking)
        meter = min(speaking)
        codes = [event.code for event in live.memory.events(device=meter, family=2, newest=9)]
        assert codes == [101, 102]

    def test_leaves_a_meter_dark_whose_own_supply_has_failed(self, town, live):
        meter = relay_meter(town)
        live.set_fault(meter.index, "power_failure", on=True)
        fail(live, meter.feeder)
        live.advance(START + 3600)
        restore(live, meter.feeder)

        codes = [event.code for event in live.memory.events(device=meter.index, family=2, newest=9)]

        assert not live.has_power(meter.index)
        assert codes == [101]

    def test_does_not_count_the_dark_as_minutes_with_power(self, town):
        dark, lit = running(town), running(town)
        meter = relay_meter(town)
        for live in (dark, lit):
            live.advance(START + 3600)
        fail(dark, meter.feeder)
        for live in (dark, lit):
            live.advance(START + 3 * 3600)
        restore(dark, meter.feeder)
        for live in (dark, lit):
            live.advance(START + 30 * 86_400)

        minutes = [int(live.billings[-1][1][BILLING_MINUTES, meter.index]) for live in (dark, lit)]

        assert minutes[1] - minutes[0] == 120


class TestFailFeeder:
    """Over the control socket, the meters' sockets and the listener's."""

    def test_silences_the_meters_until_it_is_restored(self, tmp_path):
        town = a_town(meters=40)
        listener = Listener(town)
        device = relay_meter(town)
        with TownProcess(tmp_path, town=town, push=listener.address) as meters:
            meters.control.set_time(MIDNIGHT + HOUR)
            with MeterClient(device, port=meters.port) as open_before:
                open_before.associate()
                dark = meters.control.fail_feeder(device.feeder)
                with pytest.raises(ConnectionError):
                    open_before.get(is15959.CLOCK_TIME)
            with pytest.raises(ConnectionError), MeterClient(device, port=meters.port) as refused:
                refused.associate()
            wait_for_pushes(meters.control)
            gasps = len(listener.taken)
            assert meters.control.state().feeders_failed == (device.feeder,)

            meters.control.set_time(MIDNIGHT + 3 * HOUR)
            lit = meters.control.restore_feeder(device.feeder)
            meters.control.set_time(MIDNIGHT + 4 * HOUR)
            wait_for_pushes(meters.control)
            with MeterClient(device, port=meters.port, counter=20) as client:
                rows = client.associate().rows(
                    is15959.BLOCK_LOAD.buffer, is15959.between(MIDNIGHT, MIDNIGHT + 4 * HOUR)
                )
            truth = meters.control.truth(FIRST_DAY, FIRST_DAY)
            assert meters.control.state().feeders_failed == ()
        listener.close()

        present = truth.present[device.index]
        assert present.tolist() == [True, True, False, False, False, False, True, True]
        assert np.array_equal(column(rows, "wh_import"), truth.registered_wh[device.index][present])
        words = [push.notification.value[3] for push in listener.taken]
        assert [status_edges(None, word) for word in words[:gasps]] == [(LAST_GASP,)] * gasps
        assert [status_edges(None, word) for word in words[gasps:]] == [(FIRST_BREATH,)] * (
            len(words) - gasps
        )
        assert 0 < gasps < dark
        assert dark == lit

    def test_stays_through_the_death_of_the_process(self, tmp_path):
        town = a_town(meters=40)
        device = relay_meter(town)
        with TownProcess(tmp_path, town=town) as meters:
            meters.control.fail_feeder(device.feeder, MIDNIGHT + HOUR)
            assert meters.control.now() == MIDNIGHT + HOUR
            meters.kill()
            meters.start()
            meters.control.set_time(MIDNIGHT + 2 * HOUR)

            assert meters.control.state().feeders_failed == (device.feeder,)
            with pytest.raises(ConnectionError), MeterClient(device, port=meters.port) as refused:
                refused.associate()
            meters.control.fail_feeder(device.feeder, MIDNIGHT + HOUR)
            meters.control.restore_feeder(device.feeder)
            with MeterClient(device, port=meters.port) as client:
                client.associate()
            truth = meters.control.truth(FIRST_DAY, FIRST_DAY)

        assert truth.present[device.index].tolist() == [True, True, False, False]
