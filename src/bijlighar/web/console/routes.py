"""The routes of the control room and the offices."""

from litestar.types import ControllerRouterHandler

from bijlighar.web.console import collections, losses, network, rollout

ROUTES: tuple[ControllerRouterHandler, ...] = (
    *network.ROUTES,
    *losses.ROUTES,
    *rollout.ROUTES,
    *collections.ROUTES,
)
