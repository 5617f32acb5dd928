"""What the routes share."""

from typing import Any

from litestar import Request

from bijlighar.runtime.line import Line


def line_of(request: Request[Any, Any, Any]) -> Line:
    """Return the line of the application."""
    line: Line = request.app.state["line"]
    return line
