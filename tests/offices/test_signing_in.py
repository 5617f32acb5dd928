from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from argon2 import Parameters
from argon2.low_level import Type
from argon2.profiles import CHEAPEST
from sqlalchemy import text as sql

from bijlighar.base.errors import InvalidValue
from bijlighar.offices import operations, queries, rules, signing_in, store
from bijlighar.offices.errors import (
    NotPermitted,
    SignInBusy,
    SignInLocked,
    UnknownPerson,
    WeakPassword,
    WrongPassword,
)
from bijlighar.offices.model import NewSession, Role
from bijlighar.offices.passwords import PARAMETERS, Passwords
from bijlighar.storage.engine import Database

NOW = datetime(2026, 4, 1, 6, tzinfo=UTC)
WALL = datetime(2026, 7, 1, 3, 30, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
RIGHT = "मीटर 4711 चालू"
HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"
CHEAP = Passwords(CHEAPEST)
#: as cheap, and yet others
OTHER = Parameters(
    type=Type.ID, version=19, salt_len=16, hash_len=16, time_cost=2, memory_cost=16, parallelism=1
)
OFFICES = "code,level,parent\nWEST,company,\nMHOW,division,WEST\n"
BAD = pytest.mark.parametrize("bad", ["x" * 5_000, "asha\0", "a\udc80b"], ids=["long", "zero", "half"])


@pytest.fixture
def staffed(database: Database) -> Database:
    """A company where asha has a password, ravi none, and boss looks after both."""
    with database.write() as connection:
        operations.import_offices(connection, text=OFFICES)
        for name, role in (("asha", Role.CLERK), ("ravi", Role.OPERATOR), ("boss", Role.ADMIN)):
            operations.add_person(connection, sign_in=name, name="", office="MHOW", roles=[role], now=NOW)
    set_password(database, RIGHT)
    return database


def set_password(database: Database, password: str, *, sign_in: str = "asha") -> None:
    with database.write() as connection:
        operations.set_password(
            connection, sign_in=sign_in, password=password, now=NOW, by="boss", passwords=CHEAP
        )


def enter(
    database: Database,
    password: str = RIGHT,
    *,
    sign_in: str = "asha",
    address: str = HOME,
    wall: datetime = WALL,
    passwords: Passwords = CHEAP,
) -> NewSession:
    return operations.sign_in(
        database, sign_in=sign_in, password=password, address=address, wall=wall, passwords=passwords
    )


def fail(database: Database, times: int, **given: object) -> None:
    for _ in range(times):
        with pytest.raises(WrongPassword):
            enter(database, "wrong password", **given)


def is_signed_in(database: Database, token: str, wall: datetime = WALL) -> bool:
    with database.read() as connection:
        return queries.session(connection, token=token, wall=wall) is not None


def rows(database: Database, table: str) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(sql(f"SELECT * FROM {table}"))]  # noqa: S608


class CountingPasswords(Passwords):
    """Remembers which hashes were checked, and whether anybody could write meanwhile."""

    def __init__(self, database: Database) -> None:
        super().__init__(CHEAPEST)
        self.database = database
        self.checked: list[str | None] = []

    def is_right(self, password: str, *, known: str | None) -> bool:
        with self.database.write() as connection:
            store.forgive_failures(connection, name="nobody here")
        self.checked.append(known)
        return super().is_right(password, known=known)


