"""Who is signed in is decided anew with each request: strangers, sessions that are over, other roles, consumers."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from bijlighar.offices import operations as offices
from bijlighar.offices import rules
from bijlighar.offices.model import Role
from bijlighar.registry import operations as registry
from bijlighar.runtime import portal_access
from bijlighar.runtime.clock import wall
from bijlighar.runtime.schema import catalogue
from bijlighar.storage.engine import Database
from tests.billing import town as billing_town
from tests.web.doors import Door, Knocker, leads_to_sign_in
from tests.web.house import (
    ALL_OF_OWN,
    COMPANY,
    IN_HAND,
    LISTED,
    OTHER_BILLED,
    OWN_BILLED,
    House,
    Watch,
)

NOBODY = "KX719999"
#: How far two answers may differ in size that must tell nothing apart.
OCTETS_APART_MAX = 8


def set_session(database: Database, **values: object) -> None:
    """Change every stored session of a person."""
    table = catalogue().tables["offices_session"]
    with database.write() as connection:
        connection.execute(update(table).values(**values))


def deactivate(house: House, who: str) -> None:
    table = catalogue().tables["offices_person"]
    with house.line.database.write() as connection:
        connection.execute(update(table).where(table.c.sign_in == who).values(active=False))


def end(house: House, who: str) -> None:
    with house.line.database.write() as connection:
        offices.end_sessions_of(connection, sign_in=who)


def expire(house: House, _who: str) -> None:
    set_session(house.line.database, expires_at=wall() - timedelta(seconds=1))


def leave_alone(house: House, _who: str) -> None:
    set_session(house.line.database, seen_at=wall() - rules.SESSION_UNSEEN_MAX)


class TestStranger:
    @pytest.mark.parametrize("session", ["", "x", "0" * 64, "a.b.c"])
    def test_is_sent_to_sign_in_from_every_door(
        self, knocker: Knocker, every_door: list[Door], watch: Watch, session: str
    ):
        for door in every_door:
            if door.kind == "public":
                continue
            answer = knocker.knock(door, session=session, account=session)
            assert answer.status_code == 303, str(door)
            assert leads_to_sign_in(answer.headers["location"]), str(door)
            assert answer.content == b"", str(door)
        assert watch.changed() == []

    def test_is_told_so_where_htmx_asks(self, knocker: Knocker, every_door: list[Door], watch: Watch):
        for door in every_door:
            if door.kind in ("public", "account"):
                continue
            answer = knocker.knock(door, headers={"HX-Request": "true"})
            assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/sign-in"), str(door)
        assert watch.changed() == []


class TestSession:
    @pytest.mark.parametrize("happens", [end, expire, leave_alone, deactivate])
    def test_that_is_over_opens_nothing_at_once(
        self, knocker: Knocker, every_door: list[Door], happens: Callable[[House, str], None]
    ):
        house = knocker.house
        worker = house.worker(Role.ENGINEER)
        assert knocker.ask("GET", "/alarms", session=worker.token).status_code == 200
        happens(house, worker.sign_in)

        watch = Watch(house.line.database)
        for door in every_door:
            if door.kind in ("public", "account"):
                continue
            answer = knocker.knock(door, session=worker.token)
            assert answer.status_code == 303, str(door)
            assert leads_to_sign_in(answer.headers["location"]), str(door)
        assert watch.changed() == []
        watch.close()

    def test_has_the_roles_that_its_person_has_now(self, knocker: Knocker):
        worker = knocker.house.worker(Role.CLERK)
        table = catalogue().tables["offices_person"]
        assert knocker.ask("GET", "/lists", session=worker.token).status_code == 200
        assert knocker.ask("GET", "/alarms", session=worker.token).status_code == 403

        with knocker.house.line.database.write() as connection:
            connection.execute(
                update(table).where(table.c.sign_in == worker.sign_in).values(roles=[Role.OPERATOR.value])
            )

        assert knocker.ask("GET", "/lists", session=worker.token).status_code == 403
        assert knocker.ask("GET", "/alarms", session=worker.token).status_code == 200

    def test_ends_by_signing_out(self, knocker: Knocker):
        worker = knocker.house.worker(Role.CLERK)
        knocker.ask("POST", "/sign-out", session=worker.token)

        assert knocker.ask("GET", "/lists", session=worker.token).status_code == 303

    def test_is_not_kept_as_it_is_shown(self, knocker: Knocker):
        table = catalogue().tables["offices_session"]
        with knocker.house.line.database.read() as connection:
            stored = {row.token_hash for row in connection.execute(table.select())}
        assert stored.isdisjoint(worker.token for worker in knocker.house.workers)


class TestConsumer:
    def test_opens_no_door_of_the_house_and_the_house_none_of_theirs(
        self, knocker: Knocker, every_door: list[Door], watch: Watch
    ):
        consumer = knocker.house.consumers[LISTED]
        admin = knocker.house.worker(Role.ADMIN, COMPANY).token
        for door in every_door:
            if door.kind == "public":
                continue
            how = (
                {"session": admin, "account": admin}
                if door.kind == "account"
                else {"account": consumer, "session": consumer}
            )
            answer = knocker.knock(door, **how)
            assert (answer.status_code, leads_to_sign_in(answer.headers["location"])) == (303, True), str(
                door
            )
        assert watch.changed() == []

    @pytest.mark.parametrize("account", [IN_HAND, LISTED, OWN_BILLED, OTHER_BILLED])
    def test_reaches_the_own_account_alone(self, knocker: Knocker, every_door: list[Door], account: str):
        others = [each for each in (*ALL_OF_OWN, OTHER_BILLED) if each != account]
        for door in every_door:
            if door.kind != "account" or door.method != "GET":
                continue
            for query in ("", f"?account={others[0]}", f"?number={others[0]}"):
                address = door.address(knocker.house) + query
                answer = knocker.ask("GET", address, account=knocker.house.consumers[account])
                text = answer.text.replace(f"number={others[0]}", "")
                assert [other for other in others if other in text] == [], address

    def test_sees_the_own_bill_and_no_other(self, knocker: Knocker):
        house = knocker.house
        own, other = house.bill_of[OWN_BILLED], house.bill_of[OTHER_BILLED]
        session = house.consumers[OWN_BILLED]

        assert knocker.ask("GET", f"/me/bill.pdf?number={own}", account=session).content[:5] == b"%PDF-"
        theirs = knocker.ask("GET", f"/me/bill.pdf?number={other}", account=session)
        nobodys = knocker.ask("GET", "/me/bill.pdf?number=B2504-9999999-9", account=session)
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.text == nobodys.text

    def test_ends_with_another_telephone(self, knocker: Knocker):
        session = knocker.house.consumers[OWN_BILLED]
        assert knocker.ask("GET", "/me", account=session).status_code == 200
        row = billing_town.row(
            OWN_BILLED, f"M-{OWN_BILLED}", name=f"Name {OWN_BILLED}", transformer="T-1", feeder="F-1",
            office="MHOW", url="tcp://10.0.0.9:5000", phone="+919800000001",
        )  # fmt: skip
        with knocker.house.line.database.write() as connection:
            registry.import_registry(
                connection, text=f"{billing_town.HEADER}\n{row}\n", now=knocker.house.line.now()
            )

        assert knocker.ask("GET", "/me", account=session).status_code == 303

    def test_ends_by_signing_out(self, knocker: Knocker):
        session = knocker.house.consumers[OWN_BILLED]
        knocker.ask("POST", "/me/sign-out", account=session)

        assert knocker.ask("GET", "/me", account=session).status_code == 303

    def test_ends_in_time(self, knocker: Knocker):
        table = catalogue().tables["runtime_portal_session"]
        with knocker.house.line.database.write() as connection:
            connection.execute(update(table).values(expires_at=wall() - timedelta(seconds=1)))

        assert knocker.ask("GET", "/me", account=knocker.house.consumers[OWN_BILLED]).status_code == 303


class TestAccountNumber:
    """Whoever signs in with a number learns nothing of whether it is anybody's."""

    def test_is_asked_for_alike(self, knocker: Knocker):
        known, unknown = (
            knocker.ask("POST", "/me/sign-in", form={"account": number}) for number in (LISTED, NOBODY)
        )
        assert known.status_code == unknown.status_code == 303
        assert known.headers["location"] == unknown.headers["location"]
        assert known.content == unknown.content
        assert sorted(known.headers) == sorted(unknown.headers)

    def test_with_a_wrong_code_is_refused_alike(self, knocker: Knocker):
        line = knocker.house.line
        knocker.ask("POST", "/me/sign-in", form={"account": LISTED})
        portal_access.send_codes(line, now=line.now(), wall=wall())
        known, unknown = (
            knocker.ask("POST", "/me/code", form={"account": number, "code": "000000"})
            for number in (LISTED, NOBODY)
        )
        assert known.status_code == unknown.status_code == 403
        assert abs(len(known.content) - len(unknown.content)) <= OCTETS_APART_MAX
        assert known.text.replace(LISTED, "") == unknown.text.replace(NOBODY, "")

    def test_is_asked_for_too_often_alike(self, knocker: Knocker):
        told = {}
        for number in (LISTED, NOBODY):
            answers = [knocker.ask("POST", "/me/sign-in", form={"account": number}) for _ in range(4)]
            told[number] = ([each.status_code for each in answers], answers[-1].text)
        assert told[LISTED] == told[NOBODY]
        assert told[LISTED][0][-1] == 429
