from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.base.errors import InvalidValue
from bijlighar.base.words import Words
from bijlighar.offices.errors import (
    BrokenTree,
    NotPermitted,
    SamePerson,
    UnreadableFile,
    UnrecordableDetail,
    WeakPassword,
)
from bijlighar.offices.model import (
    ROLES_OF_ACT,
    ROLES_OF_VIEW,
    Act,
    AuditEntry,
    Office,
    OfficeLevel,
    Person,
    Role,
    View,
)
from bijlighar.offices.rules import (
    ADDRESS_FAILURES_MAX,
    ADDRESS_WINDOW,
    NO_HASH,
    PASSWORD_LENGTH_MAX,
    PASSWORD_LENGTH_MIN,
    address_key,
    branch,
    canonical_json,
    check_other_person,
    check_password,
    check_permitted,
    check_tree,
    check_view,
    hash_of_entry,
    locked_until,
    parse_offices,
    sign_in_key,
    throttled_until,
    token_hash,
    verify_chain,
)

AT = datetime(2026, 4, 1, tzinfo=UTC)


def make_office(code: str, level: OfficeLevel, parent: str | None) -> Office:
    return Office(code=code, name=Words(hi=code, en=code), level=level, parent=parent)


TREE = (
    make_office("WEST", OfficeLevel.COMPANY, None),
    make_office("INDORE", OfficeLevel.REGION, "WEST"),
    make_office("UJJAIN", OfficeLevel.REGION, "WEST"),
    make_office("MHOW", OfficeLevel.DIVISION, "INDORE"),
    make_office("MHOW-1", OfficeLevel.TOWN_OFFICE, "MHOW"),
)


def make_person(*, roles: set[Role], office: str = "INDORE", active: bool = True) -> Person:
    return Person(sign_in="asha", name="Asha", office=office, roles=frozenset(roles), active=active)


def make_chain(length: int) -> tuple[AuditEntry, ...]:
    entries: list[AuditEntry] = []
    previous_hash = NO_HASH
    for number in range(1, length + 1):
        entry = AuditEntry(
            number=number,
            at=AT,
            person="asha",
            act="halt",
            subject=f"list {number}",
            detail="{}",
            previous_hash=previous_hash,
            entry_hash=hash_of_entry(
                number=number,
                at=AT,
                person="asha",
                act="halt",
                subject=f"list {number}",
                detail="{}",
                previous_hash=previous_hash,
            ),
        )
        entries.append(entry)
        previous_hash = entry.entry_hash
    return tuple(entries)


class TestParseOffices:
    def test_reads_levels_however_they_are_written(self):
        text = "code,name_en,name_hi,level,parent\nW,West,पश्चिम,Company,\nM,Mhow,महू,town_office,W\n"

        offices = parse_offices(text)

        assert offices[1] == Office(
            code="M", name=Words(hi="महू", en="Mhow"), level=OfficeLevel.TOWN_OFFICE, parent="W"
        )

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            (",a,b,region,", "line 3, column code"),
            ("W,a,b,region,", "line 3, column code: W stands on an earlier line"),
            ("X,a,b,village,", "line 3, column level: 'village'"),
        ],
    )
    def test_refuses_a_wrong_row_with_its_line_and_column(self, row, said):
        with pytest.raises(UnreadableFile, match=said):
            parse_offices(f"code,name_en,name_hi,level,parent\nW,West,,company,\n{row}\n")

    def test_refuses_what_is_no_table_with_the_same_error(self):
        with pytest.raises(UnreadableFile, match="column parent is missing"):
            parse_offices("code,level\nW,company\n")


class TestCheckTree:
    def test_accepts_levels_left_out(self):
        check_tree(TREE)

    @pytest.mark.parametrize(
        "wrong",
        [
            make_office("X", OfficeLevel.DIVISION, "NOWHERE"),
            make_office("X", OfficeLevel.REGION, "INDORE"),
            make_office("X", OfficeLevel.COMPANY, "X"),
        ],
    )
    def test_refuses_a_parent_that_is_unknown_or_not_above(self, wrong):
        with pytest.raises(BrokenTree):
            check_tree((*TREE, wrong))


class TestBranch:
    def test_holds_the_office_and_all_below_it(self):
        assert branch(TREE, code="INDORE") == ("INDORE", "MHOW", "MHOW-1")
        assert branch(TREE, code="MHOW-1") == ("MHOW-1",)


