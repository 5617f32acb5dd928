"""
The parsers under attack: each takes any octets and may raise a `RemoteProtocolError`, nothing else.

Where a parser promises more (what is read is written as it was; two ways of reading agree), its target checks that.
"""

from collections.abc import Callable

from bijlighar.dlms import acse, axdr, clock, cosem, hdlc, initiate, is15959, push, shape, wrapper, xdlms
from bijlighar.dlms.ciphering import Envelope, Form
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.dlms.event import (
    ActionListRequest,
    ActionRequest,
    AssociationRequest,
    GetListRequest,
    GetRequest,
    NeedData,
    SetListRequest,
    SetRequest,
)
from bijlighar.dlms.general_block import decode_general_block
from bijlighar.dlms.initiate import SUPPORTED, Conformance
from bijlighar.dlms.security import Mechanism, Security
from bijlighar.dlms.session import Association, Framing, Role
from tests.dlms.talk import (
    BLOCK_LOAD,
    CLIENT_TITLE,
    CLOCK,
    DISCONNECT,
    SERVER_TITLE,
    Pair,
    Randomness,
    client_security,
    default_answer,
    server_security,
)

EVENTS_MAX = 10_000
ALL_SERVICES = int(SUPPORTED | Conformance.GENERAL_BLOCK_TRANSFER)
REQUESTS = (
    GetRequest(attribute=BLOCK_LOAD),
    GetListRequest(attributes=((CLOCK, None), (BLOCK_LOAD, None))),
    SetRequest(attribute=CLOCK, data=axdr.octet_string(bytes(1200))),
    ActionRequest(method=DISCONNECT, parameters=axdr.octet_string(bytes(1200))),
    SetListRequest(items=((CLOCK, None, axdr.octet_string(bytes(700))), (CLOCK, None, axdr.NULL))),
    ActionListRequest(items=((DISCONNECT, axdr.integer(0)), (DISCONNECT, None))),
)


def read_stream(association: Association) -> None:
    """Read all events of what came in; what is refused is dropped, as the head-end drops it."""
    for _ in range(EVENTS_MAX):
        try:
            event = association.next_event()
        except RemoteProtocolError as error:
            if association.broken:
                return
            association.refusal(error)
            continue
        association.data_to_send()
        if isinstance(event, NeedData):
            return
    raise AssertionError("the events do not end")


def read_wrappers(data: bytes) -> None:
    buffer = wrapper.WrapperBuffer(octets_max=8192)
    half = len(data) // 2
    for part in (data[:half], data[half:]):
        buffer.receive(part)
        while (found := buffer.next_frame()) is not None:
            header, apdu = found
            assert header.length == len(apdu)


def read_line(data: bytes) -> None:
    """Octets of a serial line, as they are."""
    buffer = hdlc.FrameBuffer()
    buffer.receive(data)
    for _ in range(EVENTS_MAX):
        try:
            frame = buffer.next_frame()
        except RemoteProtocolError:
            continue
        if frame is None:
            return
        again = hdlc.decode_frame(frame.encode()[1:-1])
        assert again == frame
    raise AssertionError("the frames do not end")


def framed(data: bytes, *, addresses: bytes, frames_max: int = 8) -> bytes:
    """Frames with right lengths and check sequences, of chunks of `data`; else no mutant would pass the checks."""
    line = b""
    for _ in range(frames_max):
        if len(data) < 4:
            break
        count, segmented = data[0] & 0x3F, data[0] & 0x80
        body, data = data[1 : count + 1], data[count + 1 :]
        head = (0xA000 | (0x0800 if segmented else 0) | (len(body) + 9)).to_bytes(2, "big")
        head += addresses + body[:1]
        head += hdlc.check_sequence(head)
        if len(body) > 1:
            head += body[1:]
            head += hdlc.check_sequence(head)
        else:
            head = head[:-2]
            head = (0xA000 | len(head) + 2).to_bytes(2, "big") + head[2:]
            head += hdlc.check_sequence(head)
        line += b"\x7e" + head + b"\x7e"
    return line


UA = hdlc.Frame(
    destination=hdlc.Address(upper=32),
    source=hdlc.Address(upper=1),
    control=0x73,
    information=hdlc.Parameters(transmit_window=7, receive_window=7).encode(),
).encode()
SNRM = hdlc.Frame(destination=hdlc.Address(upper=1), source=hdlc.Address(upper=32), control=0x93).encode()


