"""Is the house well? For a monitor, and for whoever is called when it is not."""

from typing import Any

from litestar import Request, Response, get

from bijlighar.runtime.health import health
from bijlighar.web.shared import line_of


@get("/health", sync_to_thread=True, opt={"public": True})
def show_health(request: Request[Any, Any, Any]) -> Response[dict[str, object]]:
    """Return what is pending and what fails; 503 where a step fails again and again."""
    report = health(line_of(request))
    return Response(report.as_document(), status_code=200 if report.is_well else 503)