class TestSetPassword:
    def test_lets_the_person_sign_in_and_records_it_without_the_password(self, staffed):
        set_password(staffed, "a second password")

        assert enter(staffed, "a second password").session.person.sign_in == "asha"
        fail(staffed, 1)
        with staffed.read() as connection:
            entry = queries.audit(connection, limit=1)[0]
            assert (entry.person, entry.subject, entry.detail) == ("boss", "asha", '{"password":"set"}')
            assert queries.check_audit(connection).broken_at is None

    def test_ends_the_sessions_of_the_person_alone(self, staffed):
        set_password(staffed, RIGHT, sign_in="ravi")
        mine, other = enter(staffed).token, enter(staffed, sign_in="ravi").token

        set_password(staffed, RIGHT)

        assert (is_signed_in(staffed, mine), is_signed_in(staffed, other)) == (False, True)

    def test_ends_the_lock_on_the_name(self, staffed):
        fail(staffed, rules.FAILURES_BEFORE_LOCK)

        set_password(staffed, "a second password")

        assert enter(staffed, "a second password").token

    @pytest.mark.parametrize("weak", ["", "123456789", "x" * 201, "aaaaaaaaaaaa", "zero\0zero\0zero"])
    def test_refuses_a_weak_password_and_leaves_the_old_one(self, staffed, weak):
        with pytest.raises(WeakPassword):
            set_password(staffed, weak)

        assert enter(staffed).token

    def test_refuses_the_sign_in_name(self, staffed):
        with staffed.write() as connection:
            operations.add_person(
                connection, sign_in="radhakrishnan", name="", office="MHOW", roles=[Role.CLERK], now=NOW
            )

        with pytest.raises(WeakPassword, match="sign-in name"):
            set_password(staffed, "RadhaKrishnan", sign_in="radhakrishnan")

    def test_refuses_an_unknown_person(self, staffed):
        with pytest.raises(UnknownPerson):
            set_password(staffed, RIGHT, sign_in="nobody")

    @BAD
    def test_refuses_a_name_that_none_can_have(self, staffed, bad):
        with pytest.raises(InvalidValue):
            set_password(staffed, RIGHT, sign_in=bad)


class TestHasPassword:
    def test_tells_who_can_sign_in(self, staffed):
        with staffed.read() as connection:
            assert queries.has_password(connection, sign_in="Asha")
            assert not queries.has_password(connection, sign_in="ravi")
            assert not queries.has_password(connection, sign_in="nobody")

    @BAD
    def test_refuses_a_name_that_none_can_have(self, staffed, bad):
        with staffed.read() as connection, pytest.raises(InvalidValue):
            queries.has_password(connection, sign_in=bad)


