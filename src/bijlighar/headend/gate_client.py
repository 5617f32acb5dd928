"""The head-end's side of the gate's socket. A gate that does not answer is a shut gate."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bijlighar.dlms.cosem import Attribute
from bijlighar.headend.errors import GarbledAnswer, GateAway
from bijlighar.headend.gate_wire import (
    LINE_LIMIT,
    Told,
    address_message,
    attribute_message,
    octets_message,
    parse_octets,
    read_message,
    request_message,
    short_name,
    write_message,
)
from bijlighar.headend.model import GateCode, GateRequest, MeterAddress, RelayReading

#: A gate that starts is waited for so long [s].
CONNECT_PATIENCE_S = 3.0
CONNECT_PAUSE_S = 0.05
#: The longest answer: a session with a slow meter, or an image sent to it.
ANSWER_TIMEOUT_S = 3_600.0


class GateLine:
    """One connection to the gate; with it ends whatever the gate has open with a meter for it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take an open connection."""
        self._reader = reader
        self._writer = writer

    async def ask(self, what: str, **fields: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        """
        Ask the gate and return its answer.

        :raises GateAway: if it does not answer.
        :raises Told: if it tells of a failure.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await write_message(self._writer, {"ask": what, **fields})
                answer = await read_message(self._reader)
        except (OSError, TimeoutError) as problem:
            raise _away(problem) from None
        if answer is None:
            raise _away("it hung up")
        if "error" in answer:
            raise Told(code=str(answer["error"]), text=str(answer["text"]))
        return answer.get("answer")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class RemoteSession:
    """A conversation of the gate with one meter, spoken through the socket."""

    def __init__(self, line: GateLine) -> None:
        """Wrap a line on which the gate has opened the conversation."""
        self._line = line
        self.octets = (0, 0)

    async def read_relay(self) -> RelayReading:
        """
        Return where the relay stands.

        :raises HeadEndError: if the gate does not answer, or tells of a failure.
        """
        found = await self._line.ask("relay")
        return RelayReading(
            output_state=found["output_state"],
            control_state=found["control_state"],
            control_mode=found["control_mode"],
        )

    async def get_if_any(self, attribute: Attribute) -> bytes | None:
        """
        Return the A-XDR octets of an attribute, None if the meter has no such thing.

        :raises HeadEndError: if the gate does not answer, or tells of a failure.
        """
        return parse_octets(await self._line.ask("get", attribute=attribute_message(attribute)))

    async def set_clock(self, *, now: datetime) -> None:  # noqa: ARG002 - the gate has a clock of its own
        """
        Have the gate set the meter's clock by its own.

        :raises HeadEndError: if the gate does not answer, or tells of a failure.
        """
        await self._line.ask("set_clock")

    async def act(self, order_id: str, *, now: datetime) -> int:  # noqa: ARG002 - the gate has a clock of its own
        """
        Have the gate do once what an admitted order says, and return the meter's result code.

        :raises HeadEndError: if the gate does not answer, refuses, or tells of a failure.
        """
        return int(await self._line.ask("act", order_id=order_id))

    async def release(self) -> None:
        """End the association in good order, and take what the gate knows of the conversation."""
        try:
            came, left = await self._line.ask("release")
        except (GateAway, Told, GarbledAnswer):
            return
        self.octets = (int(came), int(left))

    def close(self) -> None:
        """Hang up; the gate closes the connection to the meter."""
        self._line.close()


