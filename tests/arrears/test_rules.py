import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.arrears import rules
from bijlighar.arrears.guards import GUARDS
from bijlighar.arrears.model import (
    ACTIVE,
    LIST_STEPS,
    MAYBE_OPEN,
    ORDER_STEPS,
    STATE_NAMES,
    UNSENT,
    Circumstance,
    CircumstanceKind,
    Facts,
    OrderEvent,
    OrderState,
    ProtectionFact,
    SentCounts,
    Stage,
    Way,
)
from bijlighar.arrears.policy import load_policy
from bijlighar.base.period import IST
from bijlighar.headend.model import ControlReason
from tests.arrears.build import (
    CUTTABLE,
    NOW,
    OLD,
    POLICY,
    POLICY_TEXT,
    SECOND,
    TODAY,
    due,
    facts,
    notice,
    order,
    supply,
)


def refusals(known: Facts, *, stage: Stage = Stage.SEND, now: datetime = NOW) -> set[str]:
    decision = rules.decide(facts=known, policy=POLICY, now=now, stage=stage)
    return {reason.code for reason in decision.reasons}


def disputed(document: str = "B1") -> Circumstance:
    return Circumstance(
        number=1,
        account="N1",
        kind=CircumstanceKind.DISPUTE,
        document=document,
        note="letter 12",
        entered_by="asha",
        entered_on=date(2025, 7, 1),
        until=None,
    )


PROTECTED = ProtectionFact(kind="life_support", certificate="CERT-12", until=date(2026, 1, 1))


