"""Every door of the house, every role, every place: who comes in, who does not, and what they see of another town."""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import pytest
from sqlalchemy import text

from bijlighar.alarms import operations as alarms
from bijlighar.arrears import operations as arrears
from bijlighar.balance import operations as balance
from bijlighar.offices.model import ROLES_OF_ACT, Act, Role
from bijlighar.readings import operations as readings
from bijlighar.rollout import operations as rollout
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.storage.schema import metadata
from bijlighar.validation import operations as validation
from bijlighar.web.app import create_app
from tests.web.doors import IN_QUERIES, Door, Knocker, doors
from tests.web.house import (
    COMPANY,
    OTHER,
    OWN,
    PLACES,
    House,
    Watch,
    Worker,
    filled,
    sign_in_of,
    signs_of_own,
)

HOUSES_OWN = ("view", "act", "signed_in")
REFUSED = (403, 404)
#: Pages on which somebody of A is seen, so that looking for A's signs on them means something.
PAGES_WITH_SIGNS_MIN = 12


def _nothing(_house: House, _worker: Worker) -> None:
    """Most deeds need nothing before them."""


def _acknowledge(house: House, worker: Worker) -> None:
    """Only who has acknowledged may take it back."""
    who = worker.sign_in if OWN in worker.reach else sign_in_of(Role.OPERATOR, OWN)
    alarms.acknowledge(
        house.line.database, number=int(house.values["alarm"]), person=who, now=house.line.now()
    )


def _halt(house: House, _worker: Worker) -> None:
    """Only what is halted is resumed."""
    arrears.halt(
        house.line.database,
        person=sign_in_of(Role.CLERK, OWN),
        reason="Storm",
        now=house.line.now(),
        office=OWN,
    )


def _take(house: House, worker: Worker) -> None:
    """Only who has taken an exception settles it."""
    allowed = worker.role in ROLES_OF_ACT[Act.WORK_EXCEPTION] and OWN in worker.reach
    who = worker.sign_in if allowed else sign_in_of(Role.CLERK, OWN)
    with house.line.database.write() as connection:
        validation.take(
            connection, number=int(house.values["exception"]), revision=1, person=who, now=house.line.now()
        )


def _issue(house: House, _worker: Worker) -> Mapping[str, str]:
    """Only a check that a fitter has is reported."""
    with house.line.database.write() as connection:
        rollout.issue_check(
            connection,
            number=int(house.values["check"]),
            revision=1,
            fitter="Fitter",
            person=sign_in_of(Role.ENGINEER, OWN),
            now=house.line.now(),
        )
    return {"revision": "2"}


def _fail(house: House, worker: Worker) -> Mapping[str, str]:
    """Only a check that could not be done is planned again."""
    _issue(house, worker)
    with house.line.database.write() as connection:
        rollout.fail_check(
            connection,
            number=int(house.values["check"]),
            revision=2,
            reason="Locked",
            person=sign_in_of(Role.ENGINEER, OWN),
            now=house.line.now(),
        )
    return {"revision": "3"}


def _own_edit(house: House, worker: Worker) -> None:
    """Only who has proposed an edit withdraws it."""
    allowed = worker.role in ROLES_OF_ACT[Act.EDIT_READING] and OWN in worker.reach
    who = worker.sign_in if allowed else sign_in_of(Role.CLERK, OWN)
    with house.line.database.write() as connection:
        connection.execute(text("UPDATE validation_edit SET proposed_by = :who"), {"who": who})


def _ask_opening(house: House, worker: Worker) -> Mapping[str, str]:
    """Only what somebody has asked to be opened is decided, by another; only who has asked takes it back."""
    allowed = worker.role in ROLES_OF_ACT[Act.OPEN_MONTH] and OWN in worker.reach
    return _asked(house, worker.sign_in if allowed else sign_in_of(Role.CLERK, OWN))


def _others_asking(house: House, _worker: Worker) -> Mapping[str, str]:
    return _asked(house, sign_in_of(Role.CLERK, OWN))


def _asked(house: House, person: str) -> Mapping[str, str]:
    with house.line.database.write() as connection:
        readings.ask_opening(
            connection,
            number=int(house.values["seal"]),
            revision=1,
            note="a bill is wrong",
            person=person,
            now=house.line.now(),
        )
    return {"revision": "2"}


def _reported(_house: House, _worker: Worker) -> Mapping[str, str]:
    """The case of the house is one of which theft is reported."""
    return {"revision": "3"}


