"""
The meters' side of TCP: each meter listens on its own port and speaks DLMS/COSEM in the server role.

A connection is one protocol object over the pure association of `dlms`; what is asked is answered by `MeterObjects`.
"""

import asyncio
import os
import socket
import struct
from collections import Counter
from functools import partial
from typing import cast

from bijlighar.base.errors import BijligharError
from bijlighar.dlms.errors import RemoteProtocolError, Replayed
from bijlighar.dlms.event import (
    ActionListRequest,
    ActionListResult,
    ActionRequest,
    AssociationAccepted,
    AssociationRequest,
    Event,
    GetListRequest,
    GetListResult,
    GetRequest,
    HlsProven,
    LinkClosed,
    NeedData,
    Released,
    ReleaseRequest,
    SetListRequest,
    SetListResult,
    SetRequest,
)
from bijlighar.dlms.security import Mechanism, Security
from bijlighar.dlms.session import Association, Framing, Role
from bijlighar.simulator.errors import PortTaken
from bijlighar.simulator.faultlines import AWAY_S, MODEM_CONNECTIONS, Gateway, Line
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.objects import MeterObjects
from bijlighar.simulator.silence import SilencePlan

PUBLIC, READER, SETTING = 16, 32, 48
BACKLOG = 64
LAST_PORT = 65_535
#: A client that sends more than this without being understood is cut off [octets].
LONGEST_INPUT = 1 << 20
#: A connection on which nothing is heard for IDLE_TICKS times TICK_S [s] is closed, as meters do.
TICK_S, IDLE_TICKS = 30.0, 6
_GARBAGE_OCTETS = 64
_RESET = struct.pack("ii", 1, 0)


