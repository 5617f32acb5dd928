from collections.abc import Callable

import pytest

from bijlighar.alarms import operations, queries, rules
from bijlighar.alarms.errors import (
    AlreadyDecided,
    AlreadyProposed,
    NoConsumer,
    UnknownAlarm,
    UnknownProposal,
)
from bijlighar.alarms.model import (
    PROPOSAL_NAMES,
    AlarmState,
    JournalEvent,
    JournalLine,
    Proposal,
    ProposalState,
)
from bijlighar.base.errors import InvalidValue
from bijlighar.offices import queries as offices
from bijlighar.offices.errors import NotPermitted, SamePerson
from bijlighar.offices.model import ROLES_OF_ACT, Act, Role
from tests.alarms.build import MAGNET_OVER, MINUTE, NOW, event
from tests.alarms.room import Room

DEEDS: dict[str, Callable[..., object]] = {
    "note": lambda room, **who: operations.note(room.database, text="on the way", **who),
    "squad": lambda room, **who: operations.send_squad(room.database, squad="squad 7", **who),
    "message": lambda room, **who: operations.record_message(room.database, text="a check", **who),
    "proposal": lambda room, **who: operations.propose_cut(room.database, reason="magnet found", **who),
}
ACT_OF = {
    "note": Act.ACKNOWLEDGE_ALARM,
    "squad": Act.SEND_SQUAD,
    "message": Act.MESSAGE_CONSUMER,
    "proposal": Act.PROPOSE_CUT,
}


def do(room: Room, deed: str, *, number: int = 1, person: str = "vijay") -> object:
    return DEEDS[deed](room, number=number, person=person, now=NOW + MINUTE)


def last_line(room: Room) -> JournalLine:
    with room.database.read() as connection:
        return queries.history(connection, alarm=1)[-1]


def audited(room: Room) -> list[tuple[str, str, str]]:
    with room.database.read() as connection:
        assert offices.check_audit(connection).broken_at is None
        return [(entry.person, entry.act, entry.detail) for entry in offices.audit(connection, limit=1)]


def proposals(room: Room, state: ProposalState | None = None) -> tuple[Proposal, ...]:
    with room.database.read() as connection:
        return queries.proposals(connection, state=state)


def decide(room: Room, person: str = "theft", *, authorise: bool = True, note: str = "") -> Proposal:
    return operations.decide_cut(
        room.database, proposal=1, authorise=authorise, person=person, now=NOW + MINUTE, note=note
    )


@pytest.mark.parametrize("deed", DEEDS)
class TestDeeds:
    def test_are_open_to_those_who_answer_alarms_in_the_office(self, room: Room, deed: str):
        room.tell(event())
        room.employ("neighbour", Role.OPERATOR, office="DEPALPUR")
        allowed = ROLES_OF_ACT[ACT_OF[deed]]
        for role in sorted(set(Role) - allowed):
            room.employ(f"a-{role}", role, office="MHOW")
            with pytest.raises(NotPermitted):
                do(room, deed, person=f"a-{role}")
        with pytest.raises(NotPermitted):
            do(room, deed, person="neighbour")

        assert room.alarm().acted_at is None
        assert last_line(room).event is JournalEvent.RAISED
        do(room, deed)
        assert room.alarm().acted_at == NOW + MINUTE

    def test_need_an_alarm(self, room: Room, deed: str):
        with pytest.raises(UnknownAlarm):
            do(room, deed)

    def test_change_no_state_and_still_no_siren(self, room: Room, deed: str):
        room.tell(event())
        do(room, deed)

        assert room.state() is AlarmState.UNACKNOWLEDGED
        assert room.siren_required()

    def test_may_follow_when_it_is_all_over(self, room: Room, deed: str):
        room.tell(event(at=NOW), event(MAGNET_OVER, at=NOW + MINUTE))
        room.acknowledge()
        do(room, deed)

        assert room.state() is AlarmState.NORMAL


class TestNote:
    def test_stands_on_the_alarm_and_in_the_journal(self, room: Room):
        room.tell(event())

        alarm = operations.note(
            room.database, number=1, text="  door\n locked ", person="vijay", now=NOW + MINUTE
        )

        assert alarm == room.alarm()
        assert alarm.note == "door locked"
        line = last_line(room)
        assert (line.event, line.person, line.detail) == (JournalEvent.NOTED, "vijay", "door locked")

    @pytest.mark.parametrize("text", ["", " \n ", "x" * 501, "a\0b"])
    def test_is_refused_where_it_is_no_text(self, room: Room, text: str):
        room.tell(event())

        with pytest.raises(InvalidValue):
            operations.note(room.database, number=1, text=text, person="vijay", now=NOW)


class TestSendSquad:
    def test_tells_which_and_when(self, room: Room):
        room.tell(event())
        do(room, "squad")

        alarm = room.alarm()
        assert (alarm.squad, alarm.squad_at) == ("squad 7", NOW + MINUTE)
        assert (last_line(room).event, last_line(room).detail) == (JournalEvent.SQUAD_SENT, "squad 7")
        assert audited(room) == [("vijay", "send_squad", '{"code":201,"source":"M-N1","squad":"squad 7"}')]

    @pytest.mark.parametrize("squad", ["", "x" * 65])
    def test_names_one(self, room: Room, squad: str):
        room.tell(event())

        with pytest.raises(InvalidValue):
            operations.send_squad(room.database, number=1, squad=squad, person="vijay", now=NOW)


