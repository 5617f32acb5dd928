from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest

from bijlighar.base.identity import check_digit
from bijlighar.simulator.errors import ImpossibleTown
from bijlighar.simulator.habits import critical
from bijlighar.simulator.model import (
    Behaviour,
    HandReadingRound,
    Installation,
    Kind,
    Payer,
    Premises,
    StockReceipt,
    Tamper,
)
from bijlighar.simulator.rules import is_silent, pays_at, plan_town
from tests.simulator.towns import FIRST_DAY, a_town


class TestPlanTown:
    def test_is_the_same_for_the_same_seed(self):
        assert a_town(meters=60, seed=11) == a_town(meters=60, seed=11)

    def test_differs_by_seed(self):
        assert a_town(meters=60, seed=11).consumers != a_town(meters=60, seed=12).consumers

    def test_has_the_mixture_of_meters_of_a_half_finished_rollout(self):
        town = a_town(meters=300, months=4)

        kinds = Counter(
            (device.kind, device.smart)
            for device in town.devices
            if device.consumer is not None and not device.in_store
        )

        assert kinds == {
            (Kind.SINGLE_PHASE, True): 252,
            (Kind.SINGLE_PHASE, False): 24,
            (Kind.THREE_PHASE, True): 18,
            (Kind.LT_CT, True): 6,
        }
        assert sum(device.kind is Kind.TRANSFORMER for device in town.devices) == len(town.transformers) == 12
        assert sum(device.kind is Kind.FEEDER for device in town.devices) == len(town.feeders) == 3

    @pytest.mark.parametrize("meters", [1, 2, 5, 19, 20, 33, 120])
    def test_has_as_many_consumers_meters_as_asked(self, meters):
        town = a_town(meters=meters)

        hanging = [device for device in town.devices if device.consumer is not None and not device.in_store]

        assert len(hanging) == len(town.consumers) == meters
        assert [device.consumer for device in hanging] == list(range(meters))

    def test_gives_every_meter_its_own_serial_title_keys_and_port(self):
        devices = a_town(meters=120).devices

        for name in ("serial", "system_title", "encryption_key", "authentication_key", "setting_key"):
            assert len({getattr(device, name) for device in devices}) == len(devices)
        listening = [device.listens for device in devices if device.listens is not None]
        assert listening == list(range(len(listening)))
        assert all(device.listens is None for device in devices if not device.smart)

    def test_gives_accounts_a_check_digit(self):
        for consumer in a_town(meters=50).consumers:
            assert consumer.account[0] == "N"
            assert check_digit(consumer.account[1:]) == "0"

    def test_tunes_who_pays_so_that_a_few_of_three_hundred_reach_the_list(self):
        behaviours = Counter(consumer.payer.behaviour for consumer in a_town(meters=300, months=4).consumers)

        assert behaviours[Behaviour.AFTER_CUT] == 4
        assert behaviours[Behaviour.NEVER] == 2
        assert behaviours[Behaviour.AFTER_WARNING] == 2
        assert behaviours[Behaviour.AFTER_NOTICE] == 9
        assert behaviours[Behaviour.PROMPT] > 240

    def test_lets_one_who_never_pays_sign_for_the_notice_so_late_that_he_can_be_listed_at_the_end(self):
        town = a_town(meters=300, months=4)
        never = [each.payer for each in town.consumers if each.payer.behaviour is Behaviour.NEVER]
        others = [each.payer for each in town.consumers if each.payer.behaviour is not Behaviour.NEVER]

        home_on = town.last_day - timedelta(days=16)
        assert Counter(payer.home_on for payer in never) == {None: 1, home_on: 1}
        assert {payer.home_on for payer in others} == {None}

    def test_has_one_cut_and_one_excluded_even_in_a_small_town(self):
        town = a_town(meters=20, months=4)
        smart = {device.consumer for device in town.devices if device.smart and device.kind.has_relay}

        cut = [c for c in town.consumers if c.payer.behaviour is Behaviour.AFTER_CUT]
        protected = [c for c in town.consumers if c.protection and c.payer.behaviour is Behaviour.LATE]

        assert cut
        assert {consumer.index for consumer in cut} <= smart
        assert [consumer.protection.kind for consumer in protected if consumer.protection] == ["life_support"]
        assert all(consumer.payer.days > 70 for consumer in protected)

    def test_protects_hospital_and_waterworks(self):
        kinds = {
            consumer.premises: consumer.protection.kind
            for consumer in a_town(meters=300).consumers
            if consumer.protection and consumer.premises is not Premises.HOME
        }

        assert kinds == {Premises.HOSPITAL: "hospital", Premises.WATERWORKS: "waterworks"}

    def test_has_about_thirty_of_a_hundred_meters_silent_for_some_days(self):
        town = a_town(meters=300, months=4)
        consumers = {device.serial for device in town.devices if device.consumer is not None}

        silent = {silence.serial for silence in town.silences} & consumers

        assert 0.27 < len(silent) / 276 < 0.33
        for device in town.devices:
            if device.kind is Kind.TRANSFORMER:
                spans = [silence for silence in town.silences if silence.serial == device.serial]
                assert sum((span.last - span.first).days + 1 for span in spans) <= 1

    def test_leaves_those_on_whom_the_line_shows_in_peace(self):
        town = a_town(meters=300, months=4)
        spared = critical(town.consumers)
        serials = {device.serial: device.consumer for device in town.devices}

        assert not {serials[tamper.serial] for tamper in town.tampers} & spared
        assert not [consumer for consumer in town.consumers if consumer.index in spared and consumer.bypass]
        silent = [silence for silence in town.silences if serials[silence.serial] in spared]
        assert {silence.first for silence in silent} == {date(2025, 7, 5)}
        assert len({silence.serial for silence in silent}) == 1

    def test_plans_the_rollout_with_stock_before_each_installation(self):
        town = a_town(meters=300, months=4)
        arrived: dict[str, datetime] = {}

        for action in town.actions:
            if isinstance(action, StockReceipt):
                arrived |= dict.fromkeys(action.serials, action.at)
            if isinstance(action, Installation):
                assert arrived[action.new_serial] < action.at

        assert len(town.installations) == 12
        assert len(arrived) == 16
        devices = {device.serial: device for device in town.devices}
        for plan in town.installations:
            assert not devices[plan.old_serial].smart
            assert devices[plan.new_serial].in_store
            assert devices[plan.old_serial].consumer == devices[plan.new_serial].consumer

    def test_sorts_the_actions_by_time(self):
        actions = a_town(meters=300, months=4).actions

        assert [action.at for action in actions] == sorted(action.at for action in actions)
        assert {type(action) for action in actions} == {StockReceipt, Installation, Tamper, HandReadingRound}

    def test_tampers_with_meters_that_can_tell(self):
        town = a_town(meters=300, months=4)
        devices = {device.serial: device for device in town.devices}

        assert [tamper.code for tamper in town.tampers if tamper.restored_at is None] == [
            tamper.code for tamper in town.tampers if tamper.code == 251
        ]
        assert {tamper.code for tamper in town.tampers} == {201, 203, 251}
        for tamper in town.tampers:
            assert devices[tamper.serial].smart
            assert not is_silent(town, serial=tamper.serial, day=tamper.at.date())

    def test_is_only_smart_meters_that_answer_when_it_stands_alone(self):
        town = a_town(meters=30, stand_alone=True)

        assert len(town.devices) == 30
        assert all(device.smart and device.deviation_minutes == -330 for device in town.devices)
        assert not town.silences
        assert not town.actions
        assert not [consumer for consumer in town.consumers if consumer.bypass]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"meters": 0}, "1 to 60000 meters"),
            ({"meters": 60_001}, "1 to 60000 meters"),
            ({"months": 0}, "1 to 120 months"),
            ({"first_day": date(2025, 4, 2)}, "first of a month"),
        ],
    )
    def test_refuses_what_no_town_can_be(self, change, words):
        asked = {"seed": 1, "meters": 20, "months": 1, "first_day": FIRST_DAY} | change

        with pytest.raises(ImpossibleTown, match=words):
            plan_town(**asked)

    def test_ends_with_the_last_month(self):
        assert a_town(months=1).last_day == date(2025, 4, 30)
        assert a_town(months=11).last_day == date(2026, 2, 28)
        assert [action.at for action in a_town(months=1).hand_readings] == [
            datetime(2025, 3, 31, 18, 30, tzinfo=UTC),
            datetime(2025, 4, 30, 18, 30, tzinfo=UTC),
        ]