def _decided(house: House, *, is_confirmed: bool) -> Mapping[str, str]:
    with house.line.database.write() as connection:
        balance.decide_theft(
            connection,
            number=int(house.values["case"]),
            revision=3,
            is_confirmed=is_confirmed,
            note="looked at",
            person=sign_in_of(Role.THEFT_OFFICER, OWN),
            now=house.line.now(),
        )
    return {"revision": "4"}


def _confirm_theft(house: House, _worker: Worker) -> Mapping[str, str]:
    return _decided(house, is_confirmed=True)


def _refuse_theft(house: House, _worker: Worker) -> Mapping[str, str]:
    return _decided(house, is_confirmed=False)


def _send(house: House, worker: Worker) -> Mapping[str, str]:
    """Only who was sent says what was found."""
    form = _decided(house, is_confirmed=False)
    allowed = worker.role in ROLES_OF_ACT[Act.INSPECT_CASE] and OWN in worker.reach
    who = worker.sign_in if allowed else sign_in_of(Role.ENGINEER, OWN)
    with house.line.database.write() as connection:
        connection.execute(text("UPDATE balance_case SET assigned_to = :who"), {"who": who})
    return form


#: What must have happened before somebody can do what a door is for.
#: It may say what the form carries then, such as a later revision.
BEFORE: Mapping[str, Callable[[House, Worker], Mapping[str, str] | None]] = {
    "POST /alarms/{number:int}/undo": _acknowledge,
    "POST /cases/{number:int}/assess": _confirm_theft,
    "POST /cases/{number:int}/assign": _refuse_theft,
    "POST /cases/{number:int}/close": _confirm_theft,
    "POST /cases/{number:int}/confirm": _reported,
    "POST /cases/{number:int}/find": _send,
    "POST /cases/{number:int}/refuse": _reported,
    "POST /cases/{number:int}/withdraw": _refuse_theft,
    "POST /checks/{number:int}/again": _fail,
    "POST /checks/{number:int}/fail": _issue,
    "POST /checks/{number:int}/report": _issue,
    "POST /commands/resume": _halt,
    "POST /edits/{number:int}/withdraw": _own_edit,
    "POST /seals/{number:int}/confirm": _others_asking,
    "POST /seals/{number:int}/refuse": _others_asking,
    "POST /seals/{number:int}/withdraw": _ask_opening,
    "POST /exceptions/several/give-back": _take,
    "POST /exceptions/several/settle": _take,
    "POST /exceptions/{number:int}/give-back": _take,
    "POST /exceptions/{number:int}/settle": _take,
}


def comes_in(door: Door, worker: Worker) -> bool:
    """Whether a person may do or see what a door is asked for, by the tables of roles and the tree alone."""
    return door.allows(worker) and (OWN in worker.reach or not door.is_about_own)


def ways(door: Door, knocker: Knocker) -> list[tuple[str, tuple[str, ...]]]:
    """The addresses under which a page is asked for, each with what is said in it."""
    plain = door.address(knocker.house)
    asked = {name: IN_QUERIES[name] for name in door.queries if name in IN_QUERIES}
    more = [(f"{plain}?{urlencode({name: value})}", (plain, value)) for name, value in asked.items()]
    return [(plain, (plain,)), *more]


class TestPages:
    def test_open_to_whom_they_are_for_and_change_nothing(
        self, knocker: Knocker, every_door: list[Door], watch: Watch
    ):
        for door in (each for each in every_door if each.method == "GET" and each.kind in HOUSES_OWN):
            for worker in knocker.house.workers:
                answer = knocker.knock(door, session=worker.token)
                told = (str(door), worker.sign_in, answer.status_code)
                if comes_in(door, worker):
                    assert answer.status_code == 200, told
                else:
                    assert answer.status_code in REFUSED, told
            assert watch.changed() == [], str(door)

    def test_show_nothing_of_a_town_to_another_however_it_is_asked_for(
        self, knocker: Knocker, every_door: list[Door]
    ):
        with_signs = 0
        for door in (each for each in every_door if each.method == "GET" and each.kind in HOUSES_OWN):
            for address, said in ways(door, knocker):
                for worker in knocker.house.workers:
                    if worker.place != OTHER and not (worker.place == OWN and door.allows(worker)):
                        continue
                    answer = knocker.ask("GET", address, session=worker.token)
                    place = answer.headers.get("location", "")
                    seen = [sign for sign in signs_of_own(known=said) if sign in answer.text + place]
                    if worker.place == OTHER:
                        assert seen == [], (address, worker.sign_in)
                        assert answer.status_code in (200, *REFUSED), (address, worker.sign_in)
                    with_signs += worker.place == OWN and bool(seen)
        assert with_signs >= PAGES_WITH_SIGNS_MIN

    def test_show_a_town_to_those_above_it(self, knocker: Knocker):
        for path in ("/alarms", "/commands", "/commands.csv", "/collections/ageing.csv"):
            answer = knocker.ask("GET", path, session=knocker.house.worker(Role.ENGINEER, COMPANY).token)
            assert any(sign in answer.text for sign in signs_of_own()), path