class TestDecide:
    @pytest.mark.parametrize("stage", list(Stage))
    def test_lets_pass_an_account_that_may_be_cut(self, stage: Stage):
        decision = rules.decide(facts=CUTTABLE, policy=POLICY, now=NOW, stage=stage)

        assert decision.go
        assert decision.reasons == ()
        assert decision.due_paise == OLD.open_paise
        assert decision.way is Way.RELAY

    @pytest.mark.parametrize(
        ("code", "known"),
        [
            ("age", facts(dues=(SECOND, due("B3", due_on=date(2025, 6, 20))))),
            ("age", facts(dues=())),
            ("bills", facts(dues=(OLD,))),
            ("limit", facts(dues=(due(issued_on=date(2023, 1, 1), due_on=date(2023, 1, 11)), SECOND))),
            ("dispute", facts(circumstances=(disputed(),))),
            (
                "instalments",
                facts(circumstances=(replace(disputed(), kind=CircumstanceKind.INSTALMENTS),)),
            ),
            ("notice", facts(notices=())),
            ("notice", facts(notices=(notice("B1", served_on=None),))),
            ("notice", facts(notices=(notice("B0"),))),
            ("clear_days", facts(notices=(notice("B1", served_on=TODAY - timedelta(days=15)),))),
            ("credit", facts(unallocated_paise=OLD.open_paise)),
            ("pending_payment", facts(holds_paise=OLD.open_paise)),
            ("protest", facts(protest_paise=120_000)),
            ("minimum", facts(dues=(due(open_paise=20_000), SECOND))),
            ("due", facts(unallocated_paise=OLD.open_paise)),
            ("protected", facts(protections=(PROTECTED,))),
            ("protected", facts(protections=(replace(PROTECTED, kind="a kind nobody knows", until=None),))),
            ("category", facts(category="LV-3")),
            ("category", facts(category="LV-3.1")),
            ("meter", facts(supply=supply(meter=None))),
            ("meter", facts(supply=supply(meter="M2"))),
            ("supply_on", facts(supply=supply(open_reasons=frozenset({ControlReason.THEFT})))),
            ("one_order", facts(other_order=9)),
        ],
    )
    @pytest.mark.parametrize("stage", list(Stage))
    def test_refuses_at_every_stage(self, stage: Stage, code: str, known: Facts):
        assert code in refusals(known, stage=stage)

    @pytest.mark.parametrize(
        ("code", "known"),
        [
            ("approved", facts(order=None)),
            ("approved", facts(order=order(approved_by=None))),
            ("approved", facts(order=order(approved_at=None))),
            ("four_eyes", facts(order=order(approved_by="asha"))),
            ("four_eyes", facts(order=order(approved_by=""))),
            ("fresh", facts(order=order(approved_at=NOW - timedelta(days=7, seconds=1)))),
            ("fresh", facts(order=order(approved_at=NOW + timedelta(seconds=1)))),
            ("warned", facts(order=order(warned_at=None))),
            ("warned", facts(order=order(warned_at=NOW - timedelta(days=2)))),
            ("halt", facts(halted=True)),
            ("per_hour", facts(sent=SentCounts(last_hour=40, office_today=0, office_accounts=300))),
            ("per_office", facts(sent=SentCounts(last_hour=0, office_today=60, office_accounts=90_000))),
            ("share", facts(sent=SentCounts(last_hour=0, office_today=6, office_accounts=300))),
            ("share", facts(sent=SentCounts(last_hour=0, office_today=1, office_accounts=3))),
            ("per_hour", facts(sent=None)),
            ("share", facts(sent=None)),
        ],
    )
    def test_refuses_to_send(self, code: str, known: Facts):
        assert code in refusals(known)

    @pytest.mark.parametrize(
        "known",
        [
            facts(order=order(approved_at=NOW - timedelta(days=7))),
            facts(order=order(warned_at=datetime(2025, 7, 14, 18, 29, 59, tzinfo=UTC))),
            facts(sent=SentCounts(last_hour=39, office_today=5, office_accounts=300)),
            facts(sent=SentCounts(last_hour=0, office_today=0, office_accounts=3)),
            facts(protections=(replace(PROTECTED, until=TODAY - timedelta(days=1)),)),
            facts(unallocated_paise=OLD.open_paise - POLICY.minimum_paise - 1),
            facts(notices=(notice("B1", served_on=TODAY - timedelta(days=16)),)),
            facts(circumstances=(disputed("B2"),)),
            facts(category="LV-30"),
        ],
    )
    def test_lets_pass_the_other_side_of_each_edge(self, known: Facts):
        assert refusals(known) == set()

    @pytest.mark.parametrize(
        ("code", "clock"),
        [("hours", (9, 59)), ("hours", (16, 0)), ("hours", (0, 0))],
    )
    def test_refuses_outside_the_hours(self, code: str, clock: tuple[int, int]):
        now = datetime(2025, 7, 17, *clock, tzinfo=IST)

        assert code in refusals(CUTTABLE, now=now)

    @pytest.mark.parametrize(
        "day", [date(2025, 7, 20), date(2025, 8, 14), date(2025, 8, 15), date(2027, 7, 15)]
    )
    def test_refuses_on_days_that_are_not_for_cutting(self, day: date):
        now = datetime(day.year, day.month, day.day, 12, tzinfo=IST)

        assert "day" in refusals(CUTTABLE, now=now)

    def test_gives_every_reason_in_both_languages(self):
        known = facts(
            dues=(),
            notices=(),
            protections=(PROTECTED,),
            category="LV-3",
            supply=supply(meter=None),
            other_order=2,
            order=None,
            sent=None,
            halted=True,
        )
        now = datetime(2025, 7, 20, 3, tzinfo=IST)

        decision = rules.decide(facts=known, policy=POLICY, now=now, stage=Stage.SEND)

        assert all(reason.words.hi and reason.words.en for reason in decision.reasons)
        assert all(any("ऀ" <= sign <= "ॿ" for sign in reason.words.hi) for reason in decision.reasons)

    def test_records_every_input_as_json(self):
        decision = rules.decide(facts=CUTTABLE, policy=POLICY, now=NOW, stage=Stage.SEND)

        record = json.loads(json.dumps(decision.record))
        assert record["facts"]["dues"][0]["open_paise"] == OLD.open_paise
        assert record["facts"]["order"]["approved_by"] == "vijay"
        assert record["policy"]["version"] == POLICY.version
        assert {check["code"] for check in record["checks"]} == {guard.code for guard in GUARDS}

    def test_records_refusals_alike(self):
        decision = rules.decide(facts=facts(halted=True), policy=POLICY, now=NOW, stage=Stage.SEND)

        assert decision.record["go"] is False
        assert decision.record["facts"] is not None

    @pytest.mark.parametrize(
        ("known", "way"),
        [
            (supply(has_relay=False), Way.BY_HAND),
            (supply(last_contact=None), Way.BY_HAND),
            (supply(last_contact=NOW - timedelta(hours=48, seconds=1)), Way.BY_HAND),
            (supply(last_contact=NOW - timedelta(hours=48)), Way.RELAY),
        ],
    )
    def test_chooses_the_way(self, known: object, way: Way):
        decision = rules.decide(facts=facts(supply=known), policy=POLICY, now=NOW, stage=Stage.SEND)

        assert decision.go
        assert decision.way is way

    @given(
        paid=st.integers(0, 200_000),
        held=st.integers(0, 200_000),
        deposited=st.integers(0, 200_000),
        served=st.none() | st.dates(date(2025, 6, 1), date(2025, 7, 17)),
        hours=st.integers(-2_000, 2_000),
        protected=st.booleans(),
        halted=st.booleans(),
    )
    def test_never_lets_pass_what_the_law_forbids(
        self,
        paid: int,
        held: int,
        deposited: int,
        served: date | None,
        hours: int,
        protected: bool,
        halted: bool,
    ):
        now = NOW + timedelta(hours=hours)
        known = facts(
            unallocated_paise=paid,
            holds_paise=held,
            protest_paise=deposited,
            notices=(notice("B1", "B2", served_on=served),),
            protections=(PROTECTED,) if protected else (),
            halted=halted,
        )

        decision = rules.decide(facts=known, policy=POLICY, now=now, stage=Stage.SEND)

        if decision.go:
            day = now.astimezone(IST).date()
            assert paid + held + deposited < OLD.open_paise + SECOND.open_paise
            assert served is not None
            assert (day - served).days >= 16
            assert not protected
            assert not halted
            assert 10 <= now.astimezone(IST).hour < 16
            assert day.weekday() < 6
            assert decision.due_paise > POLICY.minimum_paise


