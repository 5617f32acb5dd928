from datetime import date, timedelta

import numpy as np
import pytest

from bijlighar.base.period import day_number, epoch_seconds
from bijlighar.simulator.errors import ControlRefused
from bijlighar.simulator.history import hand_readings, registers_at, truth_of
from bijlighar.simulator.memory import BILLING_MINUTES, BILLING_W, BILLING_WH, BILLING_ZONES
from bijlighar.simulator.model import Kind, LoadFile
from bijlighar.simulator.rows import Rows
from bijlighar.simulator.state import COUNTERS_SET_ASIDE
from tests.simulator.towns import DAY, FIRST_DAY, HOUR, MIDNIGHT, a_town, relay_meter, running

START = epoch_seconds(MIDNIGHT)
HALF_HOUR = 1800


@pytest.fixture
def town():
    return a_town(meters=20)


@pytest.fixture
def live(town):
    return running(town)


def truth(live, days=1):
    return truth_of(live, first=FIRST_DAY, last=FIRST_DAY + timedelta(days=days - 1))


class TestAdvance:
    def test_begins_at_midnight_of_the_first_day(self, live):
        assert live.now_s == START

    def test_gives_the_same_energy_however_the_clock_is_moved(self, town):
        at_once, by_steps = running(town), running(town)

        at_once.advance(START + 2 * 86_400)
        step = START
        while step < START + 2 * 86_400:
            step = min(step + 4_321, START + 2 * 86_400)
            by_steps.advance(step)

        assert np.array_equal(truth(at_once, 2).registered_wh, truth(by_steps, 2).registered_wh)
        assert np.array_equal(at_once.state.register_wh, by_steps.state.register_wh)
        assert np.array_equal(at_once.state.register_vah, by_steps.state.register_vah)
        assert np.array_equal(at_once.state.demand_w_at, by_steps.state.demand_w_at)

    def test_refuses_to_go_back(self, live):
        live.advance(START + 3600)

        with pytest.raises(ControlRefused, match="cannot go back"):
            live.advance(START + 3599)

    def test_closes_the_balance_of_every_half_hour_in_whole_wh(self):
        town = a_town(meters=60)
        live = running(town)
        live.advance(START + 3 * 86_400)

        found = truth(live, 3)

        registered = dict(zip(found.serials, found.registered_wh, strict=True))
        for device in town.devices:
            if device.kind is Kind.TRANSFORMER:
                fed = [c.index for c in town.consumers if c.transformer == device.transformer]
                place = found.transformers.index(device.transformer)
                assert np.array_equal(
                    registered[device.serial], found.consumed_wh[fed].sum(axis=0) + found.line_loss_wh[place]
                )
                assert np.array_equal(registered[device.serial], found.input_wh[place])
            if device.kind is Kind.FEEDER:
                assert np.array_equal(
                    registered[device.serial], found.feeder_input_wh[found.feeders.index(device.feeder)]
                )

    def test_makes_registers_of_what_the_blocks_sum_up_to(self, town, live):
        live.advance(START + 5 * 86_400)

        sums = truth(live, 5).registered_wh.sum(axis=1)

        initial = np.array([device.initial_wh for device in town.devices])
        assert np.array_equal(live.state.register_wh - initial, sums)
        assert np.array_equal(live.state.zone_wh.sum(axis=0), live.state.register_wh)

    def test_shows_the_running_half_hour_in_the_register(self, town, live):
        device = relay_meter(town).index
        before = live.register_now(device)[0]

        live.advance(START + 900)

        block = live.register_now(device)[0] - before
        live.advance(START + 1800)
        assert 0 < block < live.register_now(device)[0] - before
        assert block == int(truth(live).registered_wh[device, 0]) // 2

    def test_steals_past_the_meter_from_the_day_on(self):
        town = a_town(meters=20, months=4)
        thief = next(consumer for consumer in town.consumers if consumer.bypass)
        live = running(town)
        live.advance(epoch_seconds(MIDNIGHT) + ((thief.bypass.since - FIRST_DAY).days + 1) * 86_400)

        before = truth_of(live, first=FIRST_DAY, last=thief.bypass.since - timedelta(days=1))
        on_the_day = truth_of(live, first=thief.bypass.since, last=thief.bypass.since)

        assert before.stolen_wh.sum() == 0
        stolen, consumed = on_the_day.stolen_wh[thief.index].sum(), on_the_day.consumed_wh[thief.index].sum()
        assert abs(stolen * 100 / consumed - thief.bypass.share_pct) < 2
        assert np.delete(on_the_day.stolen_wh, thief.index, axis=0).sum() == 0

    def test_registers_the_file_to_the_wh(self):
        energy = np.random.default_rng(5).integers(0, 2000, (7, 3 * 48), dtype=np.int32)
        profiles = LoadFile(names=tuple("ABCDEFG"), first_day=date(2009, 3, 1), energy_wh=energy)
        town = a_town(meters=20, profiles=profiles)
        live = running(town, profiles=profiles)
        live.advance(START + 3 * 86_400)

        found = truth(live, 3)

        assert found.stolen_wh.sum() == 0
        for device in town.devices[:20]:
            assert np.array_equal(found.registered_wh[device.index], energy[device.index % 7])