class TestCheckPermitted:
    def test_accepts_the_role_at_an_office_below(self):
        check_permitted(
            person=make_person(roles={Role.APPROVER}),
            act=Act.APPROVE_LIST,
            office="MHOW-1",
            branch_of_person=branch(TREE, code="INDORE"),
        )

    @pytest.mark.parametrize(
        ("person", "office", "said"),
        [
            (make_person(roles={Role.CLERK}), "MHOW-1", "needs the role approver"),
            (make_person(roles={Role.APPROVER}), "UJJAIN", "may not act for office UJJAIN"),
            (make_person(roles={Role.APPROVER}), "WEST", "may not act for office WEST"),
            (make_person(roles={Role.APPROVER}, active=False), "MHOW-1", "no longer active"),
            (make_person(roles=set()), None, "needs the role"),
        ],
    )
    def test_refuses_others(self, person, office, said):
        with pytest.raises(NotPermitted, match=said):
            check_permitted(
                person=person,
                act=Act.APPROVE_LIST,
                office=office,
                branch_of_person=branch(TREE, code="INDORE"),
            )

    def test_knows_the_roles_of_every_act(self):
        assert set(ROLES_OF_ACT) == set(Act)
        assert all(ROLES_OF_ACT.values())

    def test_lets_no_role_both_draw_up_and_approve(self):
        assert not ROLES_OF_ACT[Act.DRAW_UP_LIST] & ROLES_OF_ACT[Act.APPROVE_LIST]

    @pytest.mark.parametrize("act", [Act.READ_METER, Act.SEND_SQUAD, Act.PROPOSE_CUT, Act.SILENCE_SIREN])
    def test_lets_the_operator_act_on_an_alarm(self, act):
        check_permitted(person=make_person(roles={Role.OPERATOR}), act=act, office=None, branch_of_person=())

    def test_lets_the_operator_propose_a_cut_and_not_authorise_one_for_theft(self):
        assert Role.OPERATOR in ROLES_OF_ACT[Act.PROPOSE_CUT]
        assert ROLES_OF_ACT[Act.AUTHORISE_THEFT_CUT] == {Role.THEFT_OFFICER}


class TestCheckView:
    def test_knows_the_roles_of_every_view(self):
        assert set(ROLES_OF_VIEW) == set(View)
        assert all(ROLES_OF_VIEW.values())

    def test_leaves_no_role_without_a_view(self):
        assert frozenset().union(*ROLES_OF_VIEW.values()) == set(Role)

    @pytest.mark.parametrize(
        ("role", "views"),
        [
            (Role.OPERATOR, {View.ALARMS, View.NETWORK, View.COMMANDS, View.LOSSES, View.CASES}),
            (Role.ENGINEER, set(View) - {View.PEOPLE}),
            (Role.FITTER, {View.ROLLOUT, View.CASES}),
            (Role.ADMIN, {View.PEOPLE, View.AUDIT, View.ROLLOUT}),
        ],
    )
    def test_shows_each_role_its_own(self, role, views):
        assert {view for view in View if role in ROLES_OF_VIEW[view]} == views

    def test_accepts_one_fitting_role_of_several(self):
        check_view(person=make_person(roles={Role.FITTER, Role.CLERK}), view=View.LISTS)

    @pytest.mark.parametrize(
        ("person", "said"),
        [
            (make_person(roles={Role.OPERATOR}), "may not see lists; it needs the role approver or clerk"),
            (make_person(roles={Role.CLERK}, active=False), "no longer active"),
            (make_person(roles=set()), "may not see lists"),
        ],
    )
    def test_refuses_others(self, person, said):
        with pytest.raises(NotPermitted, match=said):
            check_view(person=person, view=View.LISTS)


class TestSignInKey:
    def test_is_the_name_as_it_is_stored(self):
        assert sign_in_key(" Asha ") == "asha"
        assert sign_in_key("x" * 64) == "x" * 64

    @pytest.mark.parametrize("name", ["x" * 65, "ß" * 64, "a\0b", "a\udc80"])
    def test_refuses_what_none_can_have(self, name):
        with pytest.raises(InvalidValue, match="sign-in name"):
            sign_in_key(name)