class TestRecordMessage:
    def test_is_audited_with_the_account(self, room: Room):
        room.tell(event())
        do(room, "message")

        assert last_line(room).event is JournalEvent.MESSAGE_SENT
        (entry,) = audited(room)
        assert entry[1] == "message_consumer"
        assert '"account":"N1"' in entry[2]

    def test_needs_a_consumer(self, room: Room):
        room.tell(event(meter="STRAY"))

        with pytest.raises(NoConsumer):
            do(room, "message")


class TestProposeCut:
    def test_keeps_a_proposal_and_cuts_nothing(self, room: Room):
        room.tell(event())

        proposal = do(room, "proposal")

        assert proposals(room) == (proposal,)
        assert isinstance(proposal, Proposal)
        assert (proposal.number, proposal.alarm, proposal.account) == (1, 1, "N1")
        assert (proposal.office, proposal.meter) == ("MHOW", "M-N1")
        assert (proposal.state, proposal.reason) == (ProposalState.PROPOSED, "magnet found")
        assert (proposal.proposed_by, proposal.decided_by) == ("vijay", None)
        assert last_line(room).event is JournalEvent.CUT_PROPOSED
        assert audited(room)[0][1] == "propose_cut"

    def test_stands_once_for_an_alarm(self, room: Room):
        room.tell(event())
        do(room, "proposal")

        with pytest.raises(AlreadyProposed, match="vijay has proposed to cut N1 already"):
            do(room, "proposal", person="meera")

    def test_needs_a_consumer(self, room: Room):
        room.tell(event(meter="STRAY"))

        with pytest.raises(NoConsumer):
            do(room, "proposal")

    def test_needs_a_reason(self, room: Room):
        room.tell(event())

        with pytest.raises(InvalidValue):
            operations.propose_cut(room.database, number=1, reason=" ", person="vijay", now=NOW)


class TestDecideCut:
    @pytest.fixture
    def room(self, room: Room) -> Room:
        room.tell(event())
        do(room, "proposal")
        room.employ("theft", Role.THEFT_OFFICER, office="INDORE")
        return room

    @pytest.mark.parametrize(
        ("authorise", "state", "told"),
        [
            (True, ProposalState.AUTHORISED, JournalEvent.CUT_AUTHORISED),
            (False, ProposalState.REFUSED, JournalEvent.CUT_REFUSED),
        ],
    )
    def test_is_another_persons(self, room: Room, authorise: bool, state: ProposalState, told: JournalEvent):
        decided = decide(room, authorise=authorise, note="seen the meter")

        assert proposals(room, state) == (decided,)
        assert proposals(room, ProposalState.PROPOSED) == ()
        assert (decided.decided_by, decided.decided_at) == ("theft", NOW + MINUTE)
        assert (decided.note, last_line(room).event) == ("seen the meter", told)
        assert audited(room)[0][:2] == ("theft", "authorise_theft_cut")

    def test_is_never_the_proposers_own(self, room: Room):
        room.employ("both", Role.THEFT_OFFICER, office="INDORE")
        decide(room, authorise=False)
        do(room, "proposal", person="both")

        with pytest.raises(SamePerson):
            operations.decide_cut(room.database, proposal=2, authorise=True, person="both", now=NOW)

        assert len(proposals(room, ProposalState.PROPOSED)) == 1

    @pytest.mark.parametrize("person", ["vijay", "meera", "asha"])
    def test_asks_for_the_theft_officer(self, room: Room, person: str):
        with pytest.raises(NotPermitted):
            decide(room, person)

    def test_asks_for_one_of_the_office_or_above_it(self, room: Room):
        room.employ("neighbour", Role.THEFT_OFFICER, office="DEPALPUR")

        with pytest.raises(NotPermitted):
            decide(room, "neighbour")

    def test_is_made_once(self, room: Room):
        decide(room)

        with pytest.raises(AlreadyDecided, match="theft"):
            decide(room, authorise=False)

        assert len(proposals(room, ProposalState.AUTHORISED)) == 1

    def test_lets_a_refused_cut_be_proposed_again(self, room: Room):
        decide(room, authorise=False)
        do(room, "proposal")

        assert [proposal.state for proposal in proposals(room)] == [
            ProposalState.PROPOSED,
            ProposalState.REFUSED,
        ]

    def test_needs_a_proposal(self, room: Room):
        with pytest.raises(UnknownProposal):
            operations.decide_cut(room.database, proposal=7, authorise=True, person="theft", now=NOW)

    def test_has_names_in_both_languages(self):
        assert set(PROPOSAL_NAMES) == set(ProposalState)


class TestLineWords:
    @staticmethod
    def words(event: JournalEvent, detail: str) -> str:
        line = JournalLine(
            number=1, at=NOW, event=event, alarm=1, priority=None, office=None, person=None, detail=detail
        )
        return rules.line_words(line, table=operations.shipped_table()).en

    @pytest.mark.parametrize(
        ("happened", "detail", "words"),
        [
            (JournalEvent.RAISED, "", "raised"),
            (JournalEvent.REPEATED, "3", "occurred again: 3 times in all"),
            (JournalEvent.ESCALATED, "2", "escalated: assistant engineer (AE)"),
            (JournalEvent.ESCALATED, "9", "escalated: 9"),
            (JournalEvent.SILENCED, "60", "siren silenced: 60 s"),
            (JournalEvent.CONSOLE_LOST, "gesture", "console not armed: the browser does not allow sound yet"),
            (JournalEvent.CONSOLE_LOST, "", "console not armed"),
            (JournalEvent.SQUAD_SENT, "squad 7", "squad sent: squad 7"),
        ],
    )
    def test_say_what_goes_with_it(self, happened: JournalEvent, detail: str, words: str):
        assert self.words(happened, detail) == words
