"""The routes of the consumers' page."""

from litestar.types import ControllerRouterHandler

from bijlighar.web.portal import account, paying, signing

ROUTES: tuple[ControllerRouterHandler, ...] = (*signing.ROUTES, *account.ROUTES, *paying.ROUTES)