class RemoteGate:
    """The gate behind its socket."""

    is_elsewhere = True

    def __init__(self, socket: str) -> None:
        """Name the socket; nothing is asked yet."""
        self._socket = Path(socket)

    async def grant(self, request: GateRequest, *, now: datetime) -> GateCode:  # noqa: ARG002 - it has its own clock
        """
        Return whether an order may be acted on once.

        :raises HeadEndError: if the gate does not answer, or tells of a failure.
        """
        return GateCode(await self.ask("grant", **request_message(request)))

    async def admit(self, request: GateRequest) -> GateCode:
        """
        Return whether an order passes here and now, for somebody who acts himself.

        :raises HeadEndError: if the gate does not answer, or tells of a failure.
        """
        return GateCode(await self.ask("admit", **request_message(request)))

    async def close_order(self, order_id: str, *, now: datetime) -> None:  # noqa: ARG002 - it has its own clock
        """
        Let nothing pass any more under an order.

        :raises HeadEndError: if the gate does not answer, or tells of a failure.
        """
        await self.ask("close", order_id=order_id)

    async def change_keys(self, *, order_id: str, serial: str, address: MeterAddress) -> None:
        """
        Have the gate give a meter new keys for client 48, under an order that it has granted.

        :raises HeadEndError: if the gate does not answer, refuses, or tells of a failure; asked again, it goes on.
        """
        await self.ask("change_keys", order_id=order_id, serial=serial, address=address_message(address))

    async def change_secret(self, *, order_id: str, serial: str, address: MeterAddress) -> None:
        """
        Have the gate give a meter a new password for client 48, under an order that it has granted.

        :raises HeadEndError: if the gate does not answer, refuses, or tells of a failure; asked again, it goes on.
        """
        await self.ask("change_secret", order_id=order_id, serial=serial, address=address_message(address))

    async def envelope_key(self) -> bytes:
        """
        Return the public key (32 octets) to which is sealed what the gate alone may open.

        :raises HeadEndError: if the gate does not answer, or tells of a failure.
        """
        return bytes.fromhex(await self.ask("envelope_key"))

    async def send_reading_change(
        self, *, order_id: str, serial: str, address: MeterAddress, sealed: bytes
    ) -> None:
        """
        Have the gate bring a sealed change of reading keys into a meter, under an order that it has granted.

        :raises HeadEndError: if the gate does not answer, refuses, or tells of a failure; asked again, it goes on.
        """
        message = address_message(address)
        sent = octets_message(sealed)
        await self.ask("reading", order_id=order_id, serial=serial, address=message, sealed=sent)

    async def read_back(self, *, order_id: str, serial: str, address: MeterAddress, is_good: bool) -> None:
        """
        Tell the gate how a meter was read by what an order for reading keys has changed; it looks for itself, too.

        :raises HeadEndError: if the gate does not answer, or tells of a failure.
        """
        message = address_message(address)
        await self.ask("read_back", order_id=order_id, serial=serial, address=message, is_good=is_good)

    async def send_firmware(
        self, *, order_id: str, serial: str, address: MeterAddress, version: str, image: bytes
    ) -> None:
        """
        Have the gate bring firmware into a meter, under an order that it has granted.

        :raises HeadEndError: if the gate does not answer, refuses, or tells of a failure; asked again, it goes on.
        """
        await self.ask(
            "firmware",
            order_id=order_id,
            serial=serial,
            address=address_message(address),
            version=version,
            image=octets_message(image),
        )

    async def send_settings(
        self, *, order_id: str, serial: str, address: MeterAddress, document: str
    ) -> tuple[str, ...]:
        """
        Have the gate set a meter by a document, under an order that it has granted; return what it had to write.

        :raises HeadEndError: if the gate does not answer, refuses, or tells of a failure; asked again, it goes on.
        """
        message = address_message(address)
        return tuple(
            await self.ask("settings", order_id=order_id, serial=serial, address=message, document=document)
        )

    async def outcomes(self, *, digest: str) -> Mapping[str, str]:
        """
        Return how the meters were read back that a document or an image was let to, by serial; empty: not yet.

        :raises HeadEndError: if the gate does not answer, or tells of a failure.
        """
        return {
            str(serial): str(outcome)
            for serial, outcome in (await self.ask("outcomes", digest=digest)).items()
        }

    async def open(self, *, serial: str, address: MeterAddress, now: datetime) -> RemoteSession:  # noqa: ARG002
        """
        Have the gate open a conversation with a meter.

        :raises HeadEndError: if the gate does not answer, or tells of a failure.
        """
        line = await self._connect()
        try:
            await line.ask("open", serial=serial, address=address_message(address))
        except BaseException:
            line.close()
            raise
        return RemoteSession(line)

    async def ask(self, what: str, **fields: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        """
        Ask one thing over a connection of its own.

        :raises HeadEndError: if the gate does not answer, or tells of a failure.
        """
        line = await self._connect()
        try:
            return await line.ask(what, **fields)
        finally:
            line.close()

    async def _connect(self) -> GateLine:
        loop = asyncio.get_running_loop()
        until = loop.time() + CONNECT_PATIENCE_S
        while True:
            try:
                with short_name(self._socket) as name:
                    return GateLine(*await asyncio.open_unix_connection(name, limit=LINE_LIMIT))
            except OSError as problem:
                if loop.time() > until:
                    raise _away(problem.strerror or str(problem)) from None
            await asyncio.sleep(CONNECT_PAUSE_S)


def _away(why: object) -> GateAway:
    return GateAway(
        f"the gate does not answer ({why}), so nothing passes; start it: bijlighar gate (serve starts it itself)"
    )
