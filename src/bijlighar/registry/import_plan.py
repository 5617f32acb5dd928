"""Plain values between the file, the planner and the tables: what is known, and what is to change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from bijlighar.registry.model import (
    CustomerAccount,
    EndDevice,
    Installation,
    Protection,
    Transformer,
    UsagePoint,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the registry knows before a file is taken in."""

    accounts: Mapping[str, CustomerAccount]
    devices: Mapping[str, EndDevice]
    usage_points: Mapping[str, UsagePoint]
    installations: Mapping[str, tuple[Installation, ...]]
    transformers: Mapping[str, Transformer]
    protections: frozenset[tuple[str, str, str, date | None]]
    offices: frozenset[str]
    has_tree_of_offices: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What taking in a file changes; everything to be saved is given whole.

    network_since: the earliest moment at which who hangs where changes, None if it does not.
    """

    accounts_new: tuple[CustomerAccount, ...]
    accounts_changed: tuple[CustomerAccount, ...]
    devices_new: tuple[EndDevice, ...]
    devices_changed: tuple[EndDevice, ...]
    usage_points: tuple[UsagePoint, ...]
    installations_new: tuple[Installation, ...]
    installations_changed: tuple[Installation, ...]
    installations_ended: int
    transformers: tuple[Transformer, ...]
    protections: tuple[Protection, ...]
    offices: tuple[str, ...]
    warnings: tuple[str, ...]
    network_since: datetime | None
