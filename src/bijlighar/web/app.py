"""The web application of one home."""

from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Request, Response, Router
from litestar.config.app import AppConfig
from litestar.config.csrf import CSRFConfig
from litestar.exceptions import HTTPException
from litestar.plugins import InitPlugin
from litestar.types import ControllerRouterHandler

from bijlighar.base.errors import BijligharError
from bijlighar.runtime.line import Line
from bijlighar.runtime.sessions import SAME_SITE, is_secure
from bijlighar.web import live, problems, signing
from bijlighar.web.access import guard
from bijlighar.web.api import callbacks, documents, health
from bijlighar.web.assets import show_asset
from bijlighar.web.console import routes as console
from bijlighar.web.portal import routes as portal

BODY_BYTES_MAX = 1_048_576
#: Nothing is taken from elsewhere, no script or style stands in a page; a form may go on to the payment gateway.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; form-action 'self'{gateway}; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), screen-wake-lock=(self), autoplay=(self)",
    "Cache-Control": "no-store",
}
CSRF_KEY = "forms"

ROUTES: tuple[ControllerRouterHandler, ...] = (
    callbacks.verify_messages,
    callbacks.take_message_event,
    callbacks.take_payment_event,
    documents.show_bill,
    documents.show_notice,
    health.show_health,
    show_asset,
    signing.show_sign_in,
    signing.sign_in,
    signing.sign_out,
    signing.choose_language,
    live.listen,
    *console.ROUTES,
    *portal.ROUTES,
)


class LinePlugin(InitPlugin):
    """Give every route the line, and the live view that runs while the application does."""

    def __init__(self, line: Line) -> None:
        """Hold the line."""
        self._line = line
        self._hub = live.Hub(line)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Put both into the application's state."""
        app_config.state["line"] = self._line
        app_config.state["hub"] = self._hub
        app_config.on_startup.append(self._hub.start)
        app_config.on_shutdown.append(self._hub.close)
        return app_config


def create_app(line: Line, extra: Sequence[ControllerRouterHandler] = ()) -> Litestar:
    """Return the application; `extra` are the routes that a demo's home has beside the others."""
    policy = POLICY.format(gateway=_gateway(line))

    async def with_headers(response: Response[Any]) -> Response[Any]:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", policy)
        return response

    def told(answer: Any) -> Any:  # noqa: ANN401 - the framework's own types of handlers
        def handle(request: Request[Any, Any, Any], problem: Any) -> Response[Any]:  # noqa: ANN401
            response: Response[Any] = problems.in_any_case(answer, request, problem)
            for name, value in {**HEADERS, "Content-Security-Policy": policy}.items():
                response.headers.setdefault(name, value)
            return response

        return handle

    return Litestar(
        # one router, registered once: two routes of one path registered one after the other would be wrapped twice
        route_handlers=[Router(path="/", route_handlers=[*ROUTES, *extra])],
        guards=[guard],
        plugins=[LinePlugin(line)],
        exception_handlers={
            BijligharError: told(problems.anticipated),
            HTTPException: told(problems.http),
            Exception: told(problems.fault),
        },
        csrf_config=CSRFConfig(
            secret=line.home.key(CSRF_KEY).hex(),
            cookie_name="bijlighar_form",
            cookie_httponly=True,
            cookie_samesite=SAME_SITE,
            cookie_secure=is_secure(line),
            exclude="^/callbacks/",
        ),
        request_max_body_size=BODY_BYTES_MAX,
        openapi_config=None,
        after_request=with_headers,
        logging_config=None,
    )


def _gateway(line: Line) -> str:
    """Return where a payment's form goes on to: the pages of the gateway."""
    pages = line.home.settings.text("gateway.pages")
    return f" {pages}" if pages else ""
