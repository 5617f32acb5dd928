"""To cut for theft takes two persons: one proposes it from an alarm, another decides; the order is not sent here."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.alarms import changes, desk_store, journal_store, recording
from bijlighar.alarms.acting import audit, consumer_of, held, plain
from bijlighar.alarms.errors import AlreadyDecided, AlreadyProposed, UnknownProposal
from bijlighar.alarms.model import PROPOSAL_STEPS, JournalEvent, Proposal, ProposalEvent, ProposalState
from bijlighar.base.lifecycle import next_state
from bijlighar.base.text import NOTE_MAX, check_text
from bijlighar.offices import operations as offices
from bijlighar.offices import rules as office_rules
from bijlighar.offices.model import Act
from bijlighar.storage.engine import Database


def propose_cut(database: Database, *, number: int, reason: str, person: str, now: datetime) -> Proposal:
    """
    Propose to cut the consumer of an alarm for theft, and return the proposal; nothing is sent by it.

    :raises UnknownAlarm: if there is no such alarm.
    :raises NotPermitted: if the person may not propose it in the meter's office.
    :raises NoConsumer: if the meter supplies no consumer.
    :raises AlreadyProposed: if a proposal stands for the alarm.
    :raises InvalidValue: if no reason is given.
    """
    said = plain(reason, what="the reason", letters_max=NOTE_MAX)
    with database.write() as connection:
        alarm = held(connection, number=number)
        who = offices.authorise(connection, sign_in=person, act=Act.PROPOSE_CUT, office=alarm.office).sign_in
        account = consumer_of(alarm)
        for known in desk_store.proposals(connection, alarm=number, state=ProposalState.PROPOSED, limit=1):
            raise AlreadyProposed(
                f"{known.proposed_by} has proposed to cut {account} already (proposal {known.number}); "
                "another person must decide on that"
            )
        proposal = Proposal(
            number=0,
            alarm=number,
            account=account,
            office=alarm.office,
            meter=alarm.source,
            state=ProposalState.PROPOSED,
            reason=said,
            proposed_by=who,
            proposed_at=now,
            decided_by=None,
            decided_at=None,
            note="",
        )
        proposal = replace(proposal, number=desk_store.add_proposal(connection, added=proposal))
        change = changes.acted(alarm, event=JournalEvent.CUT_PROPOSED, person=who, detail=said, now=now)
        recording.record(connection, changes=(change,), now=now)
        audit(
            connection,
            alarm=alarm,
            who=who,
            act=Act.PROPOSE_CUT,
            detail={"account": account, "proposal": proposal.number, "reason": said},
            now=now,
        )
    return proposal


def decide_cut(
    database: Database, *, proposal: int, authorise: bool, person: str, now: datetime, note: str = ""
) -> Proposal:
    """
    Authorise or refuse a cut for theft that another person proposed, and return the proposal; nothing is sent by it.

    :raises UnknownProposal: if there is no such proposal.
    :raises NotPermitted: if the person may not authorise cuts for theft in the meter's office.
    :raises SamePerson: if the person proposed it.
    :raises AlreadyDecided: if it is decided.
    """
    said = check_text(" ".join(note.split()), what="the note", letters_max=NOTE_MAX)
    event = ProposalEvent.AUTHORISE if authorise else ProposalEvent.REFUSE
    with database.write() as connection:
        journal_store.lock(connection)
        known = _proposal(connection, number=proposal)
        who = offices.authorise(
            connection, sign_in=person, act=Act.AUTHORISE_THEFT_CUT, office=known.office
        ).sign_in
        office_rules.check_other_person(proposer=known.proposed_by, approver=who)
        if known.state is not ProposalState.PROPOSED:
            raise AlreadyDecided(
                f"proposal {proposal} was decided by {known.decided_by}; nothing is to be done"
            )
        state = next_state(PROPOSAL_STEPS, known.state, event)
        decided = replace(known, state=state, decided_by=who, decided_at=now, note=said)
        desk_store.decide_proposal(connection, decided=decided)
        alarm = held(connection, number=known.alarm)
        line = JournalEvent.CUT_AUTHORISED if authorise else JournalEvent.CUT_REFUSED
        change = changes.acted(alarm, event=line, person=who, detail=said, now=now)
        recording.record(connection, changes=(change,), now=now)
        audit(
            connection,
            alarm=alarm,
            who=who,
            act=Act.AUTHORISE_THEFT_CUT,
            detail={"account": known.account, "proposal": proposal, "decision": state.value, "note": said},
            now=now,
        )
    return decided


def _proposal(connection: Connection, *, number: int) -> Proposal:
    for found in desk_store.proposals(connection, number=number, limit=1):
        return found
    raise UnknownProposal(f"there is no proposal {number} to cut for theft")