class TestMayBeOff:
    def test_holds_while_the_due_stands(self):
        assert rules.may_be_off(facts=CUTTABLE, policy=POLICY, on=TODAY)

    @pytest.mark.parametrize(
        "known",
        [
            facts(dues=()),
            facts(unallocated_paise=OLD.open_paise),
            facts(holds_paise=OLD.open_paise),
            facts(protest_paise=120_000),
            facts(protections=(PROTECTED,)),
            facts(category="LV-3.2"),
            facts(circumstances=(disputed(),)),
        ],
    )
    def test_ends_with(self, known: Facts):
        assert not rules.may_be_off(facts=known, policy=POLICY, on=TODAY)

    def test_does_not_end_with_a_sum_below_the_minimum(self):
        assert rules.may_be_off(facts=facts(unallocated_paise=OLD.open_paise - 1), policy=POLICY, on=TODAY)


class TestOutlook:
    def outlook(self, known: Facts, *, day: date = date(2025, 6, 1)) -> rules.Outlook:
        now = datetime(day.year, day.month, day.day, 12, tzinfo=IST).astimezone(UTC)
        return rules.outlook(facts=known, policy=POLICY, now=now, today=day)

    def test_counts_from_notice_to_cut(self):
        found = self.outlook(facts(notices=(), order=None))

        # due 11 May; notice after 40 days on 21 June; listed after 60 days on 11 July; three days of warning.
        assert found.steps[1][0] == date(2025, 6, 21)
        assert found.steps[3][0] == date(2025, 7, 11)
        assert found.earliest == datetime(2025, 7, 14, 10, 0, tzinfo=IST)

    def test_waits_for_the_clear_days_of_a_late_notice(self):
        late = notice("B1", "B2", served_on=date(2025, 7, 10))

        found = self.outlook(facts(notices=(late,), order=None))

        assert found.steps[2][0] == date(2025, 7, 26)
        assert found.earliest == datetime(2025, 7, 29, 10, 0, tzinfo=IST)

    @pytest.mark.parametrize(
        "known", [facts(dues=()), facts(protections=(PROTECTED,)), facts(category="LV-3"), facts(dues=(OLD,))]
    )
    def test_never_comes(self, known: Facts):
        found = self.outlook(known)

        assert found.earliest is None
        assert found.never is not None

    def test_says_where_the_calendar_ends(self):
        found = self.outlook(CUTTABLE, day=date(2027, 3, 1))

        assert found.earliest is None
        assert found.never is rules.NO_CALENDAR

    @given(st.integers(1, 60))
    def test_never_comes_before_a_decision_would_let_pass(self, days: int):
        """Whatever day is tried, nobody is listed before the outlook says so."""
        day = date(2025, 6, 15) + timedelta(days=days)
        now = datetime(day.year, day.month, day.day, 12, tzinfo=IST).astimezone(UTC)
        decision = rules.decide(facts=CUTTABLE, policy=POLICY, now=now, stage=Stage.DRAW)
        found = rules.outlook(facts=CUTTABLE, policy=POLICY, now=now, today=day)

        assert found.earliest is not None
        if decision.go:
            assert found.steps[3][0] <= day
        else:
            assert found.earliest > now


