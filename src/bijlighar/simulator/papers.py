"""The files a town hands to the system before it runs: offices, registry, network, keys."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence

from bijlighar.base.period import IST
from bijlighar.simulator.errors import ControlRefused
from bijlighar.simulator.model import Device, Kind, Town

REGISTRY_COLUMNS = (
    "account",
    "name",
    "category",
    "area",
    "sanctioned_w",
    "usage_point",
    "meter",
    "meter_type",
    "url",
    "transformer",
    "feeder",
    "phase",
    "office",
    "phone",
    "language",
    "email",
    "multiplier",
    "minutes",
    "gateway",
    "from",
    "protected",
)
MINUTES = 30


def meter_url(
    device: Device, *, host: str, port: int, scheme: str = "tcp", per_modem: int | None = None
) -> str:
    """
    Return the address of a meter, empty if it does not communicate.

    Where `per_modem` meters stand behind one modem that calls in, that is the modem's name and the meter's place.
    """
    if device.listens is None:
        return ""
    if per_modem is not None:
        name = gateway_of(device, per_gateway=per_modem)
        return f"callin://{name}?server={device.listens % per_modem + 1}"
    return f"{scheme}://{host}:{port + device.listens}"


def url_of(*, town: Town, serial: str, host: str, port: int) -> str:
    """
    Return the address of the meter with a serial number.

    :raises ControlRefused: if the town has none.
    """
    device = next((device for device in town.devices if device.serial == serial), None)
    if device is None:
        raise ControlRefused(f"the town has no meter {serial}")
    return meter_url(device, host=host, port=port)


def registry_csv(
    *, town: Town, host: str, port: int, per_gateway: int | None = None, per_modem: int | None = None
) -> str:
    """
    Return the registry of the first day: every meter that hangs then, an old one with an empty url.

    Where `per_gateway` meters stand behind one gateway, each row names it; where `per_modem` stand behind one modem
    that calls in, its name is their address.
    """
    return _csv(
        REGISTRY_COLUMNS,
        (
            _row(town, device, url=meter_url(device, host=host, port=port, per_modem=per_modem))
            | {"gateway": gateway_of(device, per_gateway=per_gateway)}
            for device in town.devices
            if not device.in_store
        ),
    )


def gateway_of(device: Device, *, per_gateway: int | None) -> str:
    """Return the name of the gateway before a meter, empty where each has a modem of its own."""
    if per_gateway is None or device.listens is None:
        return ""
    return f"GW-{device.listens // per_gateway + 1:05d}"


def network_csv(*, town: Town) -> str:
    """Return the transformers with their ratings; each has its meter on the LV side."""
    columns = ("transformer", "feeder", "kva", "no_load_loss_w", "load_loss_w", "side")
    rows = (
        {
            "transformer": plan.code,
            "feeder": plan.feeder,
            "kva": plan.kva,
            "no_load_loss_w": plan.no_load_loss_w,
            "load_loss_w": plan.load_loss_w,
            "side": "lv",
        }
        for plan in town.transformers
    )
    return _csv(columns, rows)


def offices_csv(*, town: Town) -> str:
    """Return the offices, the highest first."""
    columns = ("code", "name_en", "name_hi", "level", "parent")
    return _csv(columns, ({name: getattr(office, name) for name in columns} for office in town.offices))


def keys_json(*, town: Town, host: str, port: int, scheme: str = "tcp", per_modem: int | None = None) -> str:
    """Return the keys file of all meters that communicate, those still in store included."""
    return json.dumps(
        [
            {
                "url": meter_url(device, host=host, port=port, scheme=scheme, per_modem=per_modem),
                "serial": device.serial,
                "system_title": device.system_title.hex(),
                "ek": device.encryption_key.hex(),
                "ak": device.authentication_key.hex(),
                "lls": device.reader_secret.decode(),
                "hls": device.setting_key.decode(),
                "master": device.master_key.hex(),
            }
            for device in town.devices
            if device.listens is not None
        ],
        indent=1,
    )


def _row(town: Town, device: Device, *, url: str) -> dict[str, object]:
    row: dict[str, object] = {
        "usage_point": device.usage_point,
        "meter": device.serial,
        "meter_type": device.kind,
        "url": url,
        "feeder": device.feeder,
        "office": town.office,
        "multiplier": 1,
        "minutes": MINUTES,
        "from": device.hung_from.astimezone(IST).isoformat() if device.hung_from is not None else "",
    }
    if device.kind is not Kind.FEEDER:
        row["transformer"] = device.transformer
    if device.consumer is None:
        return row
    consumer, protection = town.consumers[device.consumer], ""
    if consumer.protection is not None:
        plan = consumer.protection
        protection = f"{plan.kind}:{plan.certificate}:{plan.until.isoformat()}"
    return row | {
        "account": consumer.account,
        "name": consumer.name,
        "category": consumer.category,
        "area": consumer.area,
        "sanctioned_w": consumer.sanctioned_w,
        "phase": consumer.phase,
        "office": consumer.office,
        "phone": consumer.phone,
        "language": consumer.language,
        "email": consumer.email,
        "protected": protection,
    }


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
