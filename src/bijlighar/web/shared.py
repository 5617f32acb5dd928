"""What the routes share."""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection

from bijlighar.offices.model import Session
from bijlighar.runtime.line import Line

Asker = ASGIConnection[Any, Any, Any, Any]
#: Where the guard leaves the session in the scope of a request.
SESSION = "bijlighar.session"
#: Where it leaves the account of a consumer who is signed in.
ACCOUNT = "bijlighar.account"


def line_of(request: Asker) -> Line:
    """Return the line of the application."""
    line: Line = request.app.state["line"]
    return line


def session_of(request: Asker) -> Session | None:
    """Return the session of whoever asks, None for a stranger; the guard has put it there."""
    session: Session | None = request.scope["state"].get(SESSION)
    return session


def signed_in(request: Request[Any, Any, Any]) -> Session:
    """Return the session on a route that strangers cannot reach."""
    session = session_of(request)
    if session is None:
        raise RuntimeError("a route that needs a person was reached without one: its guard is missing")
    return session


def account_of(request: Request[Any, Any, Any]) -> str:
    """Return the consumer's account on a route that strangers cannot reach."""
    return str(request.scope["state"][ACCOUNT])