class TestSnapshotHash:
    def test_changes_with_any_fact(self):
        rows = [{"account": "N1", "due_paise": 5}]

        assert rules.snapshot_hash(rows) != rules.snapshot_hash([{"account": "N1", "due_paise": 6}])

    def test_knows_one_spelling(self):
        assert rules.snapshot_hash([{"a": 1, "b": 2}]) == rules.snapshot_hash([{"b": 2, "a": 1}])


class TestOrderSteps:
    def test_has_every_state_and_a_name_for_it(self):
        assert set(ORDER_STEPS) == set(OrderState) == set(STATE_NAMES)

    def test_sends_only_what_was_approved_and_warned(self):
        into_sent = [state for state, events in ORDER_STEPS.items() if OrderEvent.SEND in events]
        by_hand = [state for state, events in ORDER_STEPS.items() if OrderEvent.HAND_OVER in events]

        assert into_sent == by_hand == [OrderState.WARNED]

    def test_opens_only_what_was_sent_or_handed_over(self):
        into_open = {state for state, events in ORDER_STEPS.items() if OrderState.OPEN in events.values()}

        assert into_open == {OrderState.SENT, OrderState.UNKNOWN, OrderState.MANUAL}

    def test_leaves_reconnecting_only_by_the_meter_or_a_person(self):
        assert ORDER_STEPS[OrderState.RECONNECTING] == {OrderEvent.RECONNECTED: OrderState.CLOSED}

    def test_can_give_supply_back_wherever_something_may_have_left(self):
        left = MAYBE_OPEN | {
            OrderState.MANUAL,
            OrderState.HELD,
            OrderState.CLOSED,
            OrderState.CANCELLED,
            OrderState.FAILED,
            OrderState.EXPIRED,
        }

        assert all(ORDER_STEPS[state][OrderEvent.RELEASE] is OrderState.RECONNECTING for state in left)

    def test_counts_what_has_left_as_active(self):
        assert UNSENT | MAYBE_OPEN <= ACTIVE
        assert OrderState.CLOSED not in ACTIVE
        assert OrderState.EXCLUDED not in ACTIVE


class TestListSteps:
    def test_approves_only_a_drawn_list(self):
        assert [state.value for state, events in LIST_STEPS.items() if events] == ["drawn"]


class TestPolicyOfThirtyDays:
    def test_lists_on_the_thirty_first_day_with_one_bill(self):
        text = POLICY_TEXT.replace("after_days = 60 ", "after_days = 30 ").replace("bills = 2 ", "bills = 1 ")
        policy = load_policy(text)
        known = facts(dues=(OLD,), notices=(notice("B1", served_on=date(2025, 5, 25)),))

        for days, go in ((30, False), (31, True)):
            day = OLD.due_on + timedelta(days=days)
            now = datetime(day.year, day.month, day.day, 12, tzinfo=IST)
            assert rules.decide(facts=known, policy=policy, now=now, stage=Stage.DRAW).go is go
