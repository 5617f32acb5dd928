"""Reads the xDLMS APDUs of SET and ACTION with lists and with blocks."""

from collections.abc import Callable

from bijlighar.dlms import apdu as apdus
from bijlighar.dlms import apdu_reading as reading


def _block(apdu: bytes, at: int) -> tuple[bool, int, bytes]:
    """Return (last, number, raw octets) of the DataBlock-SA with which the APDU ends."""
    return reading.octet(apdu, at) != 0, reading.word(apdu, at + 1), reading.raw_block(apdu, at + 5)


def _number(apdu: bytes) -> int:
    """Return the block number that is all that follows."""
    number = reading.word(apdu, 3)
    reading.end(apdu, 7)
    return number


def _set_first_block(apdu: bytes) -> apdus.SetFirstBlock:
    attribute = reading.attribute(apdu, 3)
    selection, at = reading.selection(apdu, 12)
    last, block, data = _block(apdu, at)
    return apdus.SetFirstBlock(
        invoke=apdu[2], attribute=attribute, selection=selection, last=last, block=block, data=data
    )


def _set_block(apdu: bytes) -> apdus.SetBlock:
    last, block, data = _block(apdu, 3)
    return apdus.SetBlock(invoke=apdu[2], last=last, block=block, data=data)


def _set_with_list(apdu: bytes) -> apdus.SetWithList:
    attributes, at = reading.attributes(apdu, 3)
    return apdus.SetWithList(invoke=apdu[2], attributes=attributes, values=reading.values(apdu, at))


def _set_list_first_block(apdu: bytes) -> apdus.SetListFirstBlock:
    attributes, at = reading.attributes(apdu, 3)
    last, block, data = _block(apdu, at)
    return apdus.SetListFirstBlock(invoke=apdu[2], attributes=attributes, last=last, block=block, data=data)


def _set_response_block(apdu: bytes) -> apdus.SetResponseBlock:
    return apdus.SetResponseBlock(invoke=apdu[2], block=_number(apdu))


def _set_response_last(apdu: bytes) -> apdus.SetResponseLastBlock:
    result = reading.octet(apdu, 3)
    block = reading.word(apdu, 4)
    reading.end(apdu, 8)
    return apdus.SetResponseLastBlock(invoke=apdu[2], result=result, block=block)


def _set_response_last_list(apdu: bytes) -> apdus.SetResponseLastBlockList:
    count, at = reading.count_of(apdu, 3)
    block = reading.word(apdu, at + count)
    reading.end(apdu, at + count + 4)
    return apdus.SetResponseLastBlockList(invoke=apdu[2], results=tuple(apdu[at : at + count]), block=block)


def _set_response_list(apdu: bytes) -> apdus.SetResponseList:
    count, at = reading.count_of(apdu, 3)
    reading.end(apdu, at + count)
    return apdus.SetResponseList(invoke=apdu[2], results=tuple(apdu[at:]))


def _action_next(apdu: bytes) -> apdus.ActionNext:
    return apdus.ActionNext(invoke=apdu[2], block=_number(apdu))


def _action_with_list(apdu: bytes) -> apdus.ActionWithList:
    methods, at = reading.methods(apdu, 3)
    return apdus.ActionWithList(invoke=apdu[2], methods=methods, parameters=reading.values(apdu, at))


def _action_first_block(apdu: bytes) -> apdus.ActionFirstBlock:
    method = reading.method(apdu, 3)
    last, block, data = _block(apdu, 12)
    return apdus.ActionFirstBlock(invoke=apdu[2], method=method, last=last, block=block, data=data)


def _action_list_first_block(apdu: bytes) -> apdus.ActionListFirstBlock:
    methods, at = reading.methods(apdu, 3)
    last, block, data = _block(apdu, at)
    return apdus.ActionListFirstBlock(invoke=apdu[2], methods=methods, last=last, block=block, data=data)


def _action_block(apdu: bytes) -> apdus.ActionBlock:
    last, block, data = _block(apdu, 3)
    return apdus.ActionBlock(invoke=apdu[2], last=last, block=block, data=data)


def _action_response_block(apdu: bytes) -> apdus.ActionResponseBlock:
    last, block, data = _block(apdu, 3)
    return apdus.ActionResponseBlock(invoke=apdu[2], last=last, block=block, data=data)


def _action_response_list(apdu: bytes) -> apdus.ActionResponseList:
    return apdus.ActionResponseList(invoke=apdu[2], results=reading.method_results(apdu, 3))


def _action_response_next(apdu: bytes) -> apdus.ActionResponseNext:
    return apdus.ActionResponseNext(invoke=apdu[2], block=_number(apdu))


#: By the first two octets.
LONG_DECODERS: dict[tuple[int, int], Callable[[bytes], apdus.Apdu]] = {
    (apdus.SET_REQUEST, 2): _set_first_block,
    (apdus.SET_REQUEST, 3): _set_block,
    (apdus.SET_REQUEST, 4): _set_with_list,
    (apdus.SET_REQUEST, 5): _set_list_first_block,
    (apdus.SET_RESPONSE, 2): _set_response_block,
    (apdus.SET_RESPONSE, 3): _set_response_last,
    (apdus.SET_RESPONSE, 4): _set_response_last_list,
    (apdus.SET_RESPONSE, 5): _set_response_list,
    (apdus.ACTION_REQUEST, 2): _action_next,
    (apdus.ACTION_REQUEST, 3): _action_with_list,
    (apdus.ACTION_REQUEST, 4): _action_first_block,
    (apdus.ACTION_REQUEST, 5): _action_list_first_block,
    (apdus.ACTION_REQUEST, 6): _action_block,
    (apdus.ACTION_RESPONSE, 2): _action_response_block,
    (apdus.ACTION_RESPONSE, 3): _action_response_list,
    (apdus.ACTION_RESPONSE, 4): _action_response_next,
}
