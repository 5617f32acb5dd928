"""How arrays and moments travel over the control socket."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bijlighar.simulator.model import Truth

#: The longest line on the control socket [octets]: the truth of a large town is large.
LONGEST_LINE = 1 << 30
_ARRAYS = (
    "starts",
    "registered_wh",
    "present",
    "consumed_wh",
    "stolen_wh",
    "input_wh",
    "line_loss_wh",
    "own_loss_wh",
    "feeder_input_wh",
)
_NAMES = ("serials", "accounts", "transformers", "feeders")


def pack_array(array: NDArray[Any]) -> dict[str, object]:
    """Return an array as JSON values."""
    solid = np.ascontiguousarray(array)
    return {
        "dtype": solid.dtype.newbyteorder("<").str,
        "shape": list(solid.shape),
        "base64": base64.b64encode(solid.astype(solid.dtype.newbyteorder("<")).tobytes()).decode(),
    }


def unpack_array(packed: Mapping[str, Any]) -> NDArray[Any]:
    """
    Return the array of JSON values.

    >>> unpack_array(pack_array(np.array([[1, 2], [3, 4]]))).tolist()
    [[1, 2], [3, 4]]
    """
    octets = base64.b64decode(packed["base64"])
    return np.frombuffer(octets, dtype=np.dtype(packed["dtype"])).reshape(packed["shape"])


def pack_truth(truth: Truth) -> dict[str, object]:
    """Return a truth as JSON values; energies of a half-hour travel as 32-bit numbers."""
    packed: dict[str, object] = {name: list(getattr(truth, name)) for name in _NAMES}
    for name in _ARRAYS:
        array = getattr(truth, name)
        packed[name] = pack_array(array.astype(np.int32) if name.endswith("_wh") else array)
    return packed


def unpack_truth(packed: Mapping[str, Any]) -> Truth:
    """Return the truth of JSON values."""
    arrays = {name: unpack_array(packed[name]) for name in _ARRAYS}
    return Truth(
        starts=arrays["starts"],
        serials=tuple(packed["serials"]),
        registered_wh=arrays["registered_wh"].astype(np.int64),
        present=arrays["present"],
        accounts=tuple(packed["accounts"]),
        consumed_wh=arrays["consumed_wh"].astype(np.int64),
        stolen_wh=arrays["stolen_wh"].astype(np.int64),
        transformers=tuple(packed["transformers"]),
        input_wh=arrays["input_wh"].astype(np.int64),
        line_loss_wh=arrays["line_loss_wh"].astype(np.int64),
        own_loss_wh=arrays["own_loss_wh"].astype(np.int64),
        feeders=tuple(packed["feeders"]),
        feeder_input_wh=arrays["feeder_input_wh"].astype(np.int64),
    )


def moment_text(moment: datetime) -> str:
    """Return a moment as it travels."""
    return moment.astimezone(UTC).isoformat()
