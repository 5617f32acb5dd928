"""The routes of the control room and the offices."""

from litestar.types import ControllerRouterHandler

from bijlighar.web.console import (
    alarms,
    collections,
    commands,
    exceptions,
    home,
    lists,
    losses,
    network,
    rollout,
)

ROUTES: tuple[ControllerRouterHandler, ...] = (
    *home.ROUTES,
    *alarms.ROUTES,
    *network.ROUTES,
    *lists.ROUTES,
    *commands.ROUTES,
    *exceptions.ROUTES,
    *losses.ROUTES,
    *rollout.ROUTES,
    *collections.ROUTES,
)