def _association(role: Role) -> Association:
    return Association(
        role=role,
        client=32 if role is Role.CLIENT else None,
        framing=Framing.HDLC,
        hdlc_window=7,
        security_for=lambda _: Security(),
        randomness=Randomness(5),
        general_blocks=True,
    )


def read_frames(data: bytes) -> None:
    """Good frames with any content, to a client on a link that has asked for an association."""
    client = _association(Role.CLIENT)
    client.send(AssociationRequest())
    client.receive_data(UA)
    client.receive_data(framed(data, addresses=b"\x41\x03"))
    read_stream(client)


def read_frames_of_client(data: bytes) -> None:
    """Good frames with any content, to a meter on a link."""
    server = _association(Role.SERVER)
    server.receive_data(SNRM)
    server.receive_data(framed(data, addresses=b"\x03\x41"))
    for _ in range(EVENTS_MAX):
        try:
            event = server.next_event()
        except RemoteProtocolError as error:
            server.refusal(error)
            continue
        server.data_to_send()
        if isinstance(event, NeedData):
            return
        answer = default_answer(event)
        if answer is not None:
            server.send(answer)
    raise AssertionError("the events do not end")


def read_parameters(data: bytes) -> None:
    parameters = hdlc.decode_parameters(data)
    again = hdlc.decode_parameters(parameters.encode())
    assert again == parameters


def read_association_messages(data: bytes) -> None:
    for read in (
        acse.decode_aarq,
        acse.decode_aare,
        acse.decode_release,
        initiate.decode_initiate_request,
        initiate.decode_initiate_response,
    ):
        try:
            message = read(data)
        except RemoteProtocolError:
            continue
        assert read(message.encode()) == message


def read_apdu(data: bytes) -> None:
    message = xdlms.decode(data)
    assert xdlms.decode(message.encode()) == message


def read_general_block(data: bytes) -> None:
    block = decode_general_block(data)
    assert decode_general_block(block.encode()) == block


def read_value(data: bytes) -> None:
    try:
        value = axdr.decode(data)
    except RemoteProtocolError:
        value = ...
    tree = axdr.parse(data)
    assert axdr.skip(data, 0) == len(data)
    again = axdr.write(tree)
    assert axdr.write(axdr.parse(again)) == again
    if value is not ... and "nan" not in repr(value):
        assert axdr.decode(again) == value


def read_rows(data: bytes) -> None:
    rows = shape.decode(data)
    for index, column in enumerate(rows.columns):
        assert len(column.values) == rows.count
        try:
            rows.epochs(index)
        except RemoteProtocolError:
            continue
    gathered, counts = shape.decode_gathered([data, data])
    assert gathered.count == 2 * rows.count == sum(counts)


def read_names(data: bytes) -> None:
    for read in (cosem.capture_objects, cosem.logical_name, is15959.scalers, is15959.scaler_unit):
        try:
            read(data)
        except RemoteProtocolError:
            continue
    if len(data) == 12:
        clock.decode(data)
    cosem.read_selection(data, 0)


def read_pushes(data: bytes) -> None:
    """A stream of pushes from a modem."""
    receiver = push.Receiver(security_for=lambda title: client_security(peer_title=title) if title else None)
    receiver.receive_data(data)
    for _ in range(EVENTS_MAX):
        try:
            if isinstance(receiver.next_event(), NeedData):
                return
        except RemoteProtocolError as error:
            if "wrapper" in str(error) or "frame of" in str(error):
                return


def read_sealed_push(data: bytes) -> None:
    """Any content, pushed by somebody who has the keys."""
    if not data:
        return
    sealed = Envelope(server_security()).seal(data, form=Form.GENERAL_GLO)
    receiver = push.Receiver(security_for=lambda _: client_security(peer_title=SERVER_TITLE))
    receiver.receive_data(wrapper.encode(sealed, source=1, destination=64))
    receiver.next_event()


def read_ciphered(data: bytes) -> None:
    envelope = Envelope(client_security(peer_title=SERVER_TITLE, accept_unauthenticated=True))
    envelope.use_dedicated_key(bytes(16))
    opened = envelope.open(data)
    assert (
        opened.form is Form.PLAIN or opened.counter == envelope.received_counter or not opened.authenticated
    )


