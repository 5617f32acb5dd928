"""Let visitors into a demo: one password for everybody, told once."""

import secrets

from bijlighar.offices import operations as offices
from bijlighar.offices import queries as office_queries
from bijlighar.runtime.line import Line

#: Signs that nobody takes for another.
_SIGNS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 3, 4


def give_password(line: Line) -> str:
    """Give everybody in the home the same new password and return it; it is stored nowhere but as hashes."""
    groups = ("".join(secrets.choice(_SIGNS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    password = "-".join(groups)
    now = line.now()
    with line.database.read() as connection:
        people = office_queries.people(connection)
    for person in people:  # hashing takes its time: nobody shall wait for the whole house
        with line.database.write() as connection:
            offices.set_password(
                connection, sign_in=person.sign_in, password=password, now=now, by=offices.SYSTEM
            )
    return password
