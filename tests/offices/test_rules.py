from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.base.words import Words
from bijlighar.offices.errors import BrokenTree, NotPermitted, SamePerson, UnreadableFile, UnrecordableDetail
from bijlighar.offices.model import ROLES_OF_ACT, Act, AuditEntry, Office, OfficeLevel, Person, Role
from bijlighar.offices.rules import (
    NO_HASH,
    branch,
    canonical_json,
    check_other_person,
    check_permitted,
    check_tree,
    hash_of_entry,
    parse_offices,
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