class TestCheckPassword:
    @pytest.mark.parametrize(
        "password",
        [
            "0123456789",
            "मीटर चालू है अब",
            "asha asha asha",
            "ab" * (PASSWORD_LENGTH_MAX // 2),
            "x" * (PASSWORD_LENGTH_MIN - 1) + "y",
        ],
    )
    def test_accepts_what_is_long_enough(self, password):
        check_password(sign_in="asha", password=password)

    @pytest.mark.parametrize(
        ("password", "said"),
        [
            ("", "too short"),
            ("012345678", "too short"),
            ("ab" * (PASSWORD_LENGTH_MAX // 2) + "c", "too long"),
            ("x" * 1_000_000, "too long"),
            ("\ufdfa" * 100, "too long"),  # one sign that stands for eighteen
            ("Radhakrishnan", "sign-in name"),
            (" radhakrishnan ", "sign-in name"),
            ("aaaaaaaaaaaa", "over and over"),
            ("aAaAaAaAaAaA", "over and over"),
            (" " * 12, "over and over"),
            ("0123456789\0", "no keyboard"),
            ("0123456789\udc80", "no keyboard"),
        ],
    )
    def test_refuses_what_is_weak(self, password, said):
        with pytest.raises(WeakPassword, match=said):
            check_password(sign_in="radhakrishnan", password=password)


class TestLockedUntil:
    @pytest.mark.parametrize(
        ("failures", "minutes"), [(5, 1), (6, 2), (7, 4), (10, 32), (11, 60), (12, 60), (10_000, 60)]
    )
    def test_counts_from_the_last_failure(self, failures, minutes):
        failed_at = [AT - timedelta(seconds=number) for number in range(failures)]

        assert locked_until(failed_at) == AT + timedelta(minutes=minutes)

    @pytest.mark.parametrize("failures", [0, 1, 4])
    def test_is_not_there_for_few(self, failures):
        assert locked_until([AT] * failures) is None


class TestThrottledUntil:
    def test_is_when_the_oldest_that_counts_leaves_the_window(self):
        failed_at = [AT + timedelta(seconds=number) for number in range(ADDRESS_FAILURES_MAX)]

        assert throttled_until(failed_at) == AT + ADDRESS_WINDOW
        assert throttled_until(failed_at[1:]) is None


class TestAddressKey:
    @pytest.mark.parametrize(
        ("address", "key"),
        [
            ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("testclient", "testclient"),
            ("", ""),
            ("a\0b\udc80c", "abc"),
            ("x" * 5_000, "x" * 64),
        ],
    )
    def test_can_always_be_stored(self, address, key):
        assert address_key(address) == key


class TestTokenHash:
    def test_takes_any_text(self):
        assert len({token_hash(token) for token in ("", "a", "a\0b", "\udc80")}) == 4


class TestCheckOtherPerson:
    def test_accepts_two_persons(self):
        check_other_person(proposer="asha", approver="ravi")

    @pytest.mark.parametrize("approver", ["asha", "Asha", " ASHA "])
    def test_refuses_the_proposer_however_written(self, approver):
        with pytest.raises(SamePerson):
            check_other_person(proposer="asha", approver=approver)


class TestCanonicalJson:
    @given(
        st.dictionaries(st.text(), st.one_of(st.integers(), st.booleans(), st.none(), st.text()), max_size=6)
    )
    def test_does_not_depend_on_the_order(self, detail):
        assert canonical_json(detail) == canonical_json(dict(reversed(detail.items())))

    def test_writes_times_in_utc(self):
        at = datetime.fromisoformat("2026-04-01T00:00:00+05:30")

        assert canonical_json(
            {"at": at, "on": date(2026, 4, 1), "of": ("b", "a"), "roles": frozenset({"b", "a"})}
        ) == ('{"at":"2026-03-31T18:30:00+00:00","of":["b","a"],"on":"2026-04-01","roles":["a","b"]}')

    @pytest.mark.parametrize("value", [object(), float("nan"), b"octets"])
    def test_refuses_what_is_no_json(self, value):
        with pytest.raises(UnrecordableDetail):
            canonical_json({"value": value})


class TestVerifyChain:
    def test_finds_a_whole_chain_whole(self):
        assert verify_chain(make_chain(5)) is None
        assert verify_chain(()) is None

    @pytest.mark.parametrize("place", range(5))
    @pytest.mark.parametrize(
        "change", [{"person": "ravi"}, {"detail": '{"x":1}'}, {"act": "resume"}, {"subject": "list 9"}]
    )
    def test_finds_a_changed_entry(self, place, change):
        chain = list(make_chain(5))
        chain[place] = replace(chain[place], **change)

        assert verify_chain(chain) == place + 1

    def test_finds_a_removed_entry(self):
        chain = make_chain(5)

        assert verify_chain(chain[:2] + chain[3:]) == 3

    def test_finds_a_changed_entry_that_was_hashed_again(self):
        chain = list(make_chain(3))
        forged = replace(chain[1], person="ravi")
        again = hash_of_entry(
            number=2,
            at=AT,
            person="ravi",
            act="halt",
            subject="list 2",
            detail="{}",
            previous_hash=chain[0].entry_hash,
        )
        chain[1] = replace(forged, entry_hash=again)

        assert verify_chain(chain) == 3
