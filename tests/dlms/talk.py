"""A client and a server role that talk to each other in memory."""

import itertools
from collections.abc import Callable

from bijlighar.dlms import axdr, cosem
from bijlighar.dlms.event import (
    NEED_DATA,
    ActionRequest,
    ActionResult,
    AssociationAccepted,
    AssociationRequest,
    Event,
    GetListRequest,
    GetListResult,
    GetRequest,
    GetResult,
    NeedData,
    Released,
    ReleaseRequest,
    SetRequest,
    SetResult,
)
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.security import Mechanism, Security
from bijlighar.dlms.session import Association, Framing, Role

EK = bytes(range(16))
AK = bytes(range(0xD0, 0xE0))
CLIENT_TITLE = b"MDMHES01"
SERVER_TITLE = b"BIJ00001"
HIGH_LEVEL = [mechanism for mechanism in Mechanism if mechanism.is_high_level]
SECRET = b"0123456789abcdef"

BLOCK_LOAD = cosem.Attribute(class_id=7, obis=Obis.parse("1.0.99.1.0.255"))
CLOCK = cosem.Attribute(class_id=8, obis=Obis.parse("0.0.1.0.0.255"))
DISCONNECT = cosem.Method(class_id=70, obis=Obis.parse("0.0.96.3.10.255"), index=1)
LONG_VALUE = axdr.array(
    [axdr.structure(axdr.octet_string(bytes(12)), axdr.double_long_unsigned(row)) for row in range(200)]
)


class Randomness:
    """Octets that differ each time and are the same in every run."""

    def __init__(self, seed: int = 0) -> None:
        self._next = itertools.count(seed)

    def __call__(self, count: int) -> bytes:
        return (next(self._next).to_bytes(4, "big") * count)[:count]


class Counter:
    """An invocation counter that remembers what it gave."""

    def __init__(self, last: int = 0) -> None:
        self.last = last

    def __call__(self) -> int:
        self.last += 1
        return self.last


def client_security(**changes: object) -> Security:
    values: dict[str, object] = {
        "mechanism": Mechanism.LLS,
        "secret": SECRET,
        "ciphered": True,
        "own_title": CLIENT_TITLE,
        "ek": EK,
        "ak": AK,
        "next_counter": Counter(),
    }
    return Security(**(values | changes))  # type: ignore[arg-type]


def server_security(**changes: object) -> Security:
    return client_security(**({"own_title": SERVER_TITLE, "next_counter": Counter()} | changes))


SIMPLE_ANSWERS: dict[type, Event] = {
    AssociationRequest: AssociationAccepted(),
    SetRequest: SetResult(),
    ActionRequest: ActionResult(),
    ReleaseRequest: Released(),
}


def default_answer(event: Event) -> Event | None:
    """What a meter that agrees to all answers."""
    match event:
        case GetRequest():
            is_profile = event.attribute.class_id == 7
            return GetResult(data=LONG_VALUE if is_profile else axdr.octet_string(bytes(12)))
        case GetListRequest():
            return GetListResult(results=tuple(GetResult(data=LONG_VALUE) for _ in event.attributes))
    return SIMPLE_ANSWERS.get(type(event))


class Pair:
    """Both ends of one connection; `up` and `down` may change what is on its way."""

    def __init__(
        self,
        client: Security | None = None,
        server: Security | None = None,
        *,
        framing: Framing = Framing.WRAPPER,
        sap: int = 32,
        max_pdu: int = 512,
        information: int = 128,
        answer: Callable[[Event], Event | None] = default_answer,
    ) -> None:
        self.client = Association(
            role=Role.CLIENT,
            client=sap,
            framing=framing,
            hdlc_information=information,
            security=client,
            randomness=Randomness(1000),
            max_pdu=max_pdu,
        )
        self.server = Association(
            role=Role.SERVER,
            framing=framing,
            hdlc_information=information,
            security_for=lambda _: server,
            randomness=Randomness(),
            max_pdu=max_pdu,
        )
        self.answer = answer
        self.asked: list[Event] = []
        self.up: Callable[[bytes], bytes] = lambda octets: octets
        self.down: Callable[[bytes], bytes] = lambda octets: octets

    def serve(self, octets: bytes) -> bytes:
        """What the meter writes when it has read `octets`."""
        self.server.receive_data(octets)
        written = b""
        while True:
            event = self.server.next_event()
            written += self.server.data_to_send()
            if event is NEED_DATA or isinstance(event, NeedData):
                return written
            self.asked.append(event)
            answer = self.answer(event)
            if answer is not None:
                written += self.server.send(answer)

    def exchange(self, request: Event) -> Event:
        """What the client gets told on `request`."""
        octets = self.client.send(request)
        for _ in range(1000):
            self.client.receive_data(self.down(self.serve(self.up(octets))))
            event = self.client.next_event()
            octets = self.client.data_to_send()
            if not isinstance(event, NeedData):
                return event
        raise AssertionError("the exchange does not end")

    def associate(self) -> Event:
        return self.exchange(AssociationRequest())
