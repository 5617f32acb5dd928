"""The cases in a person's sight."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from bijlighar.balance import case_store
from bijlighar.balance.cases import UNDER_WAY, Case, CaseState, CaseStep
from bijlighar.balance.errors import UnknownCase
from bijlighar.offices import queries as offices

CASES_PER_PAGE = 200


def case(connection: Connection, *, number: int, person: str, is_to_change: bool = False) -> Case:
    """
    Return a case in a person's sight, locked until the transaction ends if it is to change.

    :raises UnknownPerson: if nobody signs in so.
    :raises UnknownCase: if there is none of that number, or it is another office's: which of both is not told.
    """
    found = case_store.select_case(connection, number=number, is_to_change=is_to_change)
    seen = offices.offices_in_sight(connection, person=offices.person(connection, sign_in=person))
    if found is None or (seen is not None and found.office not in seen):
        raise UnknownCase(f"there is no case {number} in your offices; `bijlighar case list` shows them")
    return found


def cases(
    connection: Connection,
    *,
    person: str,
    states: Sequence[CaseState] = UNDER_WAY,
    limit: int = CASES_PER_PAGE,
) -> tuple[Case, ...]:
    """Return some cases in a person's sight, the newest first."""
    seen = offices.offices_in_sight(connection, person=offices.person(connection, sign_in=person))
    return case_store.select_cases(connection, states=states, offices=seen, limit=min(limit, CASES_PER_PAGE))


def cases_of_meters(connection: Connection, *, person: str, meters: Collection[str]) -> dict[str, int]:
    """Return for each of some meters the number of its case that is under way, where that is in a person's sight."""
    seen = offices.offices_in_sight(connection, person=offices.person(connection, sign_in=person))
    return case_store.select_under_way(connection, meters=meters, offices=seen)


def case_steps(connection: Connection, *, number: int) -> tuple[CaseStep, ...]:
    """Return what was done with a case, oldest first."""
    return case_store.select_steps(connection, case=number)
