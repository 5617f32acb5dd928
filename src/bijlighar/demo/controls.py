"""Where the town and its providers take orders: known to the demo alone, written into the town's own folder."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from bijlighar.base.errors import BijligharError
from bijlighar.runtime.home import Home

CONTROL_FILE = "control.json"
WISH_FILE = "forward"


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


def write_wish(home: Home, *, until: datetime) -> None:
    """
    Write until when a visitor wishes the time to go on; the driver takes the wish away when it begins.

    :raises TownNotRunning: if this home never had a town.
    """
    if not home.town.is_dir():
        raise TownNotRunning(f"{home.town} is not there; begin a new demo with `bijlighar demo`")
    temporary = home.town / f".{WISH_FILE}"
    temporary.write_text(until.isoformat(), encoding="utf-8")
    temporary.replace(home.town / WISH_FILE)


def take_wish(home: Home) -> datetime | None:
    """Return until when the time shall go on and forget it; None if nobody wishes anything."""
    file = home.town / WISH_FILE
    try:
        text = file.read_text(encoding="utf-8")
        file.unlink()
        return datetime.fromisoformat(text)
    except (FileNotFoundError, ValueError):
        return None


def how_to_start(home: Home, controls: Controls) -> str:
    """Return the commands that start a demo's meters and providers again."""
    port = controls.providers.rpartition(":")[2]
    return (
        f"`bijlighar meter simulate --home {home.path} --control {controls.town}` and "
        f"`bijlighar provider simulate --home {home.path} --port {controls.providers_port} --control {port}`"
    )
