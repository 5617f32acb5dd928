"""A home whose town is in arrears, at one moment of a demo's clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.registry import operations as registry
from bijlighar.runtime.clock import set_demo_time
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.storage.schema import metadata
from tests.arrears.world import World

DRAWING_DAY = date(2025, 7, 14)


@contextmanager
def opened_town(folder: Path) -> Iterator[tuple[Line, World]]:
    """Open a home with no accounts yet; the control room's people are there beside those of the arrears' world."""
    folder.mkdir(parents=True)
    (folder / "settings.toml").write_text("demo = true\n", encoding="utf-8")
    home = Home(folder)
    metadata.create_all(home.database.engine)
    line = Line(home, worker="worker@test")
    yield line, World(database=line.database)
    home.database.close()


def tell_time(line: Line, world: World) -> None:
    """Let the home's clock stand where the world's does."""
    set_demo_time(line.database, now=world.now)


def due_to_be_listed(line: Line, world: World, *accounts: str, protected: tuple[str, ...] = ()) -> World:
    """Bring accounts to the day on which a list may be drawn up; some are protected."""
    world.start(accounts).in_arrears(*accounts).at(DRAWING_DAY).hear()
    with line.database.write() as connection:
        for account in protected:
            registry.protect_account(
                connection,
                account=account,
                kind="life_support",
                certificate="C-1",
                until=None,
                by="asha",
                now=world.now,
            )
        offices.add_person(
            connection, sign_in="fatima", name="Fatima", office="MHOW", roles=[Role.FITTER], now=world.now
        )
        offices.add_person(
            connection, sign_in="om", name="Om", office="INDORE", roles=[Role.OPERATOR], now=world.now
        )
    tell_time(line, world)
    return world
