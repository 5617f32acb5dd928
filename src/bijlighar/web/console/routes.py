"""The routes of the control room and the offices."""

from litestar.types import ControllerRouterHandler

from bijlighar.web.console import alarms, collections, commands, lists, losses, network, rollout

ROUTES: tuple[ControllerRouterHandler, ...] = (
    *alarms.ROUTES,
    *network.ROUTES,
    *lists.ROUTES,
    *commands.ROUTES,
    *losses.ROUTES,
    *rollout.ROUTES,
    *collections.ROUTES,
)
