"""The house with its doors, opened once for each file of tests, and whole again after each test."""

from collections.abc import Iterator

import pytest

from bijlighar.demo import pages as demo_pages
from bijlighar.web.app import create_app
from tests.web.doors import Door, Knocker, doors
from tests.web.house import House, Watch, opened_house


@pytest.fixture(scope="module")
def opened_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened_house(tmp_path_factory.mktemp("doors") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def knocker_once(opened_once: House) -> Knocker:
    return Knocker(opened_once, create_app(opened_once.line, extra=demo_pages.routes(opened_once.line)))


@pytest.fixture
def knocker(knocker_once: Knocker) -> Iterator[Knocker]:
    """A browser before a demo's house in which everything is as it was built."""
    yield knocker_once
    knocker_once.house.restore()


@pytest.fixture
def every_door(knocker: Knocker) -> list[Door]:
    return doors(knocker.app)


@pytest.fixture
def watch(knocker: Knocker) -> Iterator[Watch]:
    made = Watch(knocker.house.line.database)
    yield made
    made.close()
