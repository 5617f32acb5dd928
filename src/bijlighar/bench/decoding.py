"""
`bench decode`: a ciphered block-load response to columns, singly and many at a time; a GET request to octets.

Beside it stand gurux-dlms and dlms-cosem, and the limit: one AES-GCM call on the same octets and one copy of them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from bijlighar.bench.measuring import NS_PER_US, Say, WrongResult, least_cpu_ns
from bijlighar.bench.peers import Peer, ask
from bijlighar.bench.responses import (
    CLIENT,
    INVOKE,
    SERVER,
    Keys,
    Response,
    client_security,
    responses,
)
from bijlighar.dlms import apdu, clock, is15959, shape, wrapper, xdlms
from bijlighar.dlms.ciphering import Envelope
from bijlighar.dlms.cosem import Attribute
from bijlighar.dlms.errors import Malformed
from bijlighar.dlms.link import APDU_OCTETS_MAX
from bijlighar.dlms.rows import Rows

BATCH = 200
ROUNDS = 40
PEER_ROUNDS = 5
GET_REQUESTS = 1_000
CLOCK = Attribute(class_id=8, obis=is15959.CLOCK)
NONCE = bytes(12)

Columns = NDArray[np.int64]


def decode(*, say: Say, rounds: int = ROUNDS) -> dict[str, Any]:
    """
    Return the figures of `bench decode`, microseconds a response (a request) each.

    :raises WrongResult: if our own columns are not those that were put in.
    """
    keys = Keys()
    sample = responses(count=BATCH, keys=keys)
    frames = [response.frame for response in sample]
    check(sample, keys=keys)
    say("ours and the limit", 0.0)
    envelope, cipher = partial(Envelope, client_security(keys)), partial(AESGCM, keys.ek)
    single = _us(envelope, lambda opened: decode_singly(frames, opened), rounds)
    batch = _us(envelope, lambda opened: decode_together(frames, opened), rounds)
    single_limit = _us(cipher, lambda keyed: _limit_singly(sample, keyed, keys.ak), rounds)
    batch_limit = _us(cipher, lambda keyed: _limit_together(sample, keyed, keys.ak), rounds)
    encode = least_cpu_ns(lambda: None, lambda _: _encode_many(), rounds=rounds) / GET_REQUESTS / NS_PER_US
    say("gurux-dlms", 0.4)
    gurux = checked(ask(name="gurux", request=peer_request(sample, keys=keys)), sample)
    say("dlms-cosem", 0.8)
    cosem = checked(ask(name="cosem", request=peer_request(sample, keys=keys, general=True)), sample)
    return {
        "response": {"rows": sample[0].columns.shape[0], "columns": 7, "octets": len(sample[0].frame)},
        "single": {
            "ours_us": single,
            "gurux_us": gurux.figure("decode_us"),
            "dlms_cosem_us": cosem.figure("decode_us"),
            "limit_us": single_limit,
        },
        "batch": {"responses": BATCH, "ours_us": batch, "limit_us": batch_limit},
        "encode_get": {
            "ours_us": encode,
            "gurux_us": gurux.figure("encode_get_us"),
            "dlms_cosem_us": cosem.figure("encode_get_us"),
        },
        "peers": {
            name: {"version": peer.version, "absent": peer.reason}
            for name, peer in (("gurux-dlms", gurux), ("dlms-cosem", cosem))
        },
    }


def decode_singly(frames: Sequence[bytes], envelope: Envelope) -> list[Rows]:
    """Return the rows of each frame, their stamps read as epoch seconds: the way a session goes."""
    received, decoded = wrapper.WrapperBuffer(octets_max=APDU_OCTETS_MAX), []
    for frame in frames:
        rows = shape.decode(_buffer(frame, received, envelope))
        rows.epochs(0)
        decoded.append(rows)
    return decoded


def decode_together(frames: Sequence[bytes], envelope: Envelope) -> Rows:
    """Return the rows of all frames in one, their stamps read as epoch seconds."""
    received = wrapper.WrapperBuffer(octets_max=APDU_OCTETS_MAX)
    rows, _ = shape.decode_gathered([_buffer(frame, received, envelope) for frame in frames])
    rows.epochs(0)
    return rows


def encode_get() -> bytes:
    """Return a plain GET request of the clock in its wrapper, by the functions that a session uses."""
    return wrapper.encode(apdu.encode_get(INVOKE, CLOCK), source=CLIENT, destination=SERVER)


def columns_of(rows: Rows) -> Columns:
    """Return decoded rows as one int64 array, the stamps as epoch seconds first."""
    return np.stack(
        [rows.epochs(0), *(np.asarray(column.values, dtype=np.int64) for column in rows.columns[1:])], axis=1
    )


def check(sample: Sequence[Response], *, keys: Keys) -> None:
    """
    Decode the sample both ways and compare the columns with those that were put in.

    :raises WrongResult: if they differ.
    """
    frames = [response.frame for response in sample]
    wanted = np.concatenate([response.columns for response in sample])
    singly = decode_singly(frames, Envelope(client_security(keys)))
    together = decode_together(frames, Envelope(client_security(keys)))
    for found in (np.concatenate([columns_of(rows) for rows in singly]), columns_of(together)):
        if not np.array_equal(found, wanted):
            raise WrongResult(
                "the columns decoded are not those that the responses hold; report this as a fault"
            )


def peer_request(sample: Sequence[Response], *, keys: Keys, general: bool = False) -> dict[str, Any]:
    """Return what a peer is asked: the same frames (or their twins in general-glo-ciphering) and the keys."""
    return {
        "frames": [(response.general_frame if general else response.frame).hex() for response in sample],
        "ek": keys.ek.hex(),
        "ak": keys.ak.hex(),
        "client_title": keys.client_title.hex(),
        "meter_title": keys.meter_title.hex(),
        "client": CLIENT,
        "server": SERVER,
        "rounds": PEER_ROUNDS,
    }


def checked(peer: Peer, sample: Sequence[Response]) -> Peer:
    """Return the peer, as absent if the rows it read, or the request it wrote, are not right."""
    if peer.answer is None:
        return peer
    wanted = sample[int(peer.answer["place"])].columns
    stamps = [octets.tobytes().hex() for octets in clock.encode_epochs(wanted[:, 0])]
    rows = [[stamp, *values] for stamp, values in zip(stamps, wanted[:, 1:].tolist(), strict=True)]
    if peer.answer["rows"] != rows:
        return Peer(answer=None, reason="the rows it read are not those that the response holds")
    if bytes.fromhex(peer.answer["get"]) != encode_get():
        return Peer(answer=None, reason="the GET request it wrote is another one")
    return peer


def _buffer(frame: bytes, received: wrapper.WrapperBuffer, envelope: Envelope) -> bytes:
    received.receive(frame)
    whole = received.next_frame()
    message = xdlms.decode(envelope.open(whole[1]).plain) if whole is not None else None
    if not isinstance(message, apdu.GetResponseNormal) or message.data is None:
        raise Malformed("the frame holds no GET response with data")
    return message.data


def _encode_many() -> None:
    for _ in range(GET_REQUESTS):
        encode_get()


def _limit_singly(sample: Sequence[Response], cipher: AESGCM, ak: bytes) -> None:
    for response in sample:
        cipher.encrypt(NONCE, response.plain, ak)
        bytearray(response.plain)


def _limit_together(sample: Sequence[Response], cipher: AESGCM, ak: bytes) -> None:
    b"".join([cipher.encrypt(NONCE, response.plain, ak) for response in sample])


def _us(prepare: Callable[[], Any], work: Callable[[Any], object], rounds: int) -> float:
    return least_cpu_ns(prepare, work, rounds=rounds) / BATCH / NS_PER_US
