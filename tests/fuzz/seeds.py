"""What the fuzzer starts from: good messages of every kind; the shared captures too, where they are there."""

import json
from pathlib import Path

from bijlighar.dlms import apdu as apdus
from bijlighar.dlms import axdr, cosem, hdlc, wrapper
from bijlighar.dlms.acse import Aare, Aarq, Release
from bijlighar.dlms.ciphering import Envelope, Form
from bijlighar.dlms.general_block import GeneralBlock
from bijlighar.dlms.initiate import InitiateRequest, InitiateResponse
from tests.dlms.talk import BLOCK_LOAD, CLOCK, DISCONNECT, LONG_VALUE, server_security

VECTORS = Path(__file__).parent.parent.parent.parent / "shared" / "data" / "dlms" / "vectors.json"

COMPACT = b"\x13" + bytes((2, 2, 18, 6)) + b"\x0c" + bytes.fromhex("0005000003e80006000003e9")
TIME = bytes.fromhex("07ea0b18020d1e0000814a00")
VALUES = (
    axdr.NULL,
    axdr.boolean(True),
    axdr.bit_string(axdr.BitString(b"\x80\x01", 16)),
    axdr.octet_string(TIME),
    axdr.visible_string("MTR"),
    axdr.utf8_string("बिजली"),
    axdr.float64(1.5),
    axdr.date_time(TIME),
    axdr.structure(*(axdr.integer(-1), axdr.long(-2), axdr.unsigned(3), axdr.long_unsigned(4), axdr.bcd(5))),
    axdr.structure(
        axdr.double_long(-6), axdr.long64(-7), axdr.long64_unsigned(8), axdr.enum(9), axdr.float32(2)
    ),
    axdr.array([axdr.structure(axdr.octet_string(TIME), axdr.long_unsigned(5), axdr.NULL)] * 3),
    COMPACT,
    LONG_VALUE[:200],
)
SELECTIONS = (
    cosem.ByRange(lower=TIME, upper=TIME, columns=(cosem.CLOCK,)),
    cosem.ByEntry(first=1, last=5),
    cosem.RawSelection(selector=9, parameters=axdr.NULL),
)
MESSAGES = (
    apdus.GetNormal(invoke=0xC1, attribute=CLOCK),
    *(apdus.GetNormal(invoke=0xC1, attribute=BLOCK_LOAD, selection=selection) for selection in SELECTIONS),
    apdus.GetNext(invoke=0xC1, block=1),
    apdus.GetWithList(invoke=0xC1, attributes=((CLOCK, None), (BLOCK_LOAD, SELECTIONS[0]))),
    apdus.GetResponseNormal(invoke=0xC1, data=VALUES[10]),
    apdus.GetResponseNormal(invoke=0xC1, error=3),
    apdus.GetResponseBlock(invoke=0xC1, last=False, block=1, data=VALUES[10]),
    apdus.GetResponseBlock(invoke=0xC1, last=True, block=2, data=VALUES[10]),
    apdus.GetResponseList(invoke=0xC1, results=((VALUES[3], None), (None, 3))),
    apdus.SetNormal(invoke=0xC1, attribute=CLOCK, data=VALUES[3]),
    apdus.SetFirstBlock(invoke=0xC1, attribute=CLOCK, last=False, block=1, data=VALUES[3]),
    apdus.SetBlock(invoke=0xC1, last=True, block=2, data=VALUES[3]),
    apdus.SetResponseNormal(invoke=0xC1, result=0),
    apdus.SetResponseBlock(invoke=0xC1, block=1),
    apdus.SetResponseLastBlock(invoke=0xC1, result=0, block=2),
    apdus.ActionNormal(invoke=0xC1, method=DISCONNECT, parameters=axdr.integer(0)),
    apdus.ActionResponseNormal(invoke=0xC1, result=0, data=VALUES[3]),
    apdus.SetWithList(
        invoke=0xC1, attributes=((CLOCK, None), (CLOCK, SELECTIONS[1])), values=(VALUES[0], VALUES[3])
    ),
    apdus.SetListFirstBlock(invoke=0xC1, attributes=((CLOCK, None),), last=False, block=1, data=b"\x01\x09"),
    apdus.SetResponseList(invoke=0xC1, results=(0, 3)),
    apdus.SetResponseLastBlockList(invoke=0xC1, results=(0, 3), block=2),
    apdus.ActionNext(invoke=0xC1, block=1),
    apdus.ActionWithList(invoke=0xC1, methods=(DISCONNECT, DISCONNECT), parameters=(VALUES[0], VALUES[3])),
    apdus.ActionFirstBlock(invoke=0xC1, method=DISCONNECT, last=False, block=1, data=VALUES[3]),
    apdus.ActionListFirstBlock(invoke=0xC1, methods=(DISCONNECT,), last=False, block=1, data=b"\x01\x0f"),
    apdus.ActionBlock(invoke=0xC1, last=True, block=2, data=b"\x00"),
    apdus.ActionResponseBlock(invoke=0xC1, last=False, block=1, data=b"\x00\x01\x00\x0f"),
    apdus.ActionResponseBlock(invoke=0xC1, last=True, block=2, data=b"\x05"),
    apdus.ActionResponseList(invoke=0xC1, results=(apdus.MethodResult(0, VALUES[3]), apdus.MethodResult(3))),
    apdus.ActionResponseNext(invoke=0xC1, block=1),
    GeneralBlock(last=False, streaming=False, window=3, number=1, acknowledged=0, data=b"\xc4\x01\xc1\x00"),
    GeneralBlock(last=True, streaming=False, window=3, number=2, acknowledged=1, data=VALUES[3]),
    GeneralBlock(last=True, streaming=False, window=3, number=1, acknowledged=1, data=b""),
    apdus.ExceptionResponse(state=1, service=6, counter=5),
    apdus.ConfirmedServiceError(service=6, group=0, value=6),
    apdus.DataNotificationApdu(long_invoke=1, time=TIME, data=VALUES[8]),
    apdus.EventNotificationApdu(time=TIME, attribute=CLOCK, data=VALUES[3]),
    Aarq(mechanism=5, value=bytes(16), title=b"MDMHES01", user_information=InitiateRequest().encode()),
    Aare(mechanism=5, value=b"\x01" * 16, diagnostic=14, user_information=InitiateResponse().encode()),
    Aare(user_information=InitiateResponse().encode()),
    Release(),
    Release(tag=0x63, user_information=InitiateResponse().encode()),
    InitiateRequest(dedicated_key=bytes(16), quality_of_service=0),
    InitiateResponse(),
)


