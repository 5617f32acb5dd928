"""Settings on simulated meters act: calendars, load limits, intervals, billing dates, pushes, the event filter."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from bijlighar.base.period import epoch_seconds
from bijlighar.dlms import axdr, clock, is15959, settings
from bijlighar.dlms.activity_calendar import Calendar, DayProfile, Season, Switch, WeekProfile
from bijlighar.dlms.cosem import ActionOutcome, Attribute, DataAccess
from bijlighar.dlms.event import ActionRequest, GetRequest, SetRequest
from bijlighar.dlms.is15959_events import BIT_OF_EVENT
from bijlighar.dlms.settings import INDIAN, BillingDate, LoadLimit, PushSetup
from bijlighar.headend.gate_keeper import METHOD_PARAMETER
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.meter_settings import CALENDAR_CHANGED, LIMIT_SET, PERIOD_CHANGED
from bijlighar.simulator.model import Device
from bijlighar.simulator.objects import MeterObjects
from bijlighar.simulator.pushing import Pusher
from bijlighar.simulator.rows import Rows
from tests.simulator.towns import DAY, HOUR, MIDNIGHT, a_town, relay_meter, running

UTILITY, READER = is15959.UTILITY, is15959.METER_READER
ALL_FIVE = Calendar(
    name="FIVE",
    seasons=(Season(month=1, day=1, name="S", week="W"),),
    weeks=(WeekProfile(name="W", days=(1,) * 7),),
    days=(DayProfile(number=1, switches=(Switch(minute=0, zone=5),)),),
)


class Meter:
    """One meter of a town of twenty, spoken with as by a client of the utility."""

    def __init__(self, path: Path | None = None, *, pushes: bool = False) -> None:
        self.town = a_town()
        self.live = running(self.town, path=path, pushes=pushes)
        self.device: Device = relay_meter(self.town)
        self.index = self.device.index
        self.objects = MeterObjects(self.live)

    def write(self, attribute: Attribute, data: bytes, *, client: int = UTILITY) -> int:
        result = self.objects.set(self.index, client, SetRequest(attribute=attribute, data=data))
        return result.result

    def read(self, attribute: Attribute) -> bytes | None:
        return self.objects.get(self.index, READER, GetRequest(attribute=attribute)).data

    def to(self, later: timedelta) -> None:
        self.live.advance(epoch_seconds(MIDNIGHT + later))

    def write_calendar(self, calendar: Calendar) -> None:
        for attribute, data in zip(
            INDIAN.calendar_parts(passive=True), INDIAN.encode_calendar(calendar), strict=True
        ):
            assert self.write(attribute, data) == DataAccess.SUCCESS

    def activate(self) -> None:
        request = ActionRequest(method=INDIAN.activate, parameters=METHOD_PARAMETER)
        assert self.objects.act(self.index, UTILITY, request).result == ActionOutcome.SUCCESS

    def limit(self, watts: int) -> None:
        limit = LoadLimit(watts=watts, over_s=300, under_s=600)
        for attribute, data in zip(INDIAN.limit_parts, limit.encode(), strict=True):
            assert self.write(attribute, data) == DataAccess.SUCCESS

    def events(self, family: int) -> list[int]:
        return Rows(self.live).events(self.device, family).columns["event_code"].tolist()


def counted(live: LiveTown, device: int, hours: int) -> int:
    before = live.register_now(device)[0]
    live.advance(live.now_s + hours * 3600)
    return live.register_now(device)[0] - before


class TestCalendar:
    def test_waits_until_it_is_activated_and_then_counts_its_zones(self):
        meter = Meter()
        meter.write_calendar(ALL_FIVE)
        meter.to(DAY)
        waited = int(meter.live.state.zone_wh[4, meter.index])
        meter.activate()
        zones = meter.live.state.zone_wh[:, meter.index].copy()
        register = int(meter.live.state.register_wh[meter.index])
        meter.to(2 * DAY)
        gained = meter.live.state.zone_wh[:, meter.index] - zones

        assert waited == 0
        assert gained[4] == int(meter.live.state.register_wh[meter.index]) - register > 0
        assert gained.sum() == gained[4]
        assert CALENDAR_CHANGED in meter.events(3)

    def test_leaves_every_other_meter_as_it_was(self):
        changed, plain = Meter(), Meter()
        changed.write_calendar(ALL_FIVE)
        changed.activate()
        for meter in (changed, plain):
            meter.to(2 * DAY)
        others = [index for index in range(len(changed.town.devices)) if index != changed.index]

        assert (changed.live.state.zone_wh[:, others] == plain.live.state.zone_wh[:, others]).all()
        assert (changed.live.state.register_wh == plain.live.state.register_wh).all()

    def test_becomes_active_at_its_time(self):
        meter = Meter()
        meter.write_calendar(ALL_FIVE)
        at = axdr.octet_string(clock.encode(MIDNIGHT + 5 * HOUR))
        assert meter.write(INDIAN.activation, at) == DataAccess.SUCCESS
        meter.to(5 * HOUR)
        register, before = (
            meter.live.register_now(meter.index)[0],
            int(meter.live.state.zone_wh[4, meter.index]),
        )
        meter.to(9 * HOUR)

        assert before == 0
        assert meter.live.state.zone_wh[4, meter.index] == meter.live.register_now(meter.index)[0] - register
        assert meter.read(INDIAN.activation) == axdr.octet_string(clock.UNDEFINED)

    def test_is_refused_where_no_half_hour_begins(self):
        meter = Meter()
        days = (DayProfile(number=1, switches=(Switch(minute=0, zone=1), Switch(minute=375, zone=2))),)
        calendar = Calendar(name="A", seasons=ALL_FIVE.seasons, weeks=ALL_FIVE.weeks, days=days)
        data = INDIAN.encode_calendar(calendar)[3]

        result = meter.write(INDIAN.calendar_parts(passive=True)[3], data)

        assert result == DataAccess.OTHER_REASON


class TestLoadLimit:
    def test_opens_the_relay_above_it_and_closes_it_again(self):
        free, limited = Meter(), Meter()
        limited.limit(1)
        energy = [counted(meter.live, meter.index, 24) for meter in (free, limited)]

        # 300 s of current, 600 s of none: two of the six of a half-hour.
        assert 0 < energy[1] <= energy[0] // 3 + 48
        assert LIMIT_SET in limited.events(3)
        assert {301, 302} <= set(limited.events(6))

    def test_does_nothing_below_it(self):
        free, limited = Meter(), Meter()
        limited.limit(1_000_000)

        assert counted(free.live, free.index, 24) == counted(limited.live, limited.index, 24)

    def test_shows_a_relay_that_waits_and_yields_to_orders(self):
        meter = Meter()
        meter.limit(1)
        meter.live.advance(meter.live.now_s + 301)
        state = [meter.live.control_state(meter.index), meter.live.shows_closed(meter.index)]
        meter.live.operate_relay(meter.index, closes=False, client=UTILITY)
        cut = meter.live.control_state(meter.index)
        gained = counted(meter.live, meter.index, 3)
        meter.live.operate_relay(meter.index, closes=True, client=UTILITY)

        assert state == [2, False]
        assert (cut, gained) == (0, 0)
        assert meter.live.shows_closed(meter.index)

    def test_is_shown_in_the_instantaneous_profile(self):
        meter = Meter()
        usual = settings.decode_number(meter.read(INDIAN.limit(4)) or b"")
        meter.limit(4_321)

        consumer = meter.device.consumer
        assert consumer is not None
        assert usual == meter.town.consumers[consumer].sanctioned_w
        assert settings.decode_number(meter.read(INDIAN.limit(3)) or b"") == 4_321


class TestCapturePeriod:
    def test_parts_half_hours_from_the_change_on(self):
        meter = Meter()
        meter.to(6 * HOUR)
        assert meter.write(INDIAN.period, axdr.double_long_unsigned(900)) == DataAccess.SUCCESS
        register = meter.live.register_now(meter.index)[0]
        meter.to(12 * HOUR)
        table = Rows(meter.live).block_load(meter.device, 0, 1 << 40)

        assert len(table.stamps) == 24
        assert set((table.stamps[1:] - table.stamps[:-1]).tolist()) == {900}
        assert table.stamps[0] == epoch_seconds(MIDNIGHT + 6 * HOUR) + 900
        assert int(table.columns["wh_import"].sum()) == meter.live.register_now(meter.index)[0] - register
        assert PERIOD_CHANGED in meter.events(3)
        assert Rows(meter.live).block_count(meter.device) == 24

    def test_is_a_quarter_or_a_half(self):
        meter = Meter()

        assert meter.write(INDIAN.period, axdr.double_long_unsigned(600)) == DataAccess.OTHER_REASON
        assert meter.write(INDIAN.period, axdr.octet_string(b"x")) == DataAccess.TYPE_UNMATCHED


class TestBillingDate:
    def test_moves_the_snapshot_of_its_meter_alone(self):
        meter = Meter()
        other = next(
            device
            for device in meter.town.devices
            if device.smart and device.index != meter.index and not device.in_store
        )
        before = [len(Rows(meter.live).billing(device).stamps) for device in (meter.device, other)]
        assert meter.write(INDIAN.billing_times, BillingDate(day=15).encode()) == DataAccess.SUCCESS
        meter.to(20 * DAY)
        middle = [Rows(meter.live).billing(device).stamps.tolist() for device in (meter.device, other)]
        meter.to(31 * DAY)
        after = [len(Rows(meter.live).billing(device).stamps) for device in (meter.device, other)]

        assert [len(stamps) for stamps in middle] == [before[0] + 1, before[1]]
        assert middle[0][-1] == epoch_seconds(MIDNIGHT + 14 * DAY)
        assert after == [before[0] + 1, before[1] + 1]


class TestPush:
    def test_goes_where_the_meter_was_told(self):
        taken: list[bytes] = []

        async def scene() -> int:
            async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                taken.append(await reader.read())
                writer.close()

            server = await asyncio.start_server(take, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            setup = PushSetup(objects=(), destination=f"127.0.0.1:{port}", retries=2)
            for attribute, data in zip(INDIAN.push_parts("alert"), setup.encode(), strict=True):
                assert meter.write(attribute, data) == DataAccess.SUCCESS
            meter.live.happen(meter.index, 251)
            pusher = asyncio.create_task(Pusher(meter.live, target=None).run())
            for _ in range(200):
                if meter.live.memory.push_counts().get("sent"):
                    break
                await asyncio.sleep(0.01)
            pusher.cancel()
            server.close()
            return meter.live.memory.push_counts().get("sent", 0)

        meter = Meter()

        assert asyncio.run(scene()) == 1
        assert len(taken) == 1

    def test_leaves_out_what_the_filter_hides(self):
        meter = Meter(pushes=True)
        shown = settings.encode_filter(frozenset({BIT_OF_EVENT[251]}))
        assert meter.write(INDIAN.plain(INDIAN.event_filter), shown) == DataAccess.SUCCESS

        meter.live.happen(meter.index, 201)
        hidden = len(meter.live.memory.pending_pushes())
        meter.live.happen(meter.index, 251)

        assert hidden == 0
        assert len(meter.live.memory.pending_pushes()) == 1
        assert 201 in meter.events(4)


class TestSettings:
    def test_are_written_by_the_utility_alone(self):
        meter = Meter()

        result = meter.write(INDIAN.billing_times, BillingDate(day=2).encode(), client=READER)

        assert result == DataAccess.READ_WRITE_DENIED

    @pytest.mark.parametrize("attribute", [INDIAN.limit(2), INDIAN.limit(11), INDIAN.billing_script])
    def test_of_what_runs_cannot_be_written(self, attribute: Attribute):
        assert Meter().write(attribute, axdr.NULL) == DataAccess.READ_WRITE_DENIED

    def test_outlive_the_process(self, tmp_path: Path):
        first = Meter(tmp_path / "memory")
        first.write_calendar(ALL_FIVE)
        first.activate()
        first.limit(2_000)
        assert first.write(INDIAN.plain(INDIAN.payment_mode), axdr.unsigned(1)) == DataAccess.SUCCESS
        first.live.memory.close()

        again = Meter(tmp_path / "memory")

        assert again.live.settings.calendar(again.index) == ALL_FIVE
        assert again.live.settings.limited() == {again.index: LoadLimit(watts=2_000, over_s=300, under_s=600)}
        assert again.read(INDIAN.plain(INDIAN.payment_mode)) == axdr.unsigned(1)
        assert 212 in again.events(4)
