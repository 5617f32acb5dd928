"""The clock port: only `runtime` holds one; everything else is given `now`."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        ...