class TestCloseDay:
    def test_keeps_the_registers_of_every_midnight(self, live):
        live.advance(START + 2 * 86_400 + 3600)

        assert [at for at, _, _ in live.midnights] == [START, START + 86_400, START + 2 * 86_400]
        first, second = live.midnights[0][1], live.midnights[1][1]
        assert np.array_equal(second - first, truth(live).registered_wh.sum(axis=1))

    def test_bills_on_the_first_and_begins_the_maximum_demand_anew(self, town):
        live = running(town)
        live.advance(START + 30 * 86_400)

        at, fields = live.billings[-1]
        april = truth(live, 30).registered_wh

        assert at == START + 30 * 86_400
        assert np.array_equal(fields[BILLING_W], april.max(axis=1) * 2)
        assert np.array_equal(fields[BILLING_WH] - live.billings[0][1][BILLING_WH], april.sum(axis=1))
        assert np.array_equal(fields[BILLING_ZONES : BILLING_ZONES + 8].sum(axis=0), fields[BILLING_WH])
        assert fields[BILLING_MINUTES][0] == 30 * 24 * 60
        assert live.state.demand_w.max() == 0
        live.advance(START + 30 * 86_400 + 1800)
        assert live.state.demand_w[0] > 0
        shown = Rows(live).present(town.devices[0]).columns
        assert shown["power_on_min"].tolist() == [30 * 24 * 60 + 30]
        assert shown["billing_count"].tolist() == [2]


class TestOperateRelay:
    def test_counts_nothing_while_the_relay_is_open(self, town, live):
        device = relay_meter(town).index
        live.advance(START + 4 * 3600)

        assert live.operate_relay(device, closes=False, client=48)
        live.advance(START + 8 * 3600)
        assert live.operate_relay(device, closes=True, client=48)
        live.advance(START + 9 * 3600)

        energy = truth(live).registered_wh[device]
        assert energy[:8].min() > 0
        assert energy[8:16].sum() == 0
        assert energy[16:18].min() > 0

    def test_counts_the_seconds_of_a_half_hour_in_which_it_was_closed(self, town):
        whole, cut = running(town), running(town)
        device = relay_meter(town).index
        cut.advance(START + 600)
        cut.operate_relay(device, closes=False, client=48)
        for one in (whole, cut):
            one.advance(START + 1800)

        assert truth(cut).registered_wh[device, 0] == truth(whole).registered_wh[device, 0] // 3

    def test_keeps_the_balance_closed_with_an_open_relay(self):
        town = a_town(meters=40)
        live = running(town)
        for device in town.devices[:10]:
            if live.wiring.has_relay[device.index]:
                live.operate_relay(device.index, closes=False, client=48)
        live.advance(START + 86_400)

        found = truth(live)
        consumed = np.zeros_like(found.input_wh)
        for consumer in town.consumers:
            consumed[found.transformers.index(consumer.transformer)] += found.consumed_wh[consumer.index]
        assert np.array_equal(found.input_wh, consumed + found.line_loss_wh)

    def test_does_not_stop_a_bypass(self):
        town = a_town(meters=20, months=4)
        thief = next(consumer for consumer in town.consumers if consumer.bypass)
        live = running(town)
        since = START + (thief.bypass.since - FIRST_DAY).days * 86_400
        live.advance(since)
        live.operate_relay(thief.index, closes=False, client=48)
        live.advance(since + 86_400)

        day = truth_of(live, first=thief.bypass.since, last=thief.bypass.since)

        assert day.registered_wh[thief.index].sum() == 0
        assert day.stolen_wh[thief.index].sum() > 0

    def test_logs_what_it_did_and_what_it_was_asked(self, town, live):
        device = relay_meter(town).index

        assert live.operate_relay(device, closes=False, client=48)
        assert not live.operate_relay(device, closes=False, client=48)

        assert [(closes, moved) for _, closes, _, _, moved in live.memory.relay_acts()] == [
            (False, True),
            (False, False),
        ]
        assert [event.code for event in live.memory.events(device=device, family=6, newest=9)] == [301]

    def test_does_not_move_when_it_is_stuck(self, town, live):
        device = relay_meter(town).index
        live.set_fault(device, "stuck_relay", on=True)

        assert not live.operate_relay(device, closes=False, client=48)
        assert live.state.relay_closed[device]
        assert live.memory.events(device=device, family=6, newest=9) == []


