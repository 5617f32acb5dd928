"""Whether a person may do something in the roll-out, and the lock that its writers take."""

from sqlalchemy import Connection

from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act

#: The sequence whose row the writers of this room hold to the end of their transactions.
LOCK = "rollout.write"


def authorise(connection: Connection, *, person: str, act: Act, office: str | None) -> None:
    """
    Check that a person may do an act at an office; the system itself may.

    :raises NotPermitted: if the person may not.
    """
    if person != offices.SYSTEM:
        offices.authorise(connection, sign_in=person, act=act, office=office)
