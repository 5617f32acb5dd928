"""A consumer signs in by a code to the telephone in the records; whoever asks learns nothing about an account."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from bijlighar.notices import queries as notices
from bijlighar.notices.model import Accepted, Outgoing, Purpose, SendResult, TryLater
from bijlighar.registry import operations as registry
from bijlighar.registry.errors import UnknownAccount
from bijlighar.runtime import portal_access, portal_store
from bijlighar.runtime.line import Line
from bijlighar.runtime.portal_access import (
    ASKS_PER_ACCOUNT,
    ASKS_PER_ADDRESS,
    CODE_VALID,
    SESSION_VALID,
    TRIES_PER_ADDRESS,
    TooManyCodes,
    WrongCode,
)
from bijlighar.runtime.portal_store import SESSIONS_PER_ACCOUNT, TRIES_MAX
from bijlighar.storage import jobs
from tests.arrears.world import HEADER, World

NOW = datetime(2025, 7, 18, 6, 0, tzinfo=UTC)
WALL = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class FakeMessages:
    """Takes messages; `codes` are those that would stand on telephones."""

    def __init__(self) -> None:
        self.given: list[Outgoing] = []
        self.busy = 0

    def send(self, *, outgoing: Outgoing) -> SendResult:
        if self.busy:
            self.busy -= 1
            return TryLater(reason="503")
        self.given.append(outgoing)
        return Accepted(provider_id=f"wamid.{len(self.given)}")

    def close(self) -> None:
        return

    @property
    def codes(self) -> list[str]:
        return [outgoing.parameters[0][1] for outgoing in self.given]


@pytest.fixture
def messages(line: Line) -> FakeMessages:
    fake = FakeMessages()
    line.message_gateway = fake
    return fake


@pytest.fixture
def town(line: Line, messages: FakeMessages) -> World:
    """N1 and N2 have telephones; the accounts X… are nobody's."""
    return World(database=line.database).start(("N1", "N2"))


def ask(line: Line, account: str = "N1", *, address: str = "10.0.0.1", wall: datetime = WALL) -> None:
    portal_access.ask_code(line, account=account, address=address, now=NOW, wall=wall)


def send(line: Line, *, wall: datetime = WALL) -> int:
    return portal_access.send_codes(line, now=NOW, wall=wall)


def code_of(line: Line, messages: FakeMessages, account: str = "N1", *, wall: datetime = WALL) -> str:
    ask(line, account, wall=wall)
    send(line, wall=wall)
    return messages.codes[-1]


def enter(
    line: Line, code: str, account: str = "N1", *, address: str = "10.0.0.1", wall: datetime = WALL
) -> str:
    return portal_access.enter_code(line, account=account, code=code, address=address, wall=wall)


def whose(line: Line, token: str, *, wall: datetime = WALL) -> str | None:
    return portal_access.portal_account(line, token=token, wall=wall)


