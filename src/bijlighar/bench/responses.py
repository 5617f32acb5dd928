"""Ciphered block-load responses as a meter sends them, and the columns that must come out of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bijlighar.dlms import apdu, clock, is15959, wrapper
from bijlighar.dlms.ciphering import Envelope, Form
from bijlighar.dlms.security import Security
from bijlighar.dlms.shape import Kind, RowEncoder

ROWS = 48
INTERVAL_S = 1_800
#: Midnight IST of 1 April 2026 [s since the epoch].
FIRST_S = 1_774_981_800
CLIENT, SERVER = 48, 1
INVOKE = 0xC1
SEED = 7
KIND_MAX = {Kind.DOUBLE_LONG_UNSIGNED: 5_000_000, Kind.LONG_UNSIGNED: 26_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What both ends know."""

    ek: bytes = bytes(range(16))
    ak: bytes = bytes(range(0xD0, 0xE0))
    client_title: bytes = b"MDMHES01"
    meter_title: bytes = b"BIJ00001"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Response:
    """
    One response: its frame, the same in general-glo-ciphering, and what it holds.

    columns -- int64 [rows, 7]: the stamps as epoch seconds, then the six values as they are on the line.
    """

    frame: bytes
    general_frame: bytes
    plain: bytes
    columns: NDArray[np.int64]


def responses(*, count: int, keys: Keys) -> tuple[Response, ...]:
    """Return `count` block-load responses of 48 rows of 7 columns; their invocation counters rise from 1."""
    generator = np.random.default_rng(SEED)
    kinds = [column.kind or Kind.LONG_UNSIGNED for column in is15959.columns("block-load", phases=1)]
    encoder = RowEncoder(kinds=kinds)
    made = []
    for place in range(count):
        stamps = FIRST_S + (place * ROWS + np.arange(1, ROWS + 1)) * INTERVAL_S
        values = [generator.integers(0, KIND_MAX[kind], ROWS) for kind in kinds[1:]]
        buffer = encoder.encode([clock.encode_epochs(stamps), *values])
        plain = apdu.GetResponseNormal(invoke=INVOKE, data=buffer).encode()
        made.append(
            Response(
                frame=_frame(plain, keys=keys, counter=place + 1, form=Form.GLO),
                general_frame=_frame(plain, keys=keys, counter=place + 1, form=Form.GENERAL_GLO),
                plain=plain,
                columns=np.stack([stamps, *values], axis=1),
            )
        )
    return tuple(made)


def client_security(keys: Keys) -> Security:
    """Return what the client knows, as for a session with ciphered services."""
    return Security(
        ciphered=True,
        own_title=keys.client_title,
        peer_title=keys.meter_title,
        ek=keys.ek,
        ak=keys.ak,
        next_counter=lambda: 1,
    )


def _frame(plain: bytes, *, keys: Keys, counter: int, form: Form) -> bytes:
    meter = Envelope(
        Security(
            ciphered=True, own_title=keys.meter_title, ek=keys.ek, ak=keys.ak, next_counter=lambda: counter
        )
    )
    return wrapper.encode(meter.seal(plain, form=form), source=SERVER, destination=CLIENT)
