"""A head-end process that carries out what is due, for a test to kill: python -m tests.headend.control_worker URL."""

import asyncio
import sys

from bijlighar.headend.operations import open_head_end, run_control_due
from bijlighar.storage.engine import Database
from tests.headend.conftest import FAST
from tests.headend.orders import NOW


def main() -> None:
    database = Database(sys.argv[1])
    head_end = open_head_end(database, settings=FAST)
    asyncio.run(run_control_due(database, now=NOW, wall=NOW, head_end=head_end))


if __name__ == "__main__":
    main()