class TestConnectByHand:
    def test_cuts_bypass_and_meter_alike(self, town, live):
        live.connect_by_hand(3, connected=False)
        live.advance(START + 3600)
        live.connect_by_hand(3, connected=True)
        live.advance(START + 7200)

        found = truth(live)

        assert found.consumed_wh[3, :2].sum() == 0
        assert found.consumed_wh[3, 2:4].min() > 0


class TestSwap:
    def test_hands_over_without_losing_a_wh(self):
        town = a_town(meters=20, months=4)
        plain, swapped = running(town), running(town)
        plan = town.installations[0]
        at = epoch_seconds(plan.at) + 600

        swapped.advance(at)
        swap = swapped.swap(plan.usage_point)
        for live in (plain, swapped):
            live.advance(at + 7200)

        old, new = swapped.place[plan.old_serial], swapped.place[plan.new_serial]
        with_old = plain.register_now(old)[0]
        with_new = swapped.register_now(new)[0] - swap.initial_wh + swap.final_wh
        assert (swap.old_serial, swap.new_serial, swap.initial_wh) == (plan.old_serial, plan.new_serial, 0)
        assert with_old - with_new in (0, 1)
        assert swapped.register_now(old)[0] == swap.final_wh

    def test_tells_the_same_when_it_is_asked_again(self):
        town = a_town(meters=20, months=4)
        live = running(town)
        live.advance(START + 86_400)
        first = live.swap(town.installations[0].usage_point)
        live.advance(START + 2 * 86_400)

        again = live.swap(town.installations[0].usage_point)

        assert (again.final_wh, again.at) == (first.final_wh, first.at)

    def test_refuses_a_place_that_has_no_plan(self, town, live):
        with pytest.raises(ControlRefused, match="no new meter is planned"):
            live.swap("UP-1")


class TestHappen:
    def test_stands_in_the_log_once_and_in_the_status_word_until_it_ends(self, town):
        live = running(town, pushes=True)
        device = relay_meter(town).index

        live.happen(device, 201)
        live.happen(device, 201)

        assert [event.code for event in live.memory.events(device=device, family=4, newest=9)] == [201]
        assert live.state.status_word[device].tobytes()[10] == 0x40
        assert [push.code for push in live.memory.pending_pushes()] == [201]
        live.advance(START + 60)
        live.happen(device, 202)
        assert live.state.status_word[device].tobytes() == bytes(16)
        assert live.state.tampers[device] == 1

    def test_pushes_nothing_without_a_target(self, town, live):
        live.happen(relay_meter(town).index, 251)

        assert live.memory.pending_pushes() == []

    def test_refuses_an_event_that_no_log_takes(self, town, live):
        with pytest.raises(ControlRefused, match="no event log"):
            live.happen(relay_meter(town).index, 999)

    def test_refuses_an_old_meter(self, town, live):
        old = next(device for device in town.devices if not device.smart)

        with pytest.raises(ControlRefused, match="no smart meter"):
            live.happen(old.index, 201)


class TestPowerFailure:
    def test_says_goodbye_counts_nothing_and_breathes_again(self, town):
        live = running(town, pushes=True)
        device = relay_meter(town).index
        live.set_fault(device, "power_failure", on=True)
        live.advance(START + 3600)
        live.set_fault(device, "power_failure", on=False)
        live.advance(START + 7200)

        found = truth(live)

        assert found.registered_wh[device, :2].sum() == 0
        assert not found.present[device, :2].any()
        assert found.registered_wh[device, 2:4].min() > 0
        assert [event.code for event in live.memory.events(device=device, family=2, newest=9)] == [101, 102]
        words = [push.status_word.hex() for push in live.memory.pending_pushes()]
        assert words == ["0" * 21 + "4" + "0" * 10, "0" * 21 + "2" + "0" * 10]


def spoil(live):
    with live.saving():
        live.state.register_wh += 5
        live.state.changed.add("register_wh")
        raise ZeroDivisionError


