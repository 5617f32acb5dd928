"""Hanging test meters in the registry and giving the head-end their keys."""

from collections.abc import Sequence

from bijlighar.headend import operations
from bijlighar.headend.model import MeterKeys
from bijlighar.registry import operations as registry
from bijlighar.storage.engine import Database
from tests.headend.orders import KEY_ENCRYPTION_KEY, NOW

HEADER = (
    "account,name,category,area,sanctioned_w,usage_point,meter,meter_type,url,transformer,feeder,phase,office,"
    "minutes,gateway,from"
)


def hang(
    database: Database,
    *,
    serial: str,
    url: str,
    meter_type: str = "single-phase",
    feeder: str = "F-1",
    gateway: str = "",
    from_: str = "2025-06-01T00:00:00+05:30",
    keys: Sequence[MeterKeys] = (),
) -> None:
    """Hang a meter, and store its keys."""
    text = (
        f"{HEADER}\nA-{serial},Name,LV-1.2,urban,2000,U-{serial},{serial},{meter_type},{url},T-1,{feeder},R,TOWN,"
        f"30,{gateway},{from_}\n"
    )
    with database.write() as connection:
        registry.import_registry(connection, text=text, now=NOW)
        operations.store_keys(connection, keys=list(keys), key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)
