from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bijlighar.bench import decoding
from bijlighar.bench.measuring import WrongResult
from bijlighar.bench.peers import INTERPRETER_VARIABLE, Peer
from bijlighar.bench.responses import Keys, Response, client_security, responses
from bijlighar.dlms import axdr, clock, xdlms
from bijlighar.dlms.ciphering import Envelope
from bijlighar.dlms.errors import Forged

KEYS = Keys()


@pytest.fixture(scope="module")
def sample() -> tuple[Response, ...]:
    return responses(count=3, keys=KEYS)


def oracle(response: Response) -> list[list[int]]:
    """The rows by the plain recursive decoder, the stamps as epoch seconds."""
    message: Any = xdlms.decode(response.plain)
    rows: Any = axdr.decode(message.data)
    stamps = clock.epochs(np.frombuffer(b"".join(row[0] for row in rows), np.uint8).reshape(-1, 12))
    return [[stamp, *row[1:]] for stamp, row in zip(stamps.tolist(), rows, strict=True)]


def answer_of(response: Response, **changes: object) -> Peer:
    """What a peer answers that reads the response right."""
    stamps = clock.encode_epochs(response.columns[:, 0])
    rows = [
        [stamp.tobytes().hex(), *values]
        for stamp, values in zip(stamps, response.columns[:, 1:].tolist(), strict=True)
    ]
    right = {"version": "1", "decode_us": 2.0, "rows": rows, "place": 0, "get": decoding.encode_get().hex()}
    return Peer(answer=right | changes)


class TestDecode:
    def test_gives_every_figure_and_null_for_peers_that_are_absent(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv(INTERPRETER_VARIABLE, "/no/such/python")
        said: list[str] = []

        found = decoding.decode(say=lambda text, _: said.append(text), rounds=1)

        assert set(found["single"]) == {"ours_us", "gurux_us", "dlms_cosem_us", "limit_us"}
        assert set(found["batch"]) == {"responses", "ours_us", "limit_us"}
        assert set(found["encode_get"]) == {"ours_us", "gurux_us", "dlms_cosem_us"}
        assert found["response"] == {"rows": 48, "columns": 7, "octets": 2051}
        assert found["single"]["gurux_us"] is found["single"]["dlms_cosem_us"] is None
        assert found["encode_get"]["gurux_us"] is found["encode_get"]["dlms_cosem_us"] is None
        assert all(found[part]["ours_us"] > 0 for part in ("single", "batch", "encode_get"))
        assert all(found[part]["limit_us"] > 0 for part in ("single", "batch"))
        assert all(peer["version"] is None and peer["absent"] for peer in found["peers"].values())
        assert said

    def test_gives_a_figure_or_a_reason_for_each_peer_that_may_be_there(self):
        found = decoding.decode(say=lambda *_: None, rounds=1)

        figures = (found["single"]["gurux_us"], found["single"]["dlms_cosem_us"])
        for figure, peer in zip(figures, found["peers"].values(), strict=True):
            assert (figure is None) == (peer["absent"] is not None)


class TestDecodeSingly:
    def test_gives_the_columns_of_the_plain_decoder(self, sample: tuple[Response, ...]):
        envelope = Envelope(client_security(KEYS))

        rows = decoding.decode_singly([response.frame for response in sample], envelope)

        assert [decoding.columns_of(each).tolist() for each in rows] == [oracle(each) for each in sample]

    def test_refuses_a_response_with_a_changed_octet(self, sample: tuple[Response, ...]):
        frame = bytearray(sample[0].frame)
        frame[-1] ^= 1

        with pytest.raises(Forged):
            decoding.decode_singly([bytes(frame)], Envelope(client_security(KEYS)))


class TestDecodeTogether:
    def test_gives_the_columns_of_the_plain_decoder_one_response_after_the_other(
        self, sample: tuple[Response, ...]
    ):
        envelope = Envelope(client_security(KEYS))

        rows = decoding.decode_together([response.frame for response in sample], envelope)

        assert decoding.columns_of(rows).tolist() == [row for each in sample for row in oracle(each)]

    def test_reads_the_same_out_of_general_ciphering(self, sample: tuple[Response, ...]):
        envelope = Envelope(client_security(KEYS))

        rows = decoding.decode_together([response.general_frame for response in sample], envelope)

        assert decoding.columns_of(rows).tolist() == [row for each in sample for row in oracle(each)]


class TestEncodeGet:
    def test_gives_the_known_octets(self):
        assert decoding.encode_get().hex() == "000100300001000dc001c100080000010000ff0200"


class TestCheck:
    def test_accepts_the_sample(self, sample: tuple[Response, ...]):
        decoding.check(sample, keys=KEYS)

    def test_refuses_columns_that_were_not_put_in(self, sample: tuple[Response, ...]):
        other = replace(sample[2], columns=sample[2].columns + 1)

        with pytest.raises(WrongResult):
            decoding.check((*sample[:2], other), keys=KEYS)


class TestChecked:
    def test_keeps_a_peer_that_read_the_rows(self, sample: tuple[Response, ...]):
        assert decoding.checked(answer_of(sample[0]), sample).figure("decode_us") == 2.0

    def test_takes_a_peer_for_absent_that_read_other_rows(self, sample: tuple[Response, ...]):
        peer = decoding.checked(answer_of(sample[0], place=1), sample)

        assert peer.figure("decode_us") is None
        assert peer.reason is not None
        assert "rows" in peer.reason

    def test_takes_a_peer_for_absent_that_wrote_another_request(self, sample: tuple[Response, ...]):
        assert decoding.checked(answer_of(sample[0], get="00"), sample).version is None

    def test_leaves_an_absent_peer_as_it_is(self, sample: tuple[Response, ...]):
        absent = Peer(answer=None, reason="not there")

        assert decoding.checked(absent, sample) is absent
