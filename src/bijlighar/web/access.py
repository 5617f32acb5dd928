"""
Who may reach which route: each route says so in its `opt`, and one guard decides.

A route has exactly one of: `public=True` (anybody), `view=View.…` (who may see that page), `act=Act.…` (who may do
that), `signed_in=True` (anybody who is signed in), `account=True` (a consumer who is signed in). One that has none is
refused to everybody. The scope by the office tree is the doors' own: they are given the person's name.
"""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler
from litestar.params import BodyKwarg

from bijlighar.base.errors import BijligharError
from bijlighar.offices import operations, rules
from bijlighar.offices import queries as offices
from bijlighar.offices.model import Act, View
from bijlighar.runtime import portal_access
from bijlighar.runtime.clock import wall
from bijlighar.runtime.sessions import PORTAL_COOKIE, SESSION_COOKIE
from bijlighar.web.shared import ACCOUNT, SESSION, line_of, session_of

KINDS = frozenset({"public", "view", "act", "signed_in", "account"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: What a browser says of where a request comes from; another site's form is refused before anything is read.
OWN_SITE = frozenset({"same-origin", "none"})


class SignInNeeded(BijligharError):
    """Nobody is signed in."""

    code = "web.sign-in-needed"


class AccountNeeded(BijligharError):
    """No consumer is signed in."""

    code = "web.account-needed"


class ForeignForm(BijligharError):
    """A form came from another site."""

    code = "web.foreign-form"


def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """
    Let a request pass to its route, or refuse it.

    :raises SignInNeeded: if the route needs a person and nobody is signed in.
    :raises AccountNeeded: if the route needs a consumer and none is signed in.
    :raises NotPermitted: if the person's roles do not allow it.
    :raises PermissionDeniedException: if the route does not say who may reach it.
    :raises HTTPException: if what was sent is not of the kind that the route reads.
    """
    needed = {kind: handler.opt[kind] for kind in KINDS if handler.opt.get(kind)}
    if len(needed) != 1:
        raise PermissionDeniedException("this address does not say who may reach it")
    _refuse_foreign(connection)
    _refuse_unreadable(connection, handler)
    _load(connection)
    if "account" in needed:
        _load_account(connection)
    if "public" in needed or "account" in needed:
        return
    session = session_of(connection)
    if session is None:
        raise SignInNeeded("sign in first")
    match needed:
        case {"view": View() as view}:
            rules.check_view(person=session.person, view=view)
        case {"act": Act() as act}:
            rules.check_permitted(person=session.person, act=act, office=None, branch_of_person=())
        case {"signed_in": True}:
            pass
        case _:
            raise PermissionDeniedException("this address does not say who may reach it")


def _load_account(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    token = connection.cookies.get(PORTAL_COOKIE)
    account = portal_access.portal_account(line_of(connection), token=token, wall=wall()) if token else None
    if account is None:
        raise AccountNeeded("sign in with your consumer number first")
    connection.scope["state"][ACCOUNT] = account


def _load(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    token = connection.cookies.get(SESSION_COOKIE)
    connection.scope["state"][SESSION] = None
    if not token:
        return
    database, moment = line_of(connection).database, wall()
    with database.read() as opened:
        session = offices.session(opened, token=token, wall=moment)
    connection.scope["state"][SESSION] = session
    if session is not None and rules.is_to_be_marked(session, wall=moment):
        with database.write() as opened:
            operations.mark_seen(opened, token=token, wall=moment)


def _refuse_unreadable(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Refuse a body of another kind than the route's: it would be read as a form in which every field is empty."""
    if connection.scope.get("method") in SAFE_METHODS or connection.url.path.startswith("/callbacks/"):
        return
    has_body = (
        connection.headers.get("content-length", "0") != "0" or "transfer-encoding" in connection.headers
    )
    kind = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    field = handler.parsed_data_field
    kwarg = None if field is None else field.kwarg_definition
    wanted = kwarg.media_type if isinstance(kwarg, BodyKwarg) else RequestEncodingType.URL_ENCODED
    if has_body and kind != wanted:
        raise HTTPException(status_code=415, detail=f"this address reads {wanted}, not {kind or 'this'}")


def _refuse_foreign(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    if connection.scope.get("method") in SAFE_METHODS:
        return
    site = connection.headers.get("sec-fetch-site", "none")
    if site not in OWN_SITE and not connection.url.path.startswith("/callbacks/"):
        raise ForeignForm("this form was sent from another site; open the page here and send it again")