def payer(behaviour: Behaviour, days: int) -> Payer:
    return Payer(behaviour=behaviour, days=days, at=time(11, 0), method="upi")


class TestPaysAt:
    ISSUED = datetime(2025, 5, 1, 1, 0, tzinfo=UTC)

    def test_counts_days_from_the_bill(self):
        due = pays_at(payer(Behaviour.LATE, 20), issued_at=self.ISSUED)

        assert due == datetime(2025, 5, 21, 5, 30, tzinfo=UTC)

    def test_pays_on_the_day_itself_if_the_hour_is_still_to_come(self):
        assert pays_at(payer(Behaviour.PROMPT, 0), issued_at=self.ISSUED) == datetime(
            2025, 5, 1, 5, 30, tzinfo=UTC
        )

    def test_pays_the_day_after_if_the_hour_is_over(self):
        issued = datetime(2025, 5, 1, 5, 30, tzinfo=UTC)

        assert pays_at(payer(Behaviour.PROMPT, 0), issued_at=issued) == datetime(
            2025, 5, 2, 5, 30, tzinfo=UTC
        )

    @pytest.mark.parametrize(
        ("behaviour", "waits_for"),
        [
            (Behaviour.AFTER_NOTICE, "noticed_at"),
            (Behaviour.AFTER_WARNING, "warned_at"),
            (Behaviour.AFTER_CUT, "cut_at"),
        ],
    )
    def test_waits_for_what_the_behaviour_names(self, behaviour, waits_for):
        moment = datetime(2025, 7, 14, 6, 0, tzinfo=UTC)
        others = {"noticed_at", "warned_at", "cut_at"} - {waits_for}

        assert pays_at(payer(behaviour, 1), issued_at=self.ISSUED, **dict.fromkeys(others, moment)) is None
        paid = pays_at(payer(behaviour, 1), issued_at=self.ISSUED, **{waits_for: moment})
        assert paid == datetime(2025, 7, 15, 5, 30, tzinfo=UTC)

    def test_never_pays_who_never_does(self):
        moment = self.ISSUED + timedelta(days=80)

        paid = pays_at(
            payer(Behaviour.NEVER, 0),
            issued_at=self.ISSUED,
            noticed_at=moment,
            warned_at=moment,
            cut_at=moment,
        )

        assert paid is None


class TestIsSilent:
    def test_holds_on_both_ends_of_a_span(self):
        town = a_town(meters=100, months=4)
        span = town.silences[0]
        others = [silence for silence in town.silences if silence.serial == span.serial and silence != span]
        before = span.first - timedelta(days=1)

        assert is_silent(town, serial=span.serial, day=span.first)
        assert is_silent(town, serial=span.serial, day=span.last)
        assert not is_silent(town, serial=span.serial, day=before) or any(o.last >= before for o in others)
