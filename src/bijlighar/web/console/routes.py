"""The routes of the control room and the offices."""

from litestar.types import ControllerRouterHandler

from bijlighar.web.console import (
    alarms,
    atc,
    cases,
    checks,
    collections,
    commands,
    edits,
    exceptions,
    feeder_loss,
    home,
    lists,
    losses,
    meters,
    network,
    rollout,
    seals,
    transformer_loss,
)

ROUTES: tuple[ControllerRouterHandler, ...] = (
    *home.ROUTES,
    *alarms.ROUTES,
    *network.ROUTES,
    *meters.ROUTES,
    *lists.ROUTES,
    *commands.ROUTES,
    *exceptions.ROUTES,
    *edits.ROUTES,
    *seals.ROUTES,
    *losses.ROUTES,
    *atc.ROUTES,
    *transformer_loss.ROUTES,
    *feeder_loss.ROUTES,
    *cases.ROUTES,
    *rollout.ROUTES,
    *checks.ROUTES,
    *collections.ROUTES,
)