class TestMemory:
    def test_takes_up_everything_where_it_was_left(self, town, tmp_path):
        device = relay_meter(town).index
        before = running(town, path=tmp_path / "memory.sqlite")
        before.advance(START + 86_400 + 1000)
        before.operate_relay(device, closes=False, client=48)
        before.happen(device, 201)
        before.memory.close()

        after = running(town, path=tmp_path / "memory.sqlite")

        assert after.now_s == START + 86_400 + 1000
        for name in (
            "register_wh",
            "zone_vah",
            "drawn_s",
            "relay_closed",
            "status_word",
            "demand_w",
            "hung_from",
        ):
            assert np.array_equal(getattr(after.state, name), getattr(before.state, name)), name
        assert len(after.midnights) == 2
        undisturbed = running(town)
        undisturbed.advance(START + 86_400 + 1000)
        undisturbed.operate_relay(device, closes=False, client=48)
        for live in (after, undisturbed):
            live.advance(START + 2 * 86_400)
        assert np.array_equal(truth(after, 2).registered_wh, truth(undisturbed, 2).registered_wh)
        after.memory.close()

    def test_forgets_what_failed_half_way(self, town, tmp_path):
        live = running(town, path=tmp_path / "memory.sqlite")
        live.advance(START + 3600)
        energy = live.state.register_wh.copy()

        with pytest.raises(ZeroDivisionError):
            spoil(live)

        assert np.array_equal(live.state.register_wh, energy)
        live.advance(START + 7200)
        live.memory.close()


class TestNextCounter:
    def test_never_gives_one_twice_whatever_dies(self, town, tmp_path):
        device = relay_meter(town).index
        given: list[int] = []
        for _ in range(3):
            live = running(town, path=tmp_path / "memory.sqlite")
            given += [live.next_counter(device) for _ in range(5)]
            live.memory.close()

        assert len(set(given)) == len(given)
        assert given == sorted(given)

    def test_sets_more_aside_before_they_are_used_up(self, town, tmp_path):
        device = relay_meter(town).index
        live = running(town, path=tmp_path / "memory.sqlite")
        live.state.own_counter[device] = live.state.set_aside[device] - 1

        last = live.next_counter(device)
        live.memory.close()

        again = running(town, path=tmp_path / "memory.sqlite")
        assert again.next_counter(device) > last
        assert COUNTERS_SET_ASIDE > 1000
        again.memory.close()

    def test_remembers_the_clients_counters(self, town, tmp_path):
        live = running(town, path=tmp_path / "memory.sqlite")
        live.note_received(3, 48, 77)
        live.note_received(3, 48, 76)
        live.operate_relay(3, closes=False, client=48)
        live.memory.close()

        again = running(town, path=tmp_path / "memory.sqlite")

        assert again.received_counter(3, 48) == 77
        assert again.received_counter(3, 32) == 0
        again.memory.close()


class TestHistory:
    def test_knows_registers_at_past_half_hours_and_now(self, town, live):
        live.advance(START + 86_400 + 5000)

        past = registers_at(live, at=MIDNIGHT + 3 * HOUR)
        present = registers_at(live, at=MIDNIGHT + DAY + timedelta(seconds=5000))

        device = town.devices[0]
        assert past[device.serial] == device.initial_wh + int(truth(live).registered_wh[0, :6].sum())
        assert present[device.serial] == live.register_now(0)[0]
        with pytest.raises(ControlRefused, match="past starts of half-hours"):
            registers_at(live, at=MIDNIGHT + timedelta(seconds=1))

    def test_reads_old_meters_by_hand(self, town, live):
        live.advance(START + 86_400)

        lines = hand_readings(live, at=MIDNIGHT + DAY).splitlines()

        old = [device for device in town.devices if not device.smart]
        assert lines[0] == "meter,time,wh_import_register"
        assert [line.split(",")[0] for line in lines[1:]] == [device.serial for device in old]
        assert lines[1].split(",")[1] == "2025-04-02T00:00:00+05:30"
        assert int(lines[1].split(",")[2]) > old[0].initial_wh

    def test_tells_the_truth_only_of_what_is_over(self, live):
        live.advance(START + 3 * HALF_HOUR + 7)

        found = truth(live, 30)

        assert found.starts.tolist() == [START, START + HALF_HOUR, START + 2 * HALF_HOUR]
        assert found.registered_wh.shape[1] == 3
        assert truth_of(live, first=date(2025, 6, 1), last=date(2025, 6, 2)).starts.size == 0
        assert day_number(FIRST_DAY) > 0