class TestSignIn:
    def test_begins_a_session_of_twelve_hours(self, staffed):
        opened = enter(staffed, sign_in=" ASHA ")

        with staffed.read() as connection:
            found = queries.session(connection, token=opened.token, wall=WALL)
        assert found == opened.session
        assert (found.person.sign_in, found.started_at, found.seen_at) == ("asha", WALL, WALL)
        assert found.expires_at == WALL + timedelta(hours=12)

    def test_takes_the_letters_of_another_keyboard(self, staffed):
        set_password(staffed, "\u0915\u093c\u0932\u092e " * 4)

        assert enter(staffed, "\u0958\u0932\u092e " * 4).token

    def test_stores_neither_password_nor_token(self, staffed):
        opened = enter(staffed)

        stored = repr([rows(staffed, name) for name in ("offices_credential", "offices_session")])
        assert opened.token not in stored
        assert opened.token not in repr(opened)
        assert RIGHT not in stored
        assert rules.token_hash(opened.token) in stored
        assert "$argon2id$" in stored

    @pytest.mark.parametrize(
        ("name", "password"), [("asha", "wrong password"), ("ravi", RIGHT), ("nobody", RIGHT), ("", "")]
    )
    def test_says_the_same_of_a_wrong_password_none_and_an_unknown_name(self, staffed, name, password):
        with pytest.raises(WrongPassword) as caught:
            enter(staffed, password, sign_in=name)

        assert str(caught.value) == signing_in.WRONG
        assert rows(staffed, "offices_session") == []

    @pytest.mark.parametrize("name", ["asha", "ravi", "nobody"])
    def test_takes_the_same_path_for_every_name(self, staffed, name):
        passwords = CountingPasswords(staffed)

        fail(staffed, rules.FAILURES_BEFORE_LOCK, sign_in=name, passwords=passwords)
        with pytest.raises(SignInLocked) as caught:
            enter(staffed, sign_in=name, passwords=passwords)

        assert caught.value.until == WALL + MINUTE
        assert len(passwords.checked) == rules.FAILURES_BEFORE_LOCK

    def test_refuses_who_is_no_longer_active_as_if_the_password_were_wrong(self, staffed):
        with staffed.write() as connection:
            operations.change_person(connection, sign_in="asha", active=False, now=NOW)

        with pytest.raises(WrongPassword) as caught:
            enter(staffed)

        assert str(caught.value) == signing_in.WRONG

    def test_refuses_a_password_that_was_changed_while_it_was_checked(self, staffed):
        class Slow(Passwords):
            def is_right(self, password: str, *, known: str | None) -> bool:
                set_password(staffed, "a second password")
                return super().is_right(password, known=known)

        with pytest.raises(WrongPassword):
            enter(staffed, passwords=Slow(CHEAPEST))

        assert rows(staffed, "offices_session") == []

    @BAD
    def test_refuses_what_no_name_and_no_password_can_be(self, staffed, bad):
        with pytest.raises(InvalidValue, match="sign-in name"):
            enter(staffed, sign_in=bad)
        with pytest.raises(InvalidValue, match="password"):
            enter(staffed, bad)

        assert rows(staffed, "offices_sign_in_failure") == []

    @pytest.mark.parametrize("name", ["asha'; DROP TABLE offices_person; --", "two words", "ß" * 64])
    def test_takes_odd_names_for_wrong_ones(self, staffed, name):
        with pytest.raises((WrongPassword, InvalidValue)):
            enter(staffed, sign_in=name)

        assert enter(staffed).token

    def test_hashes_anew_when_the_parameters_have_changed(self, staffed):
        before = rows(staffed, "offices_credential")
        enter(staffed)
        assert rows(staffed, "offices_credential") == before

        enter(staffed, passwords=Passwords(OTHER))

        ((_, hashed, *_),) = rows(staffed, "offices_credential")
        assert "t=2,m=16" in hashed or "m=16,t=2" in hashed
        assert enter(staffed, passwords=Passwords(OTHER)).token

    def test_keeps_the_old_hash_of_a_wrong_password(self, staffed):
        before = rows(staffed, "offices_credential")

        fail(staffed, 1, passwords=Passwords(OTHER))

        assert rows(staffed, "offices_credential") == before

    def test_sweeps_what_is_over(self, staffed):
        enter(staffed)
        fail(staffed, 2)

        enter(staffed, wall=WALL + rules.FAILURES_KEPT)

        assert len(rows(staffed, "offices_session")) == 1
        assert rows(staffed, "offices_sign_in_failure") == []

    def test_ends_the_oldest_session_of_too_many(self, staffed):
        first = enter(staffed, wall=WALL - MINUTE).token
        second = enter(staffed).token
        for _ in range(signing_in.SESSIONS_OF_PERSON_MAX - 1):
            enter(staffed, wall=WALL + MINUTE)

        assert (is_signed_in(staffed, first), is_signed_in(staffed, second)) == (False, True)
        assert len(rows(staffed, "offices_session")) == signing_in.SESSIONS_OF_PERSON_MAX


