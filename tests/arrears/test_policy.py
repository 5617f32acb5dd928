import re
from datetime import date, time

import pytest

from bijlighar.arrears.policy import PERMITTED_RULES
from bijlighar.arrears.rules import BrokenPolicy, load_policy
from tests.arrears.build import POLICY, POLICY_TEXT


def changed(name: str, value: str) -> str:
    """The shipped policy with the one line that sets `name` set to `value`."""
    text, count = re.subn(rf"^{name} = .*$", f"{name} = {value}", POLICY_TEXT, flags=re.MULTILINE)
    assert count >= 1, name
    return text


def pair(after_days: int, bills: int) -> str:
    text = POLICY_TEXT.replace("after_days = 60 ", f"after_days = {after_days} ")
    return text.replace("bills = 2 ", f"bills = {bills} ")


class TestLoadPolicy:
    def test_reads_the_shipped_policy(self):
        assert (POLICY.due_days, POLICY.clear_days, POLICY.list_after_days, POLICY.list_bills) == (
            10,
            15,
            60,
            2,
        )
        assert (POLICY.cut_from, POLICY.cut_to) == (time(10), time(16))
        assert POLICY.minimum_paise == 20_000
        assert date(2025, 8, 15) in POLICY.holidays
        assert 6 not in POLICY.weekdays

    def test_names_its_version_by_the_text(self):
        assert load_policy(POLICY_TEXT + "\n# a remark\n").version != POLICY.version

    @pytest.mark.parametrize("days", [14, 0, -1, 1])
    def test_refuses_to_shorten_the_clear_days(self, days: int):
        with pytest.raises(BrokenPolicy, match=r"clear_days = .* s\.56\(1\)"):
            load_policy(changed("clear_days", str(days)))

    def test_takes_more_clear_days(self):
        assert load_policy(changed("clear_days", "21")).clear_days == 21

    @pytest.mark.parametrize("rule", PERMITTED_RULES)
    def test_takes_the_two_permitted_rules(self, rule: tuple[int, int]):
        policy = load_policy(pair(*rule))

        assert (policy.list_after_days, policy.list_bills) == rule

    @pytest.mark.parametrize("rule", [(30, 2), (60, 1), (45, 2), (31, 1)])
    def test_refuses_every_other_rule(self, rule: tuple[int, int]):
        with pytest.raises(BrokenPolicy, match="60 days and 2 bills, or 30 days and 1 bill"):
            load_policy(pair(*rule))

    def test_refuses_a_rule_outside_all_ranges(self):
        with pytest.raises(BrokenPolicy, match=r"\[list\] after_days = 10"):
            load_policy(pair(10, 1))

    def test_refuses_to_enforce_beyond_two_years(self):
        with pytest.raises(BrokenPolicy, match=r"s\.56\(2\)"):
            load_policy(changed("months", "25"))

    def test_refuses_a_shorter_last_warning(self):
        text = POLICY_TEXT.replace("days = 2                         # full days", "days = 1  # full days")
        with pytest.raises(BrokenPolicy, match=r"\[warning\] days = 1"):
            load_policy(text)

    def test_refuses_an_approval_that_lives_long(self):
        with pytest.raises(BrokenPolicy, match=r"\[approval\] valid_days = 16"):
            load_policy(changed("valid_days", "16"))

    def test_refuses_whatsapp_alone_as_service(self):
        with pytest.raises(BrokenPolicy, match="no notice in writing"):
            load_policy(changed("served_by", '["whatsapp"]'))

    def test_refuses_an_unknown_channel(self):
        with pytest.raises(BrokenPolicy, match="'pigeon' is no channel"):
            load_policy(changed("served_by", '["print", "pigeon"]'))

    def test_refuses_to_leave_life_support_unprotected(self):
        with pytest.raises(BrokenPolicy, match="life_support, which always stops a cut"):
            load_policy(changed("without_effect", '["life_support"]'))

    def test_refuses_hours_that_end_before_they_begin(self):
        with pytest.raises(BrokenPolicy, match="is not before"):
            load_policy(changed("to", "09:00:00"))

    def test_refuses_an_unknown_weekday(self):
        with pytest.raises(BrokenPolicy, match="'monday' is no weekday"):
            load_policy(changed("weekdays", '["monday"]'))

    def test_refuses_a_year_without_holidays(self):
        with pytest.raises(BrokenPolicy, match="no day of it is given"):
            load_policy(changed("years", "[2025, 2026, 2027]"))

    def test_refuses_a_holiday_of_an_unnamed_year(self):
        with pytest.raises(BrokenPolicy, match="does not name 2026"):
            load_policy(changed("years", "[2025]"))

    def test_refuses_an_unknown_name(self):
        with pytest.raises(BrokenPolicy, match="grace_days is no name of a policy"):
            load_policy(POLICY_TEXT.replace("due_days = 10", "due_days = 10\ngrace_days = 3"))

    def test_refuses_an_unknown_section(self):
        with pytest.raises(BrokenPolicy, match=r"\[shortcuts\] is no section"):
            load_policy(POLICY_TEXT + "\n[shortcuts]\nskip_notice = true\n")

    @pytest.mark.parametrize(
        "name",
        [
            "id",
            "clear_days",
            "served_by",
            "minimum_rupees",
            "months",
            "heard_within_hours",
            "before_holidays",
            "categories",
            "years",
        ],
    )
    def test_refuses_what_is_missing(self, name: str):
        text = re.sub(rf"^{name} = .*$", "", POLICY_TEXT, flags=re.MULTILINE)

        with pytest.raises(BrokenPolicy, match=f"{name} is missing"):
            load_policy(text)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("clear_days", '"15"'),
            ("clear_days", "15.0"),
            ("clear_days", "true"),
            ("per_hour", "-1"),
            ("office_share_percent", "11"),
            ("minimum_rupees", '"-1"'),
            ("minimum_rupees", '"1.234"'),
            ("minimum_rupees", "200"),
            ("from", '"10:00"'),
            ("before_holidays", '"no"'),
            ("categories", '"LV-3"'),
            ("years", '["2025"]'),
        ],
    )
    def test_refuses_a_value_of_the_wrong_kind_in_one_line(self, name: str, value: str):
        with pytest.raises(BrokenPolicy) as caught:
            load_policy(changed(name, value))

        assert name in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_refuses_what_is_no_toml(self):
        with pytest.raises(BrokenPolicy, match="not valid TOML"):
            load_policy("this is [not")