class Meters:
    """All listening meters of a town."""

    def __init__(
        self, live: LiveTown, *, framing: Framing, quiet: SilencePlan, per_gateway: int | None = None
    ) -> None:
        """Serve the meters of `live`; `quiet` tells which are silent, `per_gateway` how many share a gateway."""
        self.live = live
        self.framing = framing
        self.quiet = quiet
        self.sessions = 0
        #: Messages refused for their old counter, by meter.
        self.replayed: Counter[int] = Counter()
        self.ticks = 0
        self.open_connections: set[MeterConnection] = set()
        #: The connections that the modem holds which meters with the fault `shared_modem` share.
        self.at_modem: set[MeterConnection] = set()
        #: Until when meters that rebooted are away, by meter [s of the event loop].
        self.away_until: dict[int, float] = {}
        self._gateways: dict[int, Gateway] = {}
        self._per_gateway = per_gateway
        self.objects = MeterObjects(live)
        self._servers: list[asyncio.Server] = []

    async def listen(self, *, host: str, port: int) -> int:
        """
        Open the port of every meter that communicates and return how many there are.

        :raises PortTaken: if a port is in use.
        """
        loop = asyncio.get_running_loop()
        last = port + max((device.listens or 0 for device in self.live.town.devices), default=0)
        if last > LAST_PORT:
            raise PortTaken(f"the meters cannot listen on ports {port} to {last}; choose a lower --port")
        for device in self.live.town.devices:
            if device.listens is None:
                continue
            try:
                server = await loop.create_server(
                    partial(MeterConnection, self, device.index),
                    host,
                    port + device.listens,
                    backlog=BACKLOG,
                )
            except OSError as problem:
                raise PortTaken(
                    f"meter {device.serial} cannot listen on {host}:{port + device.listens} ({problem}); "
                    "choose another --port"
                ) from None
            self._servers.append(server)
        return len(self._servers)

    async def hang_up_idle(self) -> None:
        """Close, for ever and again, the connections on which nothing was heard for a while."""
        while True:
            await asyncio.sleep(TICK_S)
            self.ticks += 1
            for connection in list(self.open_connections):
                if self.ticks - connection.heard_at > IDLE_TICKS:
                    connection.hang_up()

    @property
    def listening(self) -> int:
        """Return how many meters listen."""
        return len(self._servers)

    def close(self) -> None:
        """Close every port."""
        for server in self._servers:
            server.close()

    def gateway(self, device: int) -> Gateway | None:
        """Return the gateway before a meter, None where each has a modem of its own."""
        place = self.live.town.devices[device].listens
        if self._per_gateway is None or place is None:
            return None
        return self._gateways.setdefault(place // self._per_gateway, Gateway())

    def answers(self, device: int) -> bool:
        """Return whether a meter takes connections now."""
        live, gateway = self.live, self.gateway(device)
        state = live.state
        now = live.now_s
        return bool(
            state.hung_from[device] <= now < state.hung_to[device]
            and live.has_power(device)
            and not live.has_fault(device, "silent")
            and not self.quiet.is_silent(device)
            and self.away_until.get(device, 0.0) <= asyncio.get_running_loop().time()
            and not (gateway is not None and gateway.is_full)
            and (len(self.at_modem) < MODEM_CONNECTIONS or not live.has_fault(device, "shared_modem"))
        )


class MeterConnection(asyncio.Protocol):
    """One connection to one meter."""

    __slots__ = (
        "_association",
        "_device",
        "_gateway",
        "_line",
        "_meters",
        "_received",
        "_transport",
        "heard_at",
    )

    def __init__(self, meters: Meters, device: int) -> None:
        """Be a connection to the meter with index `device`."""
        self._meters = meters
        self._device = device
        self._transport: asyncio.Transport | None = None
        self._received = 0
        self._association: Association | None = None
        self._line: Line | None = None
        self._gateway: Gateway | None = None
        self.heard_at = meters.ticks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or reset it where the meter is silent."""
        self._transport = cast(asyncio.Transport, transport)
        if not self._meters.answers(self._device):
            reset(self._transport)
            return
        self._meters.sessions += 1
        self._meters.open_connections.add(self)
        if self._meters.live.has_fault(self._device, "shared_modem"):
            self._meters.at_modem.add(self)
        self._gateway = self._meters.gateway(self._device)
        if self._gateway is not None:
            self._gateway.connections += 1
        self._line = Line(
            self._meters.live,
            self._device,
            self._transport,
            number=self._meters.sessions,
            gateway=self._gateway,
        )
        way = self._meters.live.way(self._device)
        self._association = Association(
            role=Role.SERVER,
            server=way.server,
            framing=self._meters.framing,
            physical=way.physical,
            address_octets=way.address_octets,
            security_for=self._security_for,
            randomness=os.urandom,
        )

    def data_received(self, data: bytes) -> None:
        """Take octets and answer what they ask."""
        association, transport, live = self._association, self._transport, self._meters.live
        line = self._line
        if association is None or transport is None or line is None or live.has_fault(self._device, "mute"):
            return
        if not live.has_power(self._device):
            reset(transport)
            return
        if live.has_fault(self._device, "garbage"):
            transport.write(os.urandom(_GARBAGE_OCTETS))
            return
        association.receive_data(data)
        self._received += len(data)
        self.heard_at = self._meters.ticks
        self._answer_all(association, transport, line)

    def _answer_all(self, association: Association, transport: asyncio.Transport, line: Line) -> None:
        live = self._meters.live
        while True:
            try:
                event = association.next_event()
            except RemoteProtocolError as problem:
                self._meters.replayed[self._device] += isinstance(problem, Replayed)
                line.write(association.data_to_send() + association.refusal(problem))
                if association.broken or self._received > LONGEST_INPUT:
                    line.close()
                    return
                continue
            if isinstance(event, NeedData):
                line.write(association.data_to_send())
                return
            self._received = 0
            self._note_counter(association)
            out = association.data_to_send() + self._answer(association, event)
            if live.has_fault(self._device, "drop") and isinstance(event, GetRequest | GetListRequest):
                transport.write(out[: len(out) // 2])
                transport.close()
                return
            line.write(out)
            if line.has_rebooted:
                away_s = asyncio.get_running_loop().time() + AWAY_S
                self._meters.away_until[self._device] = away_s
                reset(transport)
                return

    def hang_up(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the association."""
        self._meters.open_connections.discard(self)
        self._meters.at_modem.discard(self)
        if self._gateway is not None:
            self._gateway.connections -= 1
            self._gateway = None
        self._association = None
        self._transport = None

    def _answer(self, association: Association, event: Event) -> bytes:
        answer: Event
        objects, device, client = self._meters.objects, self._device, self._client(association)
        if isinstance(event, GetRequest):
            answer = objects.get(device, client, event)
        elif isinstance(event, GetListRequest):
            requests = [
                GetRequest(attribute=attribute, selection=chosen) for attribute, chosen in event.attributes
            ]
            answer = GetListResult(
                results=tuple(objects.get(device, client, request) for request in requests)
            )
        elif isinstance(event, ActionRequest):
            answer = objects.act(device, client, event)
        elif isinstance(event, ActionListRequest):
            calls = [ActionRequest(method=method, parameters=given) for method, given in event.items]
            answer = ActionListResult(results=tuple(objects.act(device, client, call) for call in calls))
        elif isinstance(event, SetListRequest):
            writes = [
                SetRequest(attribute=name, data=data, selection=selection)
                for name, selection, data in event.items
            ]
            answer = SetListResult(
                results=tuple(objects.set(device, client, write).result for write in writes)
            )
        elif isinstance(event, SetRequest):
            answer = objects.set(device, client, event)
        elif isinstance(event, AssociationRequest):
            answer = AssociationAccepted()
        elif isinstance(event, ReleaseRequest):
            answer = Released()
        elif isinstance(event, LinkClosed | HlsProven):
            return b""
        else:
            raise UnexpectedEvent(f"a meter has no answer to {type(event).__name__}")
        return association.send(answer)

    def _note_counter(self, association: Association) -> None:
        counter = association.received_counter
        if counter >= 0:
            self._meters.live.note_received(self._device, self._client(association), counter)

    def _client(self, association: Association) -> int:
        """Return the client that speaks, whatever its address."""
        return self._meters.live.way(self._device).client(association.client) or association.client

    def _security_for(self, address: int) -> Security | None:
        live, index = self._meters.live, self._device
        way = live.way(index)
        client = way.client(address)
        if client == PUBLIC:
            return Security()
        if client not in (READER, SETTING):
            return None
        device, reads = live.town.devices[index], client == READER
        upkeep = self._meters.objects.upkeep
        key, authentication_key = way.keys(*upkeep.keys(device, client))
        if live.has_fault(index, "wrong_key"):
            key = bytes(octet ^ 0x5A for octet in key)
        secret = upkeep.secret(device, client)
        return Security(
            mechanism=way.mechanism if reads else Mechanism.HLS5,
            secret=way.password(secret) if reads else secret,
            ciphered=way.ciphers_reading or not reads,
            own_title=way.title(device),
            ek=key,
            ak=authentication_key,
            next_counter=lambda: live.next_counter(index),
            received_counter=live.received_counter(index, client),
            suite=way.suite,
            challenge_octets=way.challenge_octets if reads else None,
            answer_control=way.answers_reading if reads else None,
            accept_unauthenticated=reads and way.answers_reading is not None,
        )


class UnexpectedEvent(BijligharError):
    """The association told of something that a meter does not know."""

    code = "simulator.unexpected-event"


def reset(transport: asyncio.Transport) -> None:
    """Reset a connection, as a modem does that has no meter behind it."""
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
