"""The shared vectors: every one must decode as expected, and what we can encode must come out octet by octet."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bijlighar.dlms import acse, axdr, clock, cosem, hdlc, initiate, wrapper, xdlms
from bijlighar.dlms import apdu as apdus
from bijlighar.dlms.ciphering import Envelope, Form, read_general
from bijlighar.dlms.errors import Malformed
from bijlighar.dlms.hdlc import FrameBuffer, FrameKind
from bijlighar.dlms.link import HdlcLink, Role
from bijlighar.dlms.security import Protection, Security, unwrap_key, wrap_key

Vector = dict[str, Any]


@pytest.fixture(scope="module")
def vectors(shared: Path) -> list[Vector]:
    found: list[Vector] = json.loads((shared / "data/dlms/vectors.json").read_text())["vectors"]
    return found


def of_kind(vectors: list[Vector], *kinds: str) -> list[tuple[str, bytes, Vector]]:
    return [
        (vector["id"], bytes.fromhex(vector["hex"]), vector["expected"])
        for vector in vectors
        if vector["kind"] in kinds
    ]


def plain(value: Any) -> Any:
    """A decoded value as the vectors write it."""
    if isinstance(value, bytes):
        return f"x:{value.hex()}"
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def unseal(expected: Vector, octets: bytes) -> bytes:
    """The plain octets of a ciphered APDU whose keys the vector tells."""
    title = bytes.fromhex(expected["system_title"])
    envelope = Envelope(
        Security(
            ciphered=True,
            own_title=title,
            peer_title=title,
            ek=bytes.fromhex(expected["ek"]),
            ak=bytes.fromhex(expected["ak"]),
            accept_unauthenticated=True,
            next_counter=lambda: expected["ic"],
        )
    )
    opened = envelope.open(octets)
    assert opened.counter == expected["ic"]
    control = opened.control
    assert control == expected.get("security_control", control)
    assert envelope.seal(opened.plain, form=opened.form, control=control) == octets
    return opened.plain


def check_aarq(name: str, octets: bytes, expected: Vector) -> None:
    aarq = acse.decode_aarq(octets)
    assert aarq.encode() == octets, name
    assert aarq.context == expected["context"], name
    assert aarq.mechanism == expected["mechanism"] if "mechanism" in expected else True, name
    assert (aarq.value or b"").hex() == expected.get("auth_value", ""), name
    assert (aarq.title or b"").hex() == expected.get("system_title", ""), name
    if "conformance" in expected:
        request = initiate.decode_initiate_request(aarq.user_information)
        assert request.encode() == aarq.user_information, name
        assert request.conformance == int(expected["conformance"], 16), name
        assert request.max_pdu == expected["max_pdu"], name
        assert request.version == expected.get("dlms_version", 6), name
    if "plain_initiate" in expected:
        assert unseal(expected, aarq.user_information).hex() == expected["plain_initiate"], name
    if "security_control" in expected:
        assert aarq.user_information[2] == expected["security_control"], name
    if "ic" in expected:
        assert int.from_bytes(aarq.user_information[3:7], "big") == expected["ic"], name


def check_aare(name: str, octets: bytes, expected: Vector) -> None:
    aare = acse.decode_aare(octets)
    if name != "aare-india-genus-hls2":  # its elements come in another order
        assert aare.encode() == octets, name
    assert aare.context == expected.get("context", 1), name
    assert (aare.result, aare.diagnostic) == (
        expected.get("result", 0),
        expected.get("diagnostic", aare.diagnostic),
    ), name
    assert aare.mechanism == expected.get("mechanism"), name
    assert (aare.value or b"").hex() == expected.get("auth_value", ""), name
    assert (aare.title or b"").hex() == expected.get("system_title", ""), name
    if "conformance" in expected:
        response = initiate.decode_initiate_response(aare.user_information)
        assert response.encode() == aare.user_information, name
        assert response.conformance == int(expected["conformance"], 16), name
        assert response.max_pdu == expected["max_pdu"], name
        assert response.vaa == expected.get("vaa", 7), name
    if "confirmed_service_error" in expected:
        error = xdlms.decode(aare.user_information)
        assert isinstance(error, apdus.ConfirmedServiceError), name
        assert [error.service, error.group, error.value] == expected["confirmed_service_error"], name
    if "ic" in expected:
        assert int.from_bytes(aare.user_information[3:7], "big") == expected["ic"], name


class TestAssociationVectors:
    def test_read_and_write_requests(self, vectors):
        for name, octets, expected in of_kind(vectors, "aarq"):
            check_aarq(name, octets, expected)

    def test_read_and_write_responses(self, vectors):
        for name, octets, expected in of_kind(vectors, "aare"):
            check_aare(name, octets, expected)

    def test_read_requests_captured_in_frames(self, vectors):
        for name, octets, expected in of_kind(vectors, "hdlc-aarq"):
            frame = hdlc.decode_frame(octets[1:-1])
            assert frame.encode() == octets, name
            assert (frame.destination.upper, frame.source.upper) == (
                expected["destination"],
                expected["source"],
            )
            assert f"{frame.control:02x}" == expected["control"]
            check_aarq(name, hdlc.strip_llc(frame.information), expected)

    def test_read_responses_captured_in_frames(self, vectors):
        for name, octets, expected in of_kind(vectors, "hdlc-aare"):
            frame = hdlc.decode_frame(octets[1:-1])
            assert frame.encode() == octets, name
            check_aare(name, hdlc.strip_llc(frame.information), expected)

    def test_read_and_write_releases(self, vectors):
        for name, octets, expected in of_kind(vectors, "rlrq", "rlre"):
            release = acse.decode_release(octets)
            assert release.encode() == octets, name
            assert release.reason == expected["reason"], name
            if "plain_initiate" in expected:
                assert unseal(expected, release.user_information).hex() == expected["plain_initiate"], name
            if "qos" in expected:
                response = initiate.decode_initiate_response(release.user_information)
                assert response.quality_of_service == expected["qos"]
                assert response.max_pdu == expected["max_pdu"]

    def test_read_and_write_initiates(self, vectors):
        for name, octets, expected in of_kind(vectors, "initiate-request"):
            request = initiate.decode_initiate_request(octets)
            assert request.encode() == octets, name
            assert (request.dedicated_key or b"").hex() == expected["dedicated_key"]
            assert request.max_pdu == expected["max_pdu"]
        for name, octets, expected in of_kind(vectors, "initiate-response"):
            response = initiate.decode_initiate_response(octets)
            assert response.encode() == octets, name
            assert response.max_pdu == expected["max_pdu"]


def check_name(name: str, found: cosem.Attribute | cosem.Method, expected: Vector) -> None:
    assert (found.class_id, str(found.obis)) == (expected["class"], expected["obis"]), name


class TestServiceVectors:
    def test_read_and_write_gets(self, vectors):
        for name, octets, expected in of_kind(vectors, "get-request"):
            request = xdlms.decode(octets)
            assert request.encode() == octets, name
            if isinstance(request, apdus.GetNormal):
                check_name(name, request.attribute, expected)
                assert request.attribute.index == expected["attribute"]
                self.check_range(request, expected)
            elif isinstance(request, apdus.GetNext):
                assert request.block == expected["block"]
            else:
                assert isinstance(request, apdus.GetWithList)
                assert [[a.class_id, str(a.obis), a.index] for a, _ in request.attributes] == expected[
                    "items"
                ]

    def check_range(self, request: apdus.GetNormal, expected: Vector) -> None:
        if "selector" not in expected:
            assert request.selection is None
            return
        selection = request.selection
        assert isinstance(selection, cosem.ByRange)
        if "restricting" in expected:
            clock_column = selection.clock
            assert [
                clock_column.class_id,
                str(clock_column.obis),
                clock_column.attribute,
                clock_column.data_index,
            ] == expected["restricting"]
        # The vectors call the bounds by their order in time in one place and on the line in another.
        assert {local_time(selection.lower), local_time(selection.upper)} == {
            expected["from"],
            expected["to"],
        }

    def test_read_and_write_get_responses(self, vectors):
        for name, octets, expected in of_kind(vectors, "get-response"):
            response = xdlms.decode(octets)
            assert response.encode() == octets, name
            if isinstance(response, apdus.GetResponseNormal):
                assert response.error == expected.get("error")
                if response.data is not None:
                    assert plain(axdr.decode(response.data)) == expected["data"]
            elif isinstance(response, apdus.GetResponseBlock):
                assert (response.last, response.block, response.error) == (
                    expected["last"],
                    expected["block"],
                    expected["error"],
                )
            else:
                assert isinstance(response, apdus.GetResponseList)
                assert [plain(axdr.decode(data or b"")) for data, _ in response.results] == expected[
                    "results"
                ]

    def test_read_and_write_sets_and_actions(self, vectors):
        for name, octets, expected in of_kind(vectors, "set-request", "action-request"):
            request = xdlms.decode(octets)
            assert request.encode() == octets, name
            if isinstance(request, apdus.SetNormal):
                check_name(name, request.attribute, expected)
                assert plain(axdr.decode(request.data)) == expected["data"]
            else:
                assert isinstance(request, apdus.ActionNormal)
                check_name(name, request.method, expected)
                found = None if request.parameters is None else plain(axdr.decode(request.parameters))
                assert found == expected["data"]

    def test_read_and_write_their_responses(self, vectors):
        for name, octets, expected in of_kind(vectors, "set-response", "action-response"):
            response = xdlms.decode(octets)
            assert response.encode() == octets, name
            assert isinstance(response, apdus.SetResponseNormal | apdus.ActionResponseNormal)
            assert response.result == expected["result"]
            if isinstance(response, apdus.ActionResponseNormal):
                assert response.error == expected.get("data_error")
                found = None if response.data is None else plain(axdr.decode(response.data))
                assert found == expected.get("data")

    def test_read_and_write_failures(self, vectors):
        for name, octets, expected in of_kind(vectors, "exception-response"):
            failure = xdlms.decode(octets)
            assert failure.encode() == octets, name
            assert isinstance(failure, apdus.ExceptionResponse)
            assert (failure.state, failure.service, failure.counter) == (
                expected["state"],
                expected["service"],
                expected.get("expected_ic"),
            )

    def test_read_and_write_notifications(self, vectors):
        for name, octets, expected in of_kind(vectors, "data-notification"):
            notification = xdlms.decode(octets)
            assert notification.encode() == octets, name
            assert isinstance(notification, apdus.DataNotificationApdu)
            assert (notification.long_invoke, notification.time) == (
                expected["long_invoke"],
                expected["datetime"],
            )
            assert plain(axdr.decode(notification.data)) == expected["data"]


class TestSecurityVectors:
    def test_open_and_seal(self, vectors):
        for name, octets, expected in of_kind(vectors, "glo"):
            assert unseal(expected, octets).hex() in (
                expected.get("plain"),
                expected.get("plain_initiate"),
            ), name

    def test_open_a_general_message_without_a_title(self, vectors):
        for name, octets, expected in of_kind(vectors, "general-glo"):
            general = read_general(octets)
            assert general is not None, name
            assert (general.form, general.title) == (Form.GENERAL_GLO, b"")
            assert general.content[0] == expected["security_control"]
            assert int.from_bytes(general.content[1:5], "big") == expected["ic"]

    def test_prove_by_gmac(self, vectors):
        for name, octets, expected in of_kind(vectors, "gmac"):
            keys = Protection(ek=bytes.fromhex(expected["ek"]), ak=bytes.fromhex(expected["ak"]))
            challenge, title = expected["challenge"], bytes.fromhex(expected["system_title"])
            assert keys.gmac(bytes.fromhex(challenge), title=title, counter=expected["ic"]) == octets, name
            assert keys.gmac_holds(octets, bytes.fromhex(challenge), title=title)

    def test_wrap_keys(self, vectors):
        for name, octets, expected in of_kind(vectors, "keywrap"):
            kek, key = bytes.fromhex(expected["kek"]), bytes.fromhex(expected["key"])
            assert wrap_key(kek=kek, key=key) == octets, name
            assert unwrap_key(kek=kek, wrapped=octets) == key

    def test_read_wrapped_pushes(self, vectors):
        for name, octets, expected in of_kind(vectors, "wrapper"):
            header = wrapper.peek_wrapper(octets)
            assert header == (expected["source"], expected["destination"], expected["length"]), name
            general = read_general(octets[8:])
            assert general is not None
            assert general.title.hex() == expected["system_title"]
            assert general.content[0] == expected["security_control"]
            if "ek" in expected:
                assert unseal(expected, octets[8:]).hex().startswith(expected["plain_prefix"])


def local_time(octets: bytes) -> str:
    """The local time that a COSEM time shows."""
    moment = clock.decode(octets[:9] + bytes(2) + octets[11:])
    assert moment is not None
    return moment.replace(tzinfo=None).isoformat()


class TestValueVectors:
    def test_read_and_write_values(self, vectors):
        for name, octets, expected in of_kind(vectors, "axdr"):
            assert plain(axdr.decode(octets)) == expected["data"], name
            assert axdr.write(axdr.parse(octets)) == octets, name

    def test_read_times(self, vectors):
        for name, octets, expected in of_kind(vectors, "cosem-datetime"):
            minutes = expected["deviation"]
            shift = timedelta(minutes=-330 if minutes is None else minutes)
            moment = clock.decode(octets, treat_as_ist=False)
            assert moment is not None
            assert moment.replace(tzinfo=None) == datetime.fromisoformat(expected["local"]) + shift, name

    def test_read_wrapper_headers(self, vectors):
        for name, octets, expected in of_kind(vectors, "wrapper-header"):
            if expected.get("error") == "version":
                with pytest.raises(Malformed):
                    wrapper.peek_wrapper(octets)
            else:
                header = wrapper.peek_wrapper(octets)
                assert header == (expected["source"], expected["destination"], expected["length"]), name


def check_address(found: hdlc.Address, expected: int | list[int]) -> None:
    if isinstance(expected, int):
        assert found.upper == expected
    else:
        assert [found.upper, found.lower] == expected


def check_apdu(octets: bytes, expected: Vector) -> None:
    if "ciphered_tag" in expected:
        assert (octets[0], octets[2]) == (expected["ciphered_tag"], expected["security_control"])
        assert int.from_bytes(octets[3:7], "big") == expected["ic"]
        return
    message = xdlms.decode(octets)
    assert message.encode() == octets
    if "confirmed_service_error" in expected:
        assert isinstance(message, apdus.ConfirmedServiceError)
        assert [message.service, message.group, message.value] == expected["confirmed_service_error"]
    if isinstance(message, apdus.GetResponseNormal) and "data" in expected and message.data is not None:
        assert plain(axdr.decode(message.data)) == expected["data"]
    if isinstance(message, apdus.SetNormal):
        check_name("", message.attribute, expected)
        assert plain(axdr.decode(message.data)) == expected["data"]


class TestHdlcVectors:
    def test_read_and_write_frames(self, vectors):
        for name, octets, expected in of_kind(vectors, "hdlc"):
            buffer = FrameBuffer()
            buffer.receive(octets)
            frame = buffer.next_frame()
            assert frame is not None, name
            assert frame.encode() == octets, name
            self.check_frame(frame, octets, expected)

    def check_frame(self, frame: hdlc.Frame, octets: bytes, expected: Vector) -> None:
        for key, address in (("destination", frame.destination), ("source", frame.source)):
            if key in expected:
                check_address(address, expected[key])
        assert f"{frame.control:02x}" == expected.get("control", f"{frame.control:02x}")
        if expected.get("frame", "UI-or-I") != "UI-or-I":
            assert frame.kind is FrameKind[expected["frame"]]
        assert frame.segmented == expected.get("segmented", False)
        if "fcs" in expected:
            assert octets[-3:-1].hex() == expected["fcs"]
        for key, number in (("send", frame.send_number), ("receive", frame.receive_number)):
            assert number == expected.get(key, number)
        if "max_info_tx" in expected:
            parameters = hdlc.decode_parameters(frame.information)
            assert parameters.transmit == expected["max_info_tx"]
            assert parameters.receive == expected.get("max_info_rx", parameters.receive)
        if "apdu" in expected:
            assert hdlc.strip_llc(frame.information).hex().startswith(expected["apdu"])
        if {"apdu", "ciphered_tag"} & expected.keys() and "raw_length" not in expected:
            check_apdu(hdlc.strip_llc(frame.information), expected)
        if "raw_length" in expected:
            block = xdlms.decode(hdlc.strip_llc(frame.information))
            assert isinstance(block, apdus.GetResponseBlock)
            assert len(block.data or b"") == expected["raw_length"]

    def test_put_segments_together(self, vectors):
        segments = [
            (octets, expected)
            for _, octets, expected in of_kind(vectors, "hdlc")
            if expected.get("group") == "am550"
        ]
        frames = [hdlc.decode_frame(octets[1:-1]) for octets, _ in segments]

        whole = hdlc.strip_llc(b"".join(frame.information for frame in frames))

        assert whole.hex().startswith(segments[-1][1]["reassembled_starts"])
        notification = xdlms.decode(whole)
        assert isinstance(notification, apdus.DataNotificationApdu)
        value = axdr.decode(notification.data)
        assert isinstance(value, tuple)
        assert len(value) == segments[-1][1]["members"]

    def test_come_through_a_link_as_one_push(self, vectors):
        segments = [
            octets for _, octets, expected in of_kind(vectors, "hdlc") if expected.get("group") == "am550"
        ]
        first = hdlc.decode_frame(segments[0][1:-1])
        link = HdlcLink(
            role=Role.CLIENT,
            client=first.destination.upper,
            server=first.source.upper,
            physical=first.source.lower,
            information=128,
        )
        for octets in segments:
            link.receive(octets)

        apdu = link.next_apdu()

        assert apdu is not None
        assert isinstance(xdlms.decode(apdu), apdus.DataNotificationApdu)


class TestAllVectors:
    def test_are_of_kinds_that_are_tested_here(self, vectors):
        assert len(vectors) == 115
        assert {vector["kind"] for vector in vectors} <= {
            *("aarq", "aare", "hdlc-aarq", "hdlc-aare", "rlrq", "rlre", "initiate-request"),
            *("initiate-response", "get-request", "get-response", "set-request", "set-response"),
            *("action-request", "action-response", "exception-response", "data-notification", "glo"),
            *(
                "general-glo",
                "gmac",
                "keywrap",
                "wrapper",
                "axdr",
                "cosem-datetime",
                "wrapper-header",
                "hdlc",
            ),
        }


class TestHanFrames:
    def test_decode(self, shared):
        lines = (shared / "data/dlms/han_frames.jsonl").read_text().splitlines()
        decoded = 0
        for line in lines:
            octets = bytes.fromhex(json.loads(line)["hex"])
            if octets.startswith(b"\xa0"):
                frame = hdlc.decode_frame(octets)
                assert frame.encode() == b"\x7e" + octets + b"\x7e"
                octets = hdlc.strip_llc(frame.information)
            elif octets.startswith(hdlc.LLC_TO_CLIENT):
                # A notification that the capture cuts off after its time.
                octets = octets[3:] + axdr.NULL
            if octets[0] == apdus.DATA_NOTIFICATION:
                notification = xdlms.decode(octets)
                assert isinstance(notification, apdus.DataNotificationApdu)
                octets = notification.data
            assert axdr.write(axdr.parse(octets)) == octets
            decoded += 1
        assert decoded == len(lines) == 23

    def test_come_through_a_link_where_they_need_no_connection(self, shared):
        lines = (shared / "data/dlms/han_frames.jsonl").read_text().splitlines()
        bodies = [octets for line in lines if (octets := bytes.fromhex(json.loads(line)["hex"]))[0] == 0xA0]
        for body in bodies:
            frame = hdlc.decode_frame(body)
            if frame.kind is not FrameKind.UI:
                continue
            link = HdlcLink(
                role=Role.CLIENT,
                client=frame.destination.upper,
                server=frame.source.upper,
                physical=frame.source.lower,
                information=128,
            )
            link.receive(b"\x7e" + body + b"\x7e")
            apdu = link.next_apdu()
            assert apdu is not None
            assert apdu[0] == apdus.DATA_NOTIFICATION
