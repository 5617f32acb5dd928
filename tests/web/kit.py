"""What the tests of pages share: a browser that is signed in, and forms sent as a page sends them."""

import re
from typing import Any

import httpx
from litestar.testing import TestClient

from bijlighar.offices import operations as offices
from bijlighar.runtime.clock import wall
from bijlighar.runtime.line import Line
from bijlighar.runtime.sessions import SESSION_COOKIE
from bijlighar.web.app import create_app
from bijlighar.web.language import COOKIE

Client = TestClient[Any]


def client_of(line: Line, *, language: str = "hi") -> Client:
    """Return a stranger's browser."""
    client = TestClient(create_app(line), raise_server_exceptions=False)
    client.cookies.set(COOKIE, language)
    client.follow_redirects = False
    return client


def signed_in_client(line: Line, person: str, *, language: str = "hi") -> Client:
    """Return the browser of a person who has signed in."""
    with line.database.write() as connection:
        opened = offices.open_session(connection, sign_in=person, wall=wall())
    client = client_of(line, language=language)
    client.cookies.set(SESSION_COOKIE, opened.token)
    return client


def form_token(client: Client) -> str:
    """Return the token that a page puts into its forms."""
    found = re.search(
        r'name="_csrf_token" value="([^"]+)"', client.get("/sign-in?lang=en", follow_redirects=True).text
    )
    assert found is not None
    return found[1]


def send_form(client: Client, path: str, **fields: str) -> httpx.Response:
    """Send a form as a page sends it."""
    return client.post(path, data={"_csrf_token": form_token(client), **fields})
