"""The cookies by which browsers show who they are; the demo's own routes set the same."""

from typing import Literal

from litestar.datastructures import Cookie

from bijlighar.runtime.line import Line

SESSION_COOKIE = "bijlighar_session"
PORTAL_COOKIE = "bijlighar_account"
SAME_SITE: Literal["lax"] = "lax"


def cookie(line: Line, *, name: str, value: str, age_s: int | None = None) -> Cookie:
    """Return a cookie that no script reads and that goes over TLS alone where the home is reached so."""
    return Cookie(
        key=name,
        value=value,
        max_age=age_s,
        httponly=True,
        secure=is_secure(line),
        samesite=SAME_SITE,
        path="/",
    )


def is_secure(line: Line) -> bool:
    """Return whether browsers reach the home over TLS."""
    return line.public_url.startswith("https://")
