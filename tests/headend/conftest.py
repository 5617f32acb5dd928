"""A head-end over a real database."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from bijlighar.headend.gate_keeper import GateKeeper
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.model import Ceilings, HeadEndSettings
from bijlighar.storage.engine import Database
from tests.headend.meter import STARTED
from tests.headend.orders import KEY_ENCRYPTION_KEY, VERIFY_KEY

if TYPE_CHECKING:
    from tests.headend.gated_town import GatedTown

FAST = HeadEndSettings(
    key_encryption_key=KEY_ENCRYPTION_KEY,
    verify_key=VERIFY_KEY,
    connect_timeout_s=1.0,
    answer_timeout_s=0.5,
    session_timeout_s=10.0,
    control_timeout_s=5.0,
    control_lease_s=30,
    verify_tries=2,
    verify_pause_s=0.01,
    ceilings=Ceilings(),
)


@pytest.fixture
def head_end(database: Database) -> HeadEnd:
    """A head-end that does not wait long."""
    return open_head_end(database, settings=FAST)


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine to its end, and close the meters that it started."""

    async def whole(scenario: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await scenario
        finally:
            for meter in STARTED:
                await meter.stop()
            STARTED.clear()

    return lambda scenario: asyncio.run(whole(scenario))


@pytest.fixture
def keeper(town: "GatedTown") -> Iterator[GateKeeper]:
    """The gate of a module's gated town, kept within this process."""
    kept = town.gate.folder.keeper(settings=FAST)
    yield kept
    kept.store.close()


@pytest.fixture(scope="module")
def serials(town: "GatedTown") -> Iterator[str]:
    """The meters of a module's gated town, each given out once."""
    return iter(town.serials)


@pytest.fixture
def serial(serials: Iterator[str]) -> str:
    """A meter that no test has touched."""
    return next(serials)
