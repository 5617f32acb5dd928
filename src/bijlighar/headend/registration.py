"""
Self-registration: what a modem says of itself when it comes up, as one table of places. Pure.

No part of IS 15959 that could be read lays the content down; makes agree on the push setup 0.130.25.9.0.255 and on
device and setup standing first, as in every push. The places after these two are those of `FORM`: a make that sends
another order needs another tuple, no other code. What stands there is a claim: nothing here believes it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bijlighar.dlms import axdr
from bijlighar.dlms import clock as cosem_clock
from bijlighar.dlms.errors import Malformed
from bijlighar.dlms.event import DataNotification, Notification
from bijlighar.dlms.obis import Obis

REGISTRATION_SETUP = Obis.parse("0.130.25.9.0.255")
#: A modem's name: what stands in `callin://NAME`.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
IMEI = re.compile(r"[0-9]{14,17}")
SIM = re.compile(r"[0-9A-Fa-f]{10,22}")
#: How many meters a modem may name behind itself.
METERS_MAX = 256
SIGNAL_DBM_MIN = -200


class FactKind(StrEnum):
    """What is learnt of a modem."""

    ADDRESS = "address"
    IMEI = "imei"
    SIM = "sim"
    SIGNAL = "signal"
    METERS = "meters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """
    What a modem claims of itself.

    device: its name; at: when it says it is, None if its clock does not tell; facts: by kind, as text (signal in
    dBm, meters as `SERVER:SERIAL` separated by spaces).
    """

    device: str
    at: datetime | None = None
    facts: Mapping[FactKind, str] = field(default_factory=dict)


def read_registration(notification: Notification) -> Registration:
    """
    Return the registration that a notification holds.

    :raises RemoteProtocolError: if it is none.
    """
    if not isinstance(notification, DataNotification):
        raise Malformed("a registration is a data-notification")
    match notification.value:
        case (device, bytes() as setup, *rest) if setup == REGISTRATION_SETUP.octets:
            pass
        case _:
            raise Malformed("a registration begins with the modem's name and the push setup 0.130.25.9.0.255")
    facts: dict[FactKind, str] = {}
    at = None
    for (kind, read), cell in zip(FORM, rest, strict=False):
        if cell is None:
            continue
        if kind is None:
            at = _time(cell)
        else:
            facts[kind] = read(cell)
    return Registration(device=_matching(NAME, "name")(device), at=at, facts=facts)


def registration_body(
    *, device: str, time: bytes, imei: str, sim: str, signal_dbm: int, meters: Mapping[int, str]
) -> bytes:
    """Return the A-XDR octets of a registration; `meters` are serials by their server addresses."""
    return axdr.structure(
        axdr.visible_string(device),
        axdr.octet_string(REGISTRATION_SETUP.octets),
        axdr.octet_string(time),
        axdr.visible_string(imei),
        axdr.visible_string(sim),
        axdr.long(signal_dbm),
        axdr.array(
            [
                axdr.structure(axdr.long_unsigned(server), axdr.visible_string(serial))
                for server, serial in meters.items()
            ]
        ),
    )


def _text(cell: object) -> str:
    if isinstance(cell, bytes):
        return cell.decode("ascii", errors="replace").strip("\0 ")
    return cell.strip("\0 ") if isinstance(cell, str) else ""


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[object], str]:
    def read(cell: object) -> str:
        text = _text(cell)
        if not pattern.fullmatch(text):
            raise Malformed(f"a registration tells as {what} {text[:80]!r}, which is none")
        return text

    return read


def _time(cell: object) -> datetime | None:
    if not isinstance(cell, bytes):
        raise Malformed("a registration tells a time that is none")
    return cosem_clock.decode(cell)


def _signal(cell: object) -> str:
    if not isinstance(cell, int) or isinstance(cell, bool) or not SIGNAL_DBM_MIN <= cell <= 0:
        raise Malformed(f"a registration tells a signal of {cell!r}; dBm, 0 or less, are needed")
    return str(cell)


def _meters(cell: object) -> str:
    if not isinstance(cell, list) or len(cell) > METERS_MAX:
        raise Malformed(f"a registration lists its meters as an array of {METERS_MAX} at most")
    read = _matching(NAME, "meter")
    found: list[str] = []
    for place, one in enumerate(cell, start=1):
        match one:
            case (int() as server, serial):
                found.append(f"{server}:{read(serial)}")
            case _:
                found.append(f"{place}:{read(one)}")
    return " ".join(found)


#: What stands in which place after device and setup, and how it is read; None is the modem's clock. Places at the end
#: may be missing, and any may be null.
FORM: tuple[tuple[FactKind | None, Callable[[object], str]], ...] = (
    (None, _text),
    (FactKind.IMEI, _matching(IMEI, "IMEI")),
    (FactKind.SIM, _matching(SIM, "SIM (ICCID)")),
    (FactKind.SIGNAL, _signal),
    (FactKind.METERS, _meters),
)