def seeds() -> list[bytes]:
    """Good inputs of every kind."""
    plain = [message.encode() for message in MESSAGES]
    sealed = [
        Envelope(server_security()).seal(apdu, form=form, control=control)
        for apdu in plain[:10]
        for form in (Form.GLO, Form.GENERAL_GLO)
        for control in (0x10, 0x20, 0x30)
    ]
    address = hdlc.Address(upper=1, lower=17, octets=4)
    lines = [
        hdlc.Frame(
            destination=hdlc.Address(upper=32), source=address, control=0x10, information=apdu
        ).encode()
        for apdu in plain[:6]
    ]
    frames = [
        b"".join(
            bytes((len(part) + 1 | (0x80 if last else 0), control)) + part
            for part, control, last in ((b"\xe6\xe7\x00" + apdu[:30], 0x30, True), (apdu[30:60], 0x32, False))
        )
        for apdu in plain
    ]
    answers = [bytes((number,)) + apdu for number in range(6) for apdu in plain]
    captures: list[bytes] = []
    if VECTORS.is_file():
        captures = [bytes.fromhex(vector["hex"]) for vector in json.loads(VECTORS.read_text())["vectors"]]
    wrapped = [wrapper.encode(apdu, source=1, destination=64) for apdu in (*plain[:12], *sealed[:6])]
    return [
        *(cosem.encode_capture_objects((cosem.CLOCK, cosem.CLOCK)), hdlc.Parameters(transmit=512).encode()),
        *(*plain, *sealed, *lines, *frames, *answers, *wrapped, *captures, *VALUES, b"\xfe".join(plain[:5])),
        *(b"\x00" + b"\xfe".join(plain[at : at + 2]) for at in range(len(plain))),
        *(b"\xfe".join(plain[at : at + 2]) for at in range(len(plain))),
        *(selection.encode() for selection in SELECTIONS),
    ]
