"""What each fault does to a meter, by the seed."""

import asyncio
from datetime import timedelta

import numpy as np
import pytest

from bijlighar.base.period import epoch_seconds
from bijlighar.dlms import axdr, clock, is15959
from bijlighar.dlms.cosem import DataAccess
from bijlighar.dlms.event import GetRequest, SetRequest
from bijlighar.simulator import faultlines, faults
from bijlighar.simulator.history import truth_of
from bijlighar.simulator.livetown import CLOCK_SET, LiveTown
from bijlighar.simulator.model import Kind
from bijlighar.simulator.objects import MeterObjects
from bijlighar.simulator.operations import FAULT_WORDS
from bijlighar.simulator.process import give_faults
from bijlighar.simulator.rows import Rows
from bijlighar.simulator.state import FAULTS, first_state, packed, unpacked
from tests.simulator.towns import DAY, FIRST_DAY, HOUR, MIDNIGHT, a_town, relay_meter, running

NOON = MIDNIGHT + 12 * HOUR


@pytest.fixture
def live() -> LiveTown:
    town = running(a_town())
    town.advance(epoch_seconds(NOON))
    return town


@pytest.fixture
def device(live: LiveTown) -> int:
    return relay_meter(live.town).index


def block(live: LiveTown, device: int):
    rows = Rows(live)
    return rows.block_load(live.town.devices[device], 0, live.now_s)


class TestNames:
    def test_are_all_explained_in_both_languages(self):
        assert tuple(FAULT_WORDS) == FAULTS
        assert all(words.hi and words.en for words in FAULT_WORDS.values())

    def test_all_begin_and_end(self, live: LiveTown, device: int):
        for name in FAULTS:
            live.set_fault(device, name, on=True)
            assert live.has_fault(device, name)
            live.set_fault(device, name, on=False)

        assert not live.state.faults[:, device].any()

    def test_are_given_alike_by_the_same_seed(self):
        first, second = running(a_town()), running(a_town())
        for town in (first, second):
            give_faults(town, spec="clock_step=0.3,counter_jump=0.2")

        assert np.array_equal(first.state.faults, second.state.faults)
        assert np.array_equal(first.state.clock_off, second.state.clock_off)
        assert first.state.faults.sum() > 2


class TestState:
    def test_of_an_older_file_has_the_faults_it_knows(self):
        town = a_town()
        state = first_state(town)
        state.faults[1, 3] = True
        stored = packed(state)
        stored["faults"] = stored["faults"][: 7 * len(town.devices)]
        for name in ("clock_off", "shows_open"):
            del stored[name]

        again = unpacked(town, stored)

        assert again.faults.shape == state.faults.shape
        assert again.faults.sum() == 1
        assert again.faults[1, 3]


class TestClock:
    def test_that_drifts_is_off_by_more_each_day_until_it_is_set(self, live: LiveTown, device: int):
        live.set_fault(device, "clock_drift", on=True)
        live.advance(live.now_s + 86_400)
        first = live.clock_s(device) - live.now_s
        live.advance(live.now_s + 86_400)
        second = live.clock_s(device) - live.now_s

        live.set_clock(device, to_s=live.now_s)

        assert 20 <= abs(first) <= 90
        assert second == pytest.approx(2 * first, abs=1)
        assert live.clock_s(device) == live.now_s

    def test_that_is_behind_has_not_closed_its_last_row(self, live: LiveTown, device: int):
        live.state.clock_off[device] = -3600

        assert block(live, device).stamps[-1] == live.now_s - 3600

    def test_is_set_by_the_setting_client_alone_and_logged(self, live: LiveTown, device: int):
        objects = MeterObjects(live)
        wanted = NOON + timedelta(seconds=7)
        data = axdr.octet_string(clock.encode(wanted, deviation=clock.Deviation(-330)))
        request = SetRequest(attribute=is15959.CLOCK_TIME, data=data)

        refused = objects.set(device, is15959.METER_READER, request)
        broken = objects.set(
            device, is15959.UTILITY, SetRequest(attribute=is15959.CLOCK_TIME, data=axdr.NULL)
        )
        taken = objects.set(device, is15959.UTILITY, request)

        assert refused.result == DataAccess.READ_WRITE_DENIED
        assert broken.result == DataAccess.TYPE_UNMATCHED
        assert taken.result == 0
        assert live.clock_s(device) == epoch_seconds(wanted)
        logged = live.memory.events(device=device, family=3, newest=5)
        assert [event.code for event in logged] == [CLOCK_SET]


class TestCounters:
    def test_jump_beyond_what_a_client_has_reserved(self, live: LiveTown, device: int):
        live.note_received(device, 32, 5)
        before = live.next_counter(device)

        live.set_fault(device, "counter_jump", on=True)

        assert live.received_counter(device, 32) == 5 + faults.CLIENT_COUNTER_JUMP
        assert live.next_counter(device) > before + faults.OWN_COUNTER_JUMP
        assert live.state.set_aside[device] > live.state.own_counter[device]


class TestRows:
    def test_come_twice_every_tenth_time(self, live: LiveTown, device: int):
        live.set_fault(device, "duplicated_rows", on=True)

        stamps = block(live, device).stamps

        assert len(stamps) == 24 + 2
        assert np.flatnonzero(np.diff(stamps) == 0).tolist() == [9, 20]

    def test_show_again_what_the_row_above_showed(self, live: LiveTown, device: int):
        true = block(live, device)

        live.set_fault(device, "repeated_rows", on=True)

        shown = block(live, device)
        assert np.array_equal(shown.stamps, true.stamps)
        assert shown.columns["wh_import"][11] == true.columns["wh_import"][10]
        assert shown.columns["wh_import"][10] == true.columns["wh_import"][10]
        assert shown.columns["volt"][23] == true.columns["volt"][22]


