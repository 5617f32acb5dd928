"""The folder of a town: its plan, its load curves, its meters' memory."""

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from bijlighar.base.period import date_of, day_number
from bijlighar.simulator.errors import NoTown
from bijlighar.simulator.model import LoadFile, Town

PLAN_FILE = "town.json"
PROFILES_FILE = "profiles.npz"
MEMORY_FILE = "memory.sqlite"
PRIVATE_FILE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class TownFolder:
    """What a town's folder says: the plan, where meter 0 listens, where alerts go, the load curves if from a file."""

    town: Town
    host: str
    port: int
    push: str | None
    profiles: LoadFile | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The content of the plan's file."""

    town: Town
    host: str
    port: int
    push: str | None


def write_town(
    *,
    town: Town,
    folder: Path,
    host: str,
    port: int,
    push: str | None = None,
    profiles: LoadFile | None = None,
) -> None:
    """
    Write a town's plan into its folder; meter i shall listen on `port` + i of `host`, alerts go to `push`.

    :raises NoTown: if the folder already holds a town.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / PLAN_FILE).exists():
        raise NoTown(f"{folder} already holds a town; choose another folder")
    if profiles is not None:
        np.savez(
            folder / PROFILES_FILE,
            names=np.array(profiles.names),
            first_day=np.array(day_number(profiles.first_day)),
            energy_wh=profiles.energy_wh,
        )
    unfinished = folder / f"{PLAN_FILE}.new"
    write_private(unfinished, msgspec.json.encode(_Plan(town=town, host=host, port=port, push=push)))
    os.replace(unfinished, folder / PLAN_FILE)


def write_private(path: Path, octets: bytes) -> None:
    """Write a file that only its owner may read: it holds keys."""
    path.touch(mode=PRIVATE_FILE)
    path.write_bytes(octets)


def read_town(folder: Path) -> TownFolder:
    """
    Return what a town's folder says.

    :raises NoTown: if it holds no town.
    """
    try:
        plan = msgspec.json.decode((folder / PLAN_FILE).read_bytes(), type=_Plan)
    except FileNotFoundError:
        raise NoTown(f"{folder} holds no town; only the home of a demo has one") from None
    except (msgspec.DecodeError, OSError) as problem:
        raise NoTown(f"the town in {folder} cannot be read: {problem}") from None
    return TownFolder(
        town=plan.town, host=plan.host, port=plan.port, push=plan.push, profiles=_read_profiles(folder)
    )


def memory_of(folder: Path) -> Path:
    """Return the file in which a town's meters keep their memory."""
    return folder / MEMORY_FILE


def _read_profiles(folder: Path) -> LoadFile | None:
    path = folder / PROFILES_FILE
    if not path.exists():
        return None
    with np.load(path) as stored:
        return LoadFile(
            names=tuple(str(name) for name in stored["names"]),
            first_day=date_of(int(stored["first_day"])),
            energy_wh=stored["energy_wh"],
        )