class TestDeeds:
    def test_are_refused_to_all_others_and_change_nothing(self, knocker: Knocker, every_door: list[Door]):
        house = knocker.house
        for door in (each for each in every_door if each.method == "POST" and each.kind in HOUSES_OWN):
            form = {
                **door.form,
                **(BEFORE.get(str(door), _nothing)(house, house.worker(Role.OPERATOR)) or {}),
            }
            watch = Watch(house.line.database)
            sent = (door.address(house), *map(str, form.values()))
            for worker in house.workers:
                if comes_in(door, worker):
                    continue
                answer = knocker.knock(door, session=worker.token, form=form)
                told = (str(door), worker.sign_in, answer.status_code)
                assert answer.status_code in REFUSED, told
                assert [sign for sign in signs_of_own(known=sent) if sign in answer.text] == [], told
            assert watch.changed() == [], str(door)
            watch.close()
            if str(door) in BEFORE:
                house.restore()

    def test_are_done_by_those_who_may(self, knocker: Knocker, every_door: list[Door]):
        house = knocker.house
        for door in (each for each in every_door if each.method == "POST" and each.kind in HOUSES_OWN):
            for worker in house.workers:
                if not comes_in(door, worker):
                    continue
                form = {**door.form, **(BEFORE.get(str(door), _nothing)(house, worker) or {})}
                answer = knocker.knock(door, session=worker.token, form=form)
                assert answer.status_code in (200, 303), (str(door), worker.sign_in, answer.text[-900:])
                house.restore()

    def test_are_acts(self, every_door: list[Door]):
        """Whoever may see is not for that reason one who may do."""
        for door in every_door:
            if door.method == "POST":
                assert door.kind in ("act", "account", "public"), str(door)

    def test_of_the_hand_with_htmx_are_refused_alike(self, knocker: Knocker, watch: Watch):
        number = knocker.house.values["alarm"]
        answer = knocker.ask(
            "POST",
            f"/alarms/{number}/acknowledge",
            session=knocker.house.worker(Role.OPERATOR, OTHER).token,
            headers={"HX-Request": "true"},
        )
        assert (answer.status_code, watch.changed()) == (404, [])
        assert "<html" not in answer.text


def test_every_place_has_a_person_of_every_role(knocker: Knocker):
    assert {(each.place, each.role) for each in knocker.house.workers} == {
        (place, role) for place in PLACES for role in Role
    }


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_sample_is_refused_alike_on_postgresql(
    database_url: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path_factory.mktemp("postgres") / "home"
    folder.mkdir()
    (folder / "settings.toml").write_text("demo = true\n", encoding="utf-8")
    monkeypatch.setenv("BIJLIGHAR_DATABASE", database_url)
    home = Home(folder)
    metadata.create_all(home.database.engine)
    house = filled(Line(home, worker="worker@test"))
    knocker = Knocker(house, create_app(house.line))
    watch = Watch(house.line.database)
    asked = [house.worker(role, OTHER) for role in Role] + [
        house.worker(Role.FITTER),
        house.worker(Role.ADMIN),
    ]
    for door in doors(knocker.app):
        if door.kind not in HOUSES_OWN:
            continue
        for worker in asked:
            if comes_in(door, worker):
                continue
            answer = knocker.knock(door, session=worker.token)
            assert answer.status_code in REFUSED, (str(door), worker.sign_in)
    assert watch.changed() == []
    watch.close()
    done = knocker.ask(
        "POST", f"/alarms/{house.values['alarm']}/acknowledge", session=house.worker(Role.OPERATOR).token
    )
    assert done.status_code == 303
    home.database.close()