def other(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


@pytest.mark.usefixtures("town")
class TestAskCode:
    def test_sends_six_digits_to_the_telephone_in_the_records(self, line: Line, messages: FakeMessages):
        ask(line)

        assert send(line) == 1
        (outgoing,) = messages.given
        assert (outgoing.phone, outgoing.one_time_code) == ("919826000000", True)
        assert re.fullmatch(r"\d{6}", messages.codes[0])

    def test_says_and_writes_the_same_of_an_account_that_is_nobodys(self, line: Line, messages: FakeMessages):
        ask(line, "N1")
        ask(line, "X1")

        with line.database.read() as connection:
            assert jobs.pending(connection, kinds=(portal_access.SEND_CODE,), now=NOW) == 2
        assert send(line) == 2
        assert len(messages.given) == 1

    def test_knows_an_account_with_its_blanks_and_in_small_letters(self, line: Line, messages: FakeMessages):
        ask(line, " n 1 ")
        send(line)

        assert enter(line, messages.codes[0], "N1")

    def test_serves_an_account_three_times_in_a_quarter_of_an_hour(self, line: Line):
        most, within = ASKS_PER_ACCOUNT[0]
        for account in ("N1", "X1"):
            for place in range(most):
                ask(line, account, address=f"10.0.0.{place}")
            with pytest.raises(TooManyCodes):
                ask(line, account, address="10.0.0.99")
            with pytest.raises(TooManyCodes):
                ask(line, account.lower(), address="10.0.0.98")

        ask(line, "N1", wall=WALL + within)

    def test_serves_an_account_ten_times_a_day(self, line: Line):
        most, _ = ASKS_PER_ACCOUNT[1]
        for place in range(most):
            ask(line, wall=WALL + place * 20 * MINUTE)

        with pytest.raises(TooManyCodes):
            ask(line, wall=WALL + most * 20 * MINUTE)

    def test_serves_an_address_twenty_times_an_hour(self, line: Line):
        ((most, within),) = ASKS_PER_ADDRESS
        for place in range(most):
            ask(line, f"X{place}", address=f"2001:db8::{place + 1:x}")

        with pytest.raises(TooManyCodes):
            ask(line, "N1", address="2001:db8::ffff")
        ask(line, "N1", address="2001:db8:0:1::1")
        ask(line, "N1", address="2001:db8::ffff", wall=WALL + within)

    def test_forgets_what_is_over(self, line: Line, messages: FakeMessages):
        code_of(line, messages)
        portal_access.open_portal(line, account="N1", wall=WALL)

        ask(line, "X1", wall=WALL + 2 * SESSION_VALID)

        tables = (portal_store._ask, portal_store._code, portal_store._session)
        with line.database.read() as connection:
            assert [len(connection.execute(select(table)).all()) for table in tables] == [2, 0, 0]


@pytest.mark.usefixtures("town")
class TestSendCodes:
    def test_keeps_no_code(self, line: Line, messages: FakeMessages):
        code = code_of(line, messages)

        with line.database.read() as connection:
            (message,) = notices.messages(connection, purpose=Purpose.SIGN_IN_CODE)
            assert code not in repr(message)
            (row,) = connection.execute(select(portal_store._code)).all()
            assert code not in repr(row)

    def test_tries_again_with_a_new_code(self, line: Line, messages: FakeMessages):
        messages.busy = 2
        ask(line)

        assert [send(line), send(line), send(line), send(line)] == [0, 0, 1, 0]
        assert len(messages.codes) == 1
        assert enter(line, messages.codes[0])

    def test_sends_nothing_that_came_too_late(self, line: Line, messages: FakeMessages):
        ask(line)

        assert send(line, wall=WALL + CODE_VALID) == 1
        assert messages.given == []

    def test_waits_where_no_provider_is_set(self, line: Line):
        line.message_gateway = None
        ask(line)

        assert not portal_access.can_send_codes(line)
        assert send(line) == 0


@pytest.mark.usefixtures("town")
class TestEnterCode:
    def test_opens_a_session_of_the_account(self, line: Line, messages: FakeMessages):
        token = enter(line, code_of(line, messages))

        assert whose(line, token) == "N1"

    def test_takes_a_code_once(self, line: Line, messages: FakeMessages):
        code = code_of(line, messages)
        enter(line, code)

        with pytest.raises(WrongCode):
            enter(line, code)

    def test_takes_the_newest_code_alone(self, line: Line, messages: FakeMessages):
        first = code_of(line, messages)
        second = code_of(line, messages)

        if first != second:
            with pytest.raises(WrongCode):
                enter(line, first)
        assert enter(line, f" {second[:3]} {second[3:]} ")

    def test_takes_a_code_for_ten_minutes(self, line: Line, messages: FakeMessages):
        code = code_of(line, messages)

        with pytest.raises(WrongCode):
            enter(line, code, wall=WALL + CODE_VALID)
        assert enter(line, code, wall=WALL + CODE_VALID - timedelta(seconds=1))

    def test_is_patient_five_times(self, line: Line, messages: FakeMessages):
        code = code_of(line, messages)
        for _ in range(TRIES_MAX - 1):
            with pytest.raises(WrongCode):
                enter(line, other(code))
        assert enter(line, code)

        code = code_of(line, messages)
        for _ in range(TRIES_MAX):
            with pytest.raises(WrongCode):
                enter(line, other(code))
        with pytest.raises(WrongCode):
            enter(line, code)

    def test_refuses_another_accounts_code(self, line: Line, messages: FakeMessages):
        code = code_of(line, messages, "N1")
        code_of(line, messages, "N2")

        if code != messages.codes[-1]:
            with pytest.raises(WrongCode):
                enter(line, code, "N2")

    @pytest.mark.parametrize("code", ["", "0", "abcdef", "१२३४५६", "9" * 500])
    def test_says_the_same_of_every_fault(self, line: Line, messages: FakeMessages, code: str):
        code_of(line, messages)
        told = set()
        for account in ("N1", "N2", "X1", "", "N1\x00", "é" * 500):
            with pytest.raises(WrongCode) as problem:
                enter(line, code, account)
            told.add(str(problem.value))

        assert len(told) == 1

    def test_lets_an_address_try_only_so_often(self, line: Line):
        ((most, _),) = TRIES_PER_ADDRESS
        for _ in range(most):
            with pytest.raises(WrongCode):
                enter(line, "1", "X1")

        with pytest.raises(TooManyCodes):
            enter(line, "1", "X1")


@pytest.mark.usefixtures("town")
class TestSession:
    def test_lasts_thirty_days(self, line: Line):
        token = portal_access.open_portal(line, account="N2", wall=WALL)

        assert whose(line, token, wall=WALL + SESSION_VALID - timedelta(seconds=1)) == "N2"
        assert whose(line, token, wall=WALL + SESSION_VALID) is None

    def test_ends_when_it_is_closed(self, line: Line):
        token = portal_access.open_portal(line, account="N2", wall=WALL)
        portal_access.close_portal(line, token=token)
        portal_access.close_portal(line, token=token)

        assert whose(line, token) is None

    def test_is_known_by_its_token_alone(self, line: Line):
        portal_access.open_portal(line, account="N2", wall=WALL)
        with line.database.read() as connection:
            (row,) = connection.execute(select(portal_store._session)).all()

        assert whose(line, row.token) is None
        assert whose(line, "") is None

    def test_ends_when_the_account_gets_another_telephone(self, line: Line):
        token = portal_access.open_portal(line, account="N2", wall=WALL)
        row = "N2,Name N2,LV-1.2,urban,2000,UP-N2,M-N2,single-phase,,T-1,F-1,R,MHOW,9826099999"
        with line.database.write() as connection:
            registry.import_registry(connection, text=f"{HEADER}\n{row}\n", now=NOW)

        assert whose(line, token) is None

    def test_is_one_of_a_limited_number(self, line: Line):
        tokens = [
            portal_access.open_portal(line, account="N2", wall=WALL + place * MINUTE)
            for place in range(SESSIONS_PER_ACCOUNT + 2)
        ]

        assert [whose(line, token) is None for token in tokens[:3]] == [True, True, False]

    def test_is_opened_for_nobody_unknown(self, line: Line):
        with pytest.raises(UnknownAccount):
            portal_access.open_portal(line, account="X1", wall=WALL)
