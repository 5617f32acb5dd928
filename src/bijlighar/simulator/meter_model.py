"""What all meters of one model have in common: the columns of their profiles and how they scale them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bijlighar.dlms import is15959
from bijlighar.dlms.cosem import encode_capture_objects
from bijlighar.dlms.is15959 import Column
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.shape import Kind as CellKind
from bijlighar.dlms.shape import RowEncoder
from bijlighar.simulator.model import Device, Kind

VOLT, AMPERE = 35, 33
WH, VAH, VARH = 30, 31, 32
#: How the simulator keeps what it measures: scaler by unit (0 where not named).
KEPT_SCALERS = {VOLT: -2, AMPERE: -2, 255: -2, 44: -1}
#: The profiles whose columns another firmware gives in another order, its time first as before.
REORDERED = ("block-load", "daily")
_FEEDER_VOLT_SCALER = -1
_REGISTERS = tuple(
    Obis.parse(f"1.0.{quantity}.8.{zone}.255") for quantity in (1, 2, 9, 10, 5, 8) for zone in range(9)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileModel:
    """A profile as a model has it; `encoder` is None where it holds text."""

    name: str
    columns: tuple[Column, ...]
    captured: bytes
    scalers: bytes
    scaler_captured: bytes
    encoder: RowEncoder | None

    def raw(self, name: str, value: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return kept values of a column as they stand in the profile."""
        return raw_values(next(column for column in self.columns if column.name == name), value)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterModel:
    """A model of meter."""

    profiles: Mapping[Obis, ProfileModel]
    scaler_profiles: Mapping[Obis, ProfileModel]
    #: Single objects by class and OBIS: attribute -> column.
    objects: Mapping[tuple[int, Obis], Mapping[int, Column]]


def raw_values(column: Column, value: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return kept values in a column's scaler; a register drops what it cannot show, the rest is rounded half up."""
    if column.scaler is None:
        return value
    power = column.scaler - KEPT_SCALERS.get(column.unit if column.unit is not None else 255, 0)
    if power == 0:
        return value
    step = 10 ** abs(power)
    half = 0 if column.capture.obis in _REGISTERS else step // 2
    raw: NDArray[np.int64] = value * step if power < 0 else (value + half) // step
    return raw


def model_of(device: Device, *, is_other: bool = False) -> MeterModel:
    """Return the model of a meter; with another firmware the columns of its load profiles stand in another order."""
    return _model(device.kind, device.register_scaler, is_other)


@lru_cache(maxsize=64)
def _model(kind: Kind, register_scaler: int, is_other: bool) -> MeterModel:  # noqa: FBT001 - a key of the cache
    profiles: dict[Obis, ProfileModel] = {}
    scaler_profiles: dict[Obis, ProfileModel] = {}
    objects: dict[tuple[int, Obis], dict[int, Column]] = {}
    for name, profile in is15959.PROFILES.items():
        columns = _columns(kind, name, register_scaler=register_scaler)
        if is_other and name in REORDERED:
            columns = (columns[0], *columns[:0:-1])
        kinds = [column.kind for column in columns]
        built = ProfileModel(
            name=name,
            columns=columns,
            captured=encode_capture_objects([column.capture for column in columns]),
            scalers=is15959.encode_scalers(columns),
            scaler_captured=encode_capture_objects(is15959.scaler_captures(columns)),
            encoder=None if None in kinds else RowEncoder(kinds=[cell for cell in kinds if cell is not None]),
        )
        profiles[profile.obis] = built
        if profile.scaler_obis is not None:
            scaler_profiles.setdefault(profile.scaler_obis, built)
        for column in columns:
            single = objects.setdefault((column.capture.class_id, column.capture.obis), {})
            single.setdefault(column.capture.attribute, column)
    return MeterModel(profiles=profiles, scaler_profiles=scaler_profiles, objects=objects)


def _columns(kind: Kind, name: str, *, register_scaler: int) -> tuple[Column, ...]:
    columns: Sequence[Column] = is15959.columns(name, phases=1 if kind is Kind.SINGLE_PHASE else 3)
    if not kind.has_relay:
        columns = [column for column in columns if column.name not in ("relay_connected", "load_limit_w")]
    return tuple(_as_built(column, kind, register_scaler) for column in columns)


def _as_built(column: Column, kind: Kind, register_scaler: int) -> Column:
    if column.unit in (WH, VAH, VARH) and column.capture.obis in _REGISTERS:
        return replace(column, scaler=register_scaler)
    if column.unit == VOLT and kind is Kind.FEEDER:
        return replace(column, scaler=_FEEDER_VOLT_SCALER)
    if column.unit == AMPERE and kind in (Kind.TRANSFORMER, Kind.FEEDER):
        return replace(column, kind=CellKind.DOUBLE_LONG_UNSIGNED)
    return column
