"""A worker in a process of its own that sends until it is killed."""

import sys
from datetime import UTC, datetime, timedelta

from tests.notices.kit import NOW, SECRETS

from bijlighar.notices import operations
from bijlighar.notices.model import WhatsAppSettings
from bijlighar.storage import jobs
from bijlighar.storage.engine import Database

WORKER = "sender"


def main(url: str, port: str, wall_s: str) -> None:
    database = Database(url)
    wall = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=int(wall_s))
    with database.write() as connection:
        jobs.recover(connection, wall=wall, now=NOW, worker=WORKER)
    settings = WhatsAppSettings(
        url=f"http://127.0.0.1:{port}/v23.0", phone_number_id="1", token=SECRETS.whatsapp_token
    )
    gateway = operations.open_gateway(settings)
    print("started", flush=True)  # noqa: T201
    while operations.send_due(database, now=NOW, wall=wall, gateway=gateway, worker=WORKER):
        pass
    gateway.close()
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
