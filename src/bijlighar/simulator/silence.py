"""Who is silent on which day: by the seed, unless the control socket or a fault says otherwise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.period import day_number
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.model import Silence
from bijlighar.simulator.wiring import day_of


class SilencePlan:
    """The silence of the meters on the running day."""

    def __init__(self, live: LiveTown) -> None:
        """Follow the town's clock."""
        self._live = live
        self._spans = _spans(live.town.silences, live.place)
        self._day: int | None = None
        self._today: NDArray[np.bool_] = np.zeros(len(live.town.devices), dtype=bool)

    def is_silent(self, device: int) -> bool:
        """Return whether a meter is silent now."""
        ordered = int(self._live.state.silence[device])
        if ordered >= 0:
            return bool(ordered)
        return bool(self._planned()[device])

    def serials(self) -> tuple[str, ...]:
        """Return the meters that are silent now."""
        return tuple(
            device.serial
            for device in self._live.town.devices
            if device.smart and (self.is_silent(device.index) or self._live.has_fault(device.index, "silent"))
        )

    def _planned(self) -> NDArray[np.bool_]:
        day = day_of(self._live.now_s)
        if day != self._day:
            self._day = day
            self._today = np.zeros(len(self._live.town.devices), dtype=bool)
            self._today[self._spans[(self._spans[:, 1] <= day) & (day <= self._spans[:, 2]), 0]] = True
        return self._today


def _spans(silences: Sequence[Silence], place: dict[str, int]) -> NDArray[np.int64]:
    rows = [(place[span.serial], day_number(span.first), day_number(span.last)) for span in silences]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)