class TestLock:
    def test_comes_with_the_fifth_failure_and_ends_after_a_minute(self, staffed):
        fail(staffed, rules.FAILURES_BEFORE_LOCK)

        with pytest.raises(SignInLocked, match="try again in 1 minute,") as caught:
            enter(staffed, wall=WALL + MINUTE - INSTANT)

        assert caught.value.until == WALL + MINUTE
        assert enter(staffed, wall=WALL + MINUTE).token

    def test_does_not_come_with_the_fourth(self, staffed):
        fail(staffed, rules.FAILURES_BEFORE_LOCK - 1)

        assert enter(staffed).token

    def test_doubles_up_to_an_hour(self, staffed):
        fail(staffed, rules.FAILURES_BEFORE_LOCK - 1)
        wall, lengths = WALL, []
        for _ in range(8):
            fail(staffed, 1, wall=wall)
            with pytest.raises(SignInLocked) as caught:
                enter(staffed, wall=wall)
            lengths.append((caught.value.until - wall) // MINUTE)
            wall = caught.value.until

        assert lengths == [1, 2, 4, 8, 16, 32, 60, 60]

    def test_holds_from_every_address_and_for_this_name_alone(self, staffed):
        set_password(staffed, RIGHT, sign_in="ravi")
        fail(staffed, rules.FAILURES_BEFORE_LOCK)

        with pytest.raises(SignInLocked):
            enter(staffed, address=ELSEWHERE)
        assert enter(staffed, sign_in="ravi").token

    def test_is_not_prolonged_by_trying(self, staffed):
        fail(staffed, rules.FAILURES_BEFORE_LOCK)
        for _ in range(3):
            with pytest.raises(SignInLocked):
                enter(staffed, "wrong password")

        assert enter(staffed, wall=WALL + MINUTE).token

    def test_is_forgotten_after_signing_in(self, staffed):
        fail(staffed, rules.FAILURES_BEFORE_LOCK - 1)
        enter(staffed)

        fail(staffed, rules.FAILURES_BEFORE_LOCK - 1)

        assert enter(staffed).token

    def test_counts_failures_at_the_same_time(self, staffed):
        fail(staffed, rules.FAILURES_BEFORE_LOCK - 2)

        with ThreadPoolExecutor(2) as pool:
            attempts = [pool.submit(enter, staffed, "wrong password") for _ in range(2)]
            assert [type(attempt.exception()) for attempt in attempts] == [WrongPassword] * 2

        with pytest.raises(SignInLocked):
            enter(staffed)

    def test_lets_a_flood_guess_no_more_often_than_one_after_the_other(self, staffed):
        passwords = CountingPasswords(staffed)

        with ThreadPoolExecutor(8) as pool:
            attempts = [pool.submit(enter, staffed, "wrong password", passwords=passwords) for _ in range(24)]
            assert {type(attempt.exception()) for attempt in attempts} == {WrongPassword, SignInLocked}

        # On PostgreSQL two may look at the failures at the same moment: as many too many as have a place.
        assert len(passwords.checked) in (rules.FAILURES_BEFORE_LOCK, rules.FAILURES_BEFORE_LOCK + 1)


class TestThrottle:
    @pytest.fixture
    def tired(self, staffed) -> Iterator[Database]:
        """An address from which thirty names have failed."""
        for number in range(rules.ADDRESS_FAILURES_MAX):
            fail(staffed, 1, sign_in=f"name{number}", wall=WALL + timedelta(seconds=number))
        return staffed

    def test_holds_an_address_until_the_oldest_failure_is_ten_minutes_old(self, tired):
        later = WALL + MINUTE

        with pytest.raises(SignInLocked, match="from this address") as caught:
            enter(tired, wall=later)

        assert caught.value.until == WALL + rules.ADDRESS_WINDOW
        with pytest.raises(SignInLocked):
            enter(tired, wall=caught.value.until - INSTANT)
        assert enter(tired, wall=caught.value.until).token

    def test_lets_in_from_other_addresses(self, tired):
        assert enter(tired, address=ELSEWHERE).token

    def test_is_not_lifted_by_signing_in_with_a_name_of_ones_own(self, staffed):
        for number in range(rules.ADDRESS_FAILURES_MAX - 3):
            fail(staffed, 1, sign_in=f"name{number}")
        fail(staffed, 2)
        enter(staffed)
        fail(staffed, 1)

        with pytest.raises(SignInLocked, match="from this address"):
            enter(staffed)

    def test_does_not_come_one_failure_earlier(self, staffed):
        for number in range(rules.ADDRESS_FAILURES_MAX - 1):
            fail(staffed, 1, sign_in=f"name{number}")

        assert enter(staffed).token

    def test_takes_the_addresses_of_one_ipv6_network_together(self, staffed):
        for number in range(rules.ADDRESS_FAILURES_MAX):
            fail(staffed, 1, sign_in=f"name{number}", address=f"2001:db8::{number}")

        with pytest.raises(SignInLocked, match="from this address"):
            enter(staffed, address="2001:db8::ffff")


class TestOpenSession:
    def test_begins_a_session_without_a_password(self, staffed):
        with staffed.write() as connection:
            token = operations.open_session(connection, sign_in="ravi", wall=WALL).token

        assert is_signed_in(staffed, token)

    def test_refuses_who_is_unknown_or_no_longer_active(self, staffed):
        with staffed.write() as connection:
            operations.change_person(connection, sign_in="ravi", active=False, now=NOW)
            with pytest.raises(NotPermitted):
                operations.open_session(connection, sign_in="ravi", wall=WALL)
            with pytest.raises(UnknownPerson):
                operations.open_session(connection, sign_in="nobody", wall=WALL)


class TestEndSession:
    def test_ends_this_session_alone_and_repeats_without_change(self, staffed):
        first, second = enter(staffed).token, enter(staffed).token

        for _ in range(2):
            with staffed.write() as connection:
                operations.end_session(connection, token=first)

        assert (is_signed_in(staffed, first), is_signed_in(staffed, second)) == (False, True)

    def test_ends_all_of_a_person(self, staffed):
        tokens = [enter(staffed).token for _ in range(3)]

        with staffed.write() as connection:
            operations.end_sessions_of(connection, sign_in="Asha")

        assert not any(is_signed_in(staffed, token) for token in tokens)


class TestSession:
    def test_ends_two_hours_after_it_was_last_seen(self, staffed):
        token = enter(staffed).token

        assert is_signed_in(staffed, token, WALL + 2 * HOUR - INSTANT)
        assert not is_signed_in(staffed, token, WALL + 2 * HOUR)

    def test_ends_after_a_shift_however_often_it_is_seen(self, staffed):
        token = enter(staffed).token
        for hours in range(1, 12):
            with staffed.write() as connection:
                operations.mark_seen(connection, token=token, wall=WALL + hours * HOUR)

        assert is_signed_in(staffed, token, WALL + 12 * HOUR - INSTANT)
        assert not is_signed_in(staffed, token, WALL + 12 * HOUR)

    def test_is_marked_as_seen_once_a_minute(self, staffed):
        token = enter(staffed).token
        seen = []
        for later in (MINUTE - INSTANT, MINUTE, 2 * MINUTE - INSTANT, 2 * MINUTE):
            with staffed.write() as connection:
                operations.mark_seen(connection, token=token, wall=WALL + later)
                seen.append(queries.session(connection, token=token, wall=WALL + later).seen_at - WALL)

        assert seen == [timedelta(0), MINUTE, MINUTE, 2 * MINUTE]

    def test_that_is_over_is_not_marked_as_seen(self, staffed):
        token = enter(staffed).token
        with staffed.write() as connection:
            operations.mark_seen(connection, token=token, wall=WALL + 2 * HOUR)

        assert not is_signed_in(staffed, token, WALL + 2 * HOUR)

    def test_shows_the_person_as_they_stand_now(self, staffed):
        token = enter(staffed).token
        with staffed.write() as connection:
            operations.change_person(
                connection, sign_in="asha", roles=[Role.APPROVER], office="WEST", now=NOW
            )

        with staffed.read() as connection:
            person = queries.session(connection, token=token, wall=WALL).person
        assert (person.roles, person.office) == (frozenset({Role.APPROVER}), "WEST")

    def test_of_who_is_no_longer_active_is_over_for_good(self, staffed):
        token = enter(staffed).token
        for active in (False, True):
            with staffed.write() as connection:
                operations.change_person(connection, sign_in="asha", active=active, now=NOW)
            assert not is_signed_in(staffed, token)

    def test_of_a_person_whom_another_hand_made_inactive_is_over_too(self, staffed):
        token = enter(staffed).token
        with staffed.write() as connection:
            connection.execute(sql("UPDATE offices_person SET active = false"))

        assert not is_signed_in(staffed, token)

    @pytest.mark.parametrize("token", ["", "x", "x" * 100_000, "a\0b", "a\udc80b", "' OR 1=1"])
    def test_is_not_opened_by_any_other_token(self, staffed, token):
        enter(staffed)

        assert not is_signed_in(staffed, token)


class TestPasswords:
    def test_has_parameters_that_are_dear(self):
        assert (PARAMETERS.type, PARAMETERS.memory_cost, PARAMETERS.time_cost) == (Type.ID, 65_536, 3)

    def test_checks_no_password_with_the_costs_of_its_parameters(self):
        passwords = Passwords(OTHER)

        assert not passwords.is_right("", known=None)
        assert not passwords.is_outdated(passwords._nobodys)
        assert Passwords(CHEAPEST).is_outdated(passwords._nobodys)

    def test_refuses_whoever_finds_no_place_in_time(self, staffed):
        passwords = Passwords(CHEAPEST, checks_at_once=1, patience_s=0.01)

        with passwords.place(), pytest.raises(SignInBusy):
            enter(staffed, passwords=passwords)

        assert rows(staffed, "offices_sign_in_failure") == []
        assert enter(staffed, passwords=passwords).token

    def test_gives_its_place_back_after_a_failure(self, staffed):
        fail(staffed, 3, passwords=Passwords(CHEAPEST, checks_at_once=1, patience_s=0.01))