def apdus_of(data: bytes) -> list[bytes]:
    """`data` cut at every FEh into at most eight messages."""
    return [part for part in data.split(b"\xfe", 8) if part]


def _client_reads(request: object, data: bytes, security: object) -> None:
    pair = Pair(security, security and server_security(mechanism=Mechanism.NONE))  # type: ignore[arg-type]
    pair.client._services = pair.server._services = ALL_SERVICES if data[:1] == b"\xe0" else int(SUPPORTED)
    pair.associate()
    pair.client.send(request)  # type: ignore[arg-type]
    for apdu in apdus_of(data):
        sealed = pair.server._envelope.seal(apdu, form=Form.GLO) if security else apdu
        pair.client.receive_data(wrapper.encode(sealed, source=1, destination=32))
        read_stream(pair.client)


def read_answers(data: bytes) -> None:
    """Any answers, to a client that has asked."""
    if data:
        _client_reads(REQUESTS[data[0] % len(REQUESTS)], data[1:], None)


def read_sealed_answers(data: bytes) -> None:
    """Any answers of a meter that has the keys."""
    if data:
        _client_reads(REQUESTS[data[0] % len(REQUESTS)], data[1:], client_security(mechanism=Mechanism.NONE))


def read_association_answer(data: bytes) -> None:
    """Any answer to an association request."""
    pair = Pair(client_security(mechanism=Mechanism.HLS5, ciphered=False))
    pair.client.send(AssociationRequest())
    for apdu in apdus_of(data):
        pair.client.receive_data(wrapper.encode(apdu, source=1, destination=32))
        read_stream(pair.client)


def _server_reads(pair: Pair, data: bytes, *, sealed: bool) -> None:
    pair.client._services = pair.server._services = ALL_SERVICES if data[:1] == b"\xe0" else int(SUPPORTED)
    pair.associate()
    for apdu in apdus_of(data):
        octets = pair.client._envelope.seal(apdu, form=Form.GLO) if sealed else apdu
        try:
            pair.serve(wrapper.encode(octets, source=32, destination=1))
        except RemoteProtocolError as error:
            pair.server.refusal(error)
            pair.server.data_to_send()


def read_requests(data: bytes) -> None:
    """Any requests, to a meter with an association."""
    _server_reads(Pair(), data, sealed=False)


def read_sealed_requests(data: bytes) -> None:
    """Any requests of a client that has the keys."""
    pair = Pair(client_security(mechanism=Mechanism.NONE), server_security(mechanism=Mechanism.NONE))
    _server_reads(pair, data, sealed=True)


def read_association_request(data: bytes) -> None:
    """Any first message, to a meter."""
    pair = Pair(None, server_security(mechanism=Mechanism.HLS5, ciphered=False, peer_title=CLIENT_TITLE))
    pair.server._randomness = Randomness(0xA5F1_77E3)
    for apdu in apdus_of(data):
        try:
            pair.serve(wrapper.encode(apdu, source=32, destination=1))
        except RemoteProtocolError as error:
            pair.server.refusal(error)
            pair.server.data_to_send()


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (
        read_wrappers,
        read_line,
        read_frames,
        read_frames_of_client,
        read_parameters,
        read_association_messages,
        read_apdu,
        read_general_block,
        read_value,
        read_rows,
        read_names,
        read_pushes,
        read_sealed_push,
        read_ciphered,
        read_answers,
        read_sealed_answers,
        read_association_answer,
        read_requests,
        read_sealed_requests,
        read_association_request,
    )
}

#: Those that begin a whole session for each input; they get a quarter of the turns of the others.
COSTLY = frozenset(
    function.__name__
    for function in (read_frames, read_frames_of_client, read_sealed_answers, read_sealed_requests)
)


def read_with_a_fault(data: bytes) -> None:
    """A parser that fails on lists of anything but rows, which no seed is: what the fuzzer must find."""
    value = axdr.decode(data)
    if isinstance(value, list) and value and not isinstance(value[0], tuple):
        raise IndexError(len(value))


PLANTED: dict[str, Callable[[bytes], None]] = {"read_with_a_fault": read_with_a_fault}
