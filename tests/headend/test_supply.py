from datetime import UTC, datetime, timedelta

import pytest

from bijlighar.headend.supply import MeterSigns, Outage, TransformerSupply, judge_supply

AT = datetime(2026, 4, 1, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


def meter(**changed: object) -> MeterSigns:
    given = {"transformer": "T1", "communicates": True, "is_silent": False, **changed}
    return MeterSigns(**given)  # type: ignore[arg-type]


def judged(*meters: MeterSigns) -> TransformerSupply:
    (found,) = judge_supply(meters)
    return found


class TestOutage:
    def test_needs_two_last_gasps_and_a_third_of_the_meters(self):
        dark, lit = meter(failed_at=AT), meter()

        assert judged(dark, lit, lit).outage is None
        assert judged(dark, dark, *[lit] * 5).outage is None
        assert judged(dark, dark, *[lit] * 4).outage is Outage.LAST_GASPS

    def test_is_known_since_the_first_last_gasp(self):
        assert judged(meter(failed_at=AT + HOUR), meter(failed_at=AT)).since == AT

    @pytest.mark.parametrize("sign", ["back_at", "last_contact"])
    def test_ends_with_any_later_sign_of_life(self, sign: str):
        dark = meter(failed_at=AT, **{sign: AT - HOUR})
        lit = meter(failed_at=AT, **{sign: AT})

        assert judged(dark, dark).outage is Outage.LAST_GASPS
        assert judged(lit, lit).outage is None

    def test_is_judged_from_the_silence_of_all_if_they_are_three(self):
        silent, by_hand = meter(is_silent=True), meter(communicates=False)

        assert judged(silent, silent).outage is None
        assert judged(silent, silent, silent, by_hand).outage is Outage.SILENCE
        assert judged(silent, silent, silent, meter()).outage is None


class TestHasManySilent:
    def test_begins_above_a_tenth_of_those_that_communicate(self):
        silent, heard = meter(is_silent=True), meter()

        assert not judged(silent, *[heard] * 9).has_many_silent
        assert judged(silent, *[heard] * 8).has_many_silent
        assert not judged(meter(communicates=False)).has_many_silent
