"""Where the town and its providers take orders: known to the demo alone, written into the town's own folder."""

from dataclasses import dataclass

import msgspec

from bijlighar.base.errors import BijligharError
from bijlighar.runtime.home import Home

CONTROL_FILE = "control.json"


class TownNotRunning(BijligharError):
    """The town or its providers do not answer; what would start them is in the message."""

    code = "demo.town-not-running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The control sockets (HOST:PORT) of a demo's meters and providers, and the town's seed."""

    town: str
    providers: str
    providers_port: int
    seed: int


def write_controls(home: Home, *, controls: Controls) -> None:
    """Write where the town takes orders."""
    (home.town / CONTROL_FILE).write_bytes(msgspec.json.encode(controls))


def read_controls(home: Home) -> Controls:
    """
    Return where the town takes orders.

    :raises TownNotRunning: if the home does not say.
    """
    try:
        return msgspec.json.decode((home.town / CONTROL_FILE).read_bytes(), type=Controls)
    except (OSError, msgspec.DecodeError):
        raise TownNotRunning(
            f"{home.town} does not say where the town listens; begin a new demo with `bijlighar demo`"
        ) from None


def how_to_start(home: Home, controls: Controls) -> str:
    """Return the commands that start a demo's meters and providers again."""
    port = controls.providers.rpartition(":")[2]
    return (
        f"`bijlighar meter simulate --home {home.path} --control {controls.town}` and "
        f"`bijlighar provider simulate --home {home.path} --port {controls.providers_port} --control {port}`"
    )
