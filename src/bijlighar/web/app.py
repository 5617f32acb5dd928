"""The web application of one home."""

import logging
from typing import Any

from litestar import Litestar, Request, Response
from litestar.config.app import AppConfig
from litestar.exceptions import HTTPException
from litestar.plugins import InitPlugin

from bijlighar.base.errors import BijligharError
from bijlighar.runtime.line import Line
from bijlighar.web import callbacks, documents, health

log = logging.getLogger(__name__)

BODY_BYTES_MAX = 1_048_576
#: The status of an anticipated failure by its code; 400 for the others.
STATUS_OF = {
    "runtime.forged-callback": 403,
    "runtime.unknown-document": 404,
    "billing.unknown-bill": 404,
    "storage.unusable-database": 503,
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
}


class LinePlugin(InitPlugin):
    """Give every route the line."""

    def __init__(self, line: Line) -> None:
        """Hold the line."""
        self._line = line

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Put the line into the application's state."""
        app_config.state["line"] = self._line
        return app_config


def create_app(line: Line) -> Litestar:
    """Return the application."""
    return Litestar(
        route_handlers=[
            callbacks.verify_messages,
            callbacks.take_message_event,
            callbacks.take_payment_event,
            documents.show_bill,
            documents.show_notice,
            health.show_health,
        ],
        plugins=[LinePlugin(line)],
        exception_handlers={BijligharError: _anticipated, HTTPException: _http, Exception: _fault},
        request_max_body_size=BODY_BYTES_MAX,
        openapi_config=None,
        after_request=_with_headers,
        logging_config=None,
    )


async def _with_headers(response: Response[Any]) -> Response[Any]:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _anticipated(_request: Request[Any, Any, Any], problem: BijligharError) -> Response[dict[str, str]]:
    status = STATUS_OF.get(problem.code, 400)
    log.warning("refused with %d: %s [%s]", status, problem, problem.code)
    return Response({"error": problem.code, "message": str(problem)}, status_code=status, headers=HEADERS)


def _http(_request: Request[Any, Any, Any], problem: HTTPException) -> Response[dict[str, str]]:
    return Response(
        {"error": "web.http", "message": problem.detail}, status_code=problem.status_code, headers=HEADERS
    )


def _fault(_request: Request[Any, Any, Any], problem: Exception) -> Response[dict[str, str]]:
    log.error("a request failed", exc_info=problem)
    return Response(
        {
            "error": "web.fault",
            "message": "the request failed here and was written down; it can be sent again",
        },
        status_code=500,
        headers=HEADERS,
    )