class TestRegisters:
    def test_begin_again_from_nothing(self, live: LiveTown, device: int):
        rows, plan = Rows(live), live.town.devices[device]
        before = rows.daily(plan).columns["wh_import"]

        live.set_fault(device, "register_reset", on=True)
        live.advance(epoch_seconds(MIDNIGHT + 2 * DAY))

        after = rows.daily(plan).columns["wh_import"]
        assert after[0] == before[0]
        assert after[1] < before[0]
        assert after[-1] == live.state.register_wh[device] - live.state.reset_wh[device]

    def test_roll_over_at_six_digits(self, live: LiveTown, device: int):
        live.set_fault(device, "register_rollover", on=True)

        shown = Rows(live).present(live.town.devices[device]).columns["wh_import"]

        assert shown[0] == live.register_now(device)[0] % 1_000_000


class TestRelay:
    def test_that_is_welded_tells_that_it_is_open_while_current_flows(self, live: LiveTown, device: int):
        live.set_fault(device, "weld", on=True)
        before = int(live.state.register_wh[device])

        moved = live.operate_relay(device, closes=False, client=48)
        live.advance(live.now_s + 86_400)

        assert not moved
        assert not live.shows_closed(device)
        assert live.control_state(device) == 0
        assert live.state.register_wh[device] > before
        live.operate_relay(device, closes=True, client=48)
        assert live.shows_closed(device)


class TestReversedCt:
    def test_registers_a_third_of_three_phases_and_the_sums_still_hold(self):
        healthy, broken = running(a_town()), running(a_town())
        three = next(
            d for d in broken.town.devices if d.kind is Kind.THREE_PHASE and d.smart and not d.in_store
        )
        broken.set_fault(three.index, "reversed_ct", on=True)
        for town in (healthy, broken):
            town.advance(epoch_seconds(MIDNIGHT + DAY))

        whole = block(healthy, three.index).columns["wh_import"]
        left = block(broken, three.index).columns["wh_import"]

        assert np.array_equal(left, whole // 3)
        assert broken.state.register_wh[three.index] - three.initial_wh == left.sum()
        truths = [truth_of(town, first=FIRST_DAY, last=FIRST_DAY) for town in (healthy, broken)]
        assert np.array_equal(truths[0].consumed_wh, truths[1].consumed_wh)
        assert np.array_equal(truths[0].input_wh, truths[1].input_wh)
        assert broken.memory.events(device=three.index, family=1, newest=1)[0].code == faults.CURRENT_REVERSED


class TestFirmware:
    def test_that_is_another_gives_its_columns_in_another_order(self, live: LiveTown, device: int):
        objects = MeterObjects(live)
        ask = GetRequest(attribute=is15959.BLOCK_LOAD.captured)
        before = objects.get(device, is15959.METER_READER, ask).value

        live.set_fault(device, "other_firmware", on=True)

        after = objects.get(device, is15959.METER_READER, ask).value
        assert after == [before[0], *before[:0:-1]]
        plate = objects.get(
            device, is15959.METER_READER, GetRequest(attribute=is15959.NAMEPLATE.buffer)
        ).value
        assert b"2.0.0" in plate[0]


class Wire:
    """A transport that remembers what was written, and when."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, octets: bytes) -> None:
        self.written.append(octets)

    def is_closing(self) -> bool:
        return False


class TestLine:
    def sent(self, live: LiveTown, device: int, name: str, *, answers: int, octets: int, wait_s: float = 0.0):
        live.set_fault(device, name, on=True)
        wire = Wire()

        async def scenario() -> faultlines.Line:
            line = faultlines.Line(live, device, wire, number=1)  # type: ignore[arg-type]
            for _ in range(answers):
                line.write(bytes(octets))
            await asyncio.sleep(wait_s)
            return line

        return asyncio.run(scenario()), wire.written

    def test_that_is_slow_gives_a_little_at_a_time(self, live: LiveTown, device: int):
        _, early = self.sent(live, device, "slow_link", answers=1, octets=180, wait_s=0.02)
        _, whole = self.sent(live, device, "slow_link", answers=2, octets=90, wait_s=0.4)

        assert len(b"".join(early)) == 60
        assert [len(part) for part in whole] == [60, 30, 60, 30]

    def test_with_delay_gives_everything_later_and_in_order(self, live: LiveTown, device: int):
        _, early = self.sent(live, device, "delay", answers=1, octets=9, wait_s=0.05)
        _, late = self.sent(live, device, "delay", answers=1, octets=9, wait_s=0.25)

        assert (early, late) == ([], [bytes(9)])

    def test_that_loses_loses_about_a_tenth(self, live: LiveTown, device: int):
        _, written = self.sent(live, device, "lossy_link", answers=1_000, octets=1)

        assert 850 < len(written) < 950

    def test_that_garbles_flips_one_bit(self, live: LiveTown, device: int):
        _, written = self.sent(live, device, "garbled", answers=1_000, octets=8)

        flipped = [out for out in written if any(out)]
        assert 220 < len(flipped) < 380
        assert all(sum(octet.bit_count() for octet in out) == 1 for out in flipped)

    def test_ends_with_a_reboot_after_an_answer(self, live: LiveTown, device: int):
        none, _ = self.sent(live, device, "reboot", answers=0, octets=1)
        one, _ = self.sent(live, device, "reboot", answers=1, octets=1)

        assert (none.has_rebooted, one.has_rebooted) == (False, True)
