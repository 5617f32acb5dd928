"""What head-end and gate say to each other: one JSON object a line, asked and answered in turn."""

import asyncio
import base64
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from bijlighar.dlms.cosem import Attribute
from bijlighar.dlms.obis import Obis
from bijlighar.headend.errors import GarbledAnswer, HeadEndError
from bijlighar.headend.model import ControlAction, GateRequest, MeterAddress, SignedOrder, TransportKind
from bijlighar.headend.orders import order_document, parse_order

Message: TypeAlias = Mapping[str, Any]

#: The longest message: a firmware image in base64.
LINE_LIMIT = 24 * 1024 * 1024
#: The kernel takes no longer name of a socket.
SOCKET_NAME_MAX = 100


class Told(HeadEndError):
    """The gate tells of a failure; it carries the code of what failed."""

    code = "headend.gate-told"

    def __init__(self, *, code: str, text: str) -> None:
        """Carry a code and a text as the gate told them."""
        super().__init__(text)
        self.code = code


@contextmanager
def short_name(path: Path) -> Iterator[str]:
    """Yield a name of a socket that the kernel takes, however long the path of its folder is."""
    if len(str(path)) <= SOCKET_NAME_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


async def write_message(writer: asyncio.StreamWriter, message: Message) -> None:
    """Send a message."""
    writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
    await writer.drain()


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """
    Return the next message, None at the end.

    :raises GarbledAnswer: if it is none.
    """
    try:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            return None
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise GarbledAnswer("what came over the gate's socket is no message") from None
    if not isinstance(found, dict):
        raise GarbledAnswer("what came over the gate's socket is no object")
    return found


def request_message(request: GateRequest) -> Message:
    """Return a request as it is sent."""
    return {
        "order_id": request.order_id,
        "serial": request.serial,
        "action": request.action.value,
        "feeder": request.feeder,
        "order": order_document(request.signed.order),
        "signature": request.signed.signature.hex(),
        **({} if request.document is None else {"document": request.document}),
    }


def parse_request(message: Message) -> GateRequest:
    """
    Return the request of a message. The signed word about the feeder goes before that of whoever asks.

    :raises BrokenOrder: if its order is none.
    :raises ValueError, KeyError, TypeError: if it is no request.
    """
    order = parse_order(message["order"])
    return GateRequest(
        order_id=str(message["order_id"]),
        serial=str(message["serial"]),
        action=ControlAction(message["action"]),
        feeder=order.feeder or message["feeder"],
        signed=SignedOrder(order=order, signature=bytes.fromhex(message["signature"])),
        document=None if message.get("document") is None else str(message["document"]),
    )


def address_message(address: MeterAddress) -> Message:
    """Return an address as it is sent."""
    return {
        "kind": address.kind.value,
        "host": address.host,
        "port": address.port,
        "server": address.server,
        "physical": address.physical,
    }


def parse_address(message: Message) -> MeterAddress:
    """
    Return the address of a message.

    :raises ValueError, KeyError: if it is none.
    """
    return MeterAddress(
        kind=TransportKind(message["kind"]),
        host=str(message["host"]),
        port=int(message["port"]),
        server=int(message["server"]),
        physical=message["physical"],
    )


def attribute_message(attribute: Attribute) -> Message:
    """Return an attribute as it is sent."""
    return {"class": attribute.class_id, "obis": attribute.obis.octets.hex(), "index": attribute.index}


def parse_attribute(message: Message) -> Attribute:
    """
    Return the attribute of a message.

    :raises ValueError, KeyError: if it is none.
    """
    obis = Obis.from_octets(bytes.fromhex(message["obis"]))
    return Attribute(class_id=int(message["class"]), obis=obis, index=int(message["index"]))


def octets_message(octets: bytes | None) -> str | None:
    """Return octets as they are sent."""
    return None if octets is None else base64.b64encode(octets).decode()


def parse_octets(text: str | None) -> bytes | None:
    """
    Return the octets of a message.

    :raises ValueError: if it holds none.
    """
    return None if text is None else base64.b64decode(text, validate=True)
