"""
Reads xDLMS APDUs: the first two octets tell which one it is; of the values inside only the ends are found.
"""

from collections.abc import Callable

from bijlighar.dlms import apdu as apdus
from bijlighar.dlms import axdr
from bijlighar.dlms.cosem import Attribute, Method, Selection, read_selection
from bijlighar.dlms.errors import Malformed, TooLong, Truncated
from bijlighar.dlms.obis import Obis

LIST_ITEMS_MAX = 255


def decode_result_list(octets: bytes) -> tuple[tuple[bytes | None, int | None], ...]:
    """
    Return the list of Get-Data-Results that `octets` is.

    :raises RemoteProtocolError: if it is none.
    """
    count, at = axdr.read_length(octets, 0)
    if count > LIST_ITEMS_MAX:
        raise TooLong(f"a list of {count} results is refused ({LIST_ITEMS_MAX} are allowed)")
    results: list[tuple[bytes | None, int | None]] = []
    for _ in range(count):
        choice = _octet(octets, at)
        if choice == 0:
            end = axdr.skip(octets, at + 1)
            results.append((octets[at + 1 : end], None))
            at = end
        elif choice == 1:
            results.append((None, _octet(octets, at + 1)))
            at += 2
        else:
            raise Malformed(f"{choice} is not a choice of a result")
    _end(octets, at)
    return tuple(results)


def _octet(apdu: bytes, at: int) -> int:
    try:
        return apdu[at]
    except IndexError:
        raise Truncated("a message is cut off") from None


def _end(apdu: bytes, at: int) -> None:
    """Check that the APDU ends here."""
    if at < len(apdu):
        raise Malformed(f"{len(apdu) - at} octets are left over after a message")
    if at > len(apdu):
        raise Truncated("a message is cut off")


def _word(apdu: bytes, at: int) -> int:
    if at + 4 > len(apdu):
        raise Truncated("a message is cut off")
    return int.from_bytes(apdu[at : at + 4], "big")


def _attribute(apdu: bytes, at: int) -> Attribute:
    if at + 9 > len(apdu):
        raise Truncated("a message ends inside an attribute's name")
    return Attribute(
        class_id=apdu[at] << 8 | apdu[at + 1], obis=Obis(octets=apdu[at + 2 : at + 8]), index=apdu[at + 8]
    )


def _selection(apdu: bytes, at: int) -> tuple[Selection | None, int]:
    """Return the optional selective access at `at`, and where it ends."""
    flag = _octet(apdu, at)
    if flag == 0:
        return None, at + 1
    return read_selection(apdu, at + 1)


def _value(apdu: bytes, at: int) -> bytes:
    """Return the one value that the rest of the APDU is."""
    _end(apdu, axdr.skip(apdu, at))
    return apdu[at:]


def _get_data(apdu: bytes, at: int) -> tuple[bytes | None, int | None]:
    """Return the Get-Data-Result that the rest of the APDU is. The decoder of the value checks its inside."""
    choice = _octet(apdu, at)
    if choice == 0:
        if at + 1 >= len(apdu):
            raise Truncated("a message is cut off")
        return apdu[at + 1 :], None
    if choice != 1:
        raise Malformed(f"{choice} is not a choice of a result")
    error = _octet(apdu, at + 1)
    _end(apdu, at + 2)
    return None, error


def _raw_block(apdu: bytes, at: int) -> bytes:
    """Return the raw octets of a block, with which the APDU ends."""
    count, at = axdr.read_length(apdu, at)
    _end(apdu, at + count)
    return apdu[at:]


def _get_normal(apdu: bytes) -> apdus.GetNormal:
    selection, end = _selection(apdu, 12)
    _end(apdu, end)
    return apdus.GetNormal(invoke=apdu[2], attribute=_attribute(apdu, 3), selection=selection)


def _get_next(apdu: bytes) -> apdus.GetNext:
    block = _word(apdu, 3)
    _end(apdu, 7)
    return apdus.GetNext(invoke=apdu[2], block=block)


def _get_with_list(apdu: bytes) -> apdus.GetWithList:
    count, at = axdr.read_length(apdu, 3)
    if count > LIST_ITEMS_MAX:
        raise TooLong(f"a list of {count} attributes is refused ({LIST_ITEMS_MAX} are allowed)")
    attributes: list[tuple[Attribute, Selection | None]] = []
    for _ in range(count):
        attribute = _attribute(apdu, at)
        selection, at = _selection(apdu, at + 9)
        attributes.append((attribute, selection))
    _end(apdu, at)
    return apdus.GetWithList(invoke=apdu[2], attributes=tuple(attributes))


def _get_response(apdu: bytes) -> apdus.GetResponseNormal:
    data, error = _get_data(apdu, 3)
    return apdus.GetResponseNormal(invoke=apdu[2], data=data, error=error)


def _get_response_block(apdu: bytes) -> apdus.GetResponseBlock:
    last = _octet(apdu, 3) != 0
    block = _word(apdu, 4)
    choice = _octet(apdu, 8)
    if choice == 0:
        return apdus.GetResponseBlock(invoke=apdu[2], last=last, block=block, data=_raw_block(apdu, 9))
    error = _octet(apdu, 9)
    _end(apdu, 10)
    return apdus.GetResponseBlock(invoke=apdu[2], last=last, block=block, error=error)


def _get_response_list(apdu: bytes) -> apdus.GetResponseList:
    return apdus.GetResponseList(invoke=apdu[2], results=decode_result_list(apdu[3:]))


def _set_normal(apdu: bytes) -> apdus.SetNormal:
    attribute = _attribute(apdu, 3)
    selection, at = _selection(apdu, 12)
    return apdus.SetNormal(invoke=apdu[2], attribute=attribute, data=_value(apdu, at), selection=selection)


def _set_first_block(apdu: bytes) -> apdus.SetFirstBlock:
    attribute = _attribute(apdu, 3)
    selection, at = _selection(apdu, 12)
    return apdus.SetFirstBlock(
        invoke=apdu[2],
        attribute=attribute,
        selection=selection,
        last=_octet(apdu, at) != 0,
        block=_word(apdu, at + 1),
        data=_raw_block(apdu, at + 5),
    )


def _set_block(apdu: bytes) -> apdus.SetBlock:
    return apdus.SetBlock(
        invoke=apdu[2], last=_octet(apdu, 3) != 0, block=_word(apdu, 4), data=_raw_block(apdu, 8)
    )


def _set_response(apdu: bytes) -> apdus.SetResponseNormal:
    result = _octet(apdu, 3)
    _end(apdu, 4)
    return apdus.SetResponseNormal(invoke=apdu[2], result=result)


def _set_response_block(apdu: bytes) -> apdus.SetResponseBlock:
    block = _word(apdu, 3)
    _end(apdu, 7)
    return apdus.SetResponseBlock(invoke=apdu[2], block=block)


def _set_response_last(apdu: bytes) -> apdus.SetResponseLastBlock:
    result = _octet(apdu, 3)
    block = _word(apdu, 4)
    _end(apdu, 8)
    return apdus.SetResponseLastBlock(invoke=apdu[2], result=result, block=block)


def _action(apdu: bytes) -> apdus.ActionNormal:
    name = _attribute(apdu, 3)
    method = Method(class_id=name.class_id, obis=name.obis, index=name.index)
    if _octet(apdu, 12) == 0:
        _end(apdu, 13)
        return apdus.ActionNormal(invoke=apdu[2], method=method)
    return apdus.ActionNormal(invoke=apdu[2], method=method, parameters=_value(apdu, 13))


def _action_response(apdu: bytes) -> apdus.ActionResponseNormal:
    result = _octet(apdu, 3)
    # Some meters leave the flag of the return parameters out where there are none.
    if len(apdu) == 4:
        return apdus.ActionResponseNormal(invoke=apdu[2], result=result)
    if apdu[4] == 0:
        _end(apdu, 5)
        return apdus.ActionResponseNormal(invoke=apdu[2], result=result)
    data, error = _get_data(apdu, 5)
    return apdus.ActionResponseNormal(invoke=apdu[2], result=result, data=data, error=error)


_DECODERS: dict[tuple[int, int], Callable[[bytes], apdus.Apdu]] = {
    (apdus.GET_REQUEST, 1): _get_normal,
    (apdus.GET_REQUEST, 2): _get_next,
    (apdus.GET_REQUEST, 3): _get_with_list,
    (apdus.GET_RESPONSE, 1): _get_response,
    (apdus.GET_RESPONSE, 2): _get_response_block,
    (apdus.GET_RESPONSE, 3): _get_response_list,
    (apdus.SET_REQUEST, 1): _set_normal,
    (apdus.SET_REQUEST, 2): _set_first_block,
    (apdus.SET_REQUEST, 3): _set_block,
    (apdus.SET_RESPONSE, 1): _set_response,
    (apdus.SET_RESPONSE, 2): _set_response_block,
    (apdus.SET_RESPONSE, 3): _set_response_last,
    (apdus.ACTION_REQUEST, 1): _action,
    (apdus.ACTION_RESPONSE, 1): _action_response,
}


def _exception(apdu: bytes) -> apdus.ExceptionResponse:
    if len(apdu) < 3:
        raise Truncated("an exception-response is cut off")
    counter = _word(apdu, 3) if apdu[2] == 6 and len(apdu) > 3 else None
    _end(apdu, 3 if counter is None else 7)
    return apdus.ExceptionResponse(state=apdu[1], service=apdu[2], counter=counter)


def _service_error(apdu: bytes) -> apdus.ConfirmedServiceError:
    if len(apdu) < 4:
        raise Truncated("a confirmed-service-error is cut off")
    _end(apdu, 4)
    return apdus.ConfirmedServiceError(service=apdu[1], group=apdu[2], value=apdu[3])


def _time(apdu: bytes, at: int) -> tuple[bytes | None, int]:
    """Return the optional 12-octet time at `at` (0, or its length; some meters put the tag 09h before)."""
    if _octet(apdu, at) == 0:
        return None, at + 1
    if apdu[at] == axdr.Tag.OCTET_STRING:
        at += 1
    if _octet(apdu, at) != 12:
        raise Malformed("the time of a notification has not 12 octets")
    if at + 13 > len(apdu):
        raise Truncated("the time of a notification is cut off")
    return apdu[at + 1 : at + 13], at + 13


def _data_notification(apdu: bytes) -> apdus.DataNotificationApdu:
    number = _word(apdu, 1)
    time, at = _time(apdu, 5)
    return apdus.DataNotificationApdu(long_invoke=number, time=time, data=_value(apdu, at))


def _event_notification(apdu: bytes) -> apdus.EventNotificationApdu:
    time, at = (None, 2) if _octet(apdu, 1) == 0 else _time(apdu, 2)
    attribute = _attribute(apdu, at)
    return apdus.EventNotificationApdu(time=time, attribute=attribute, data=_value(apdu, at + 9))


_SINGLE_DECODERS: dict[int, Callable[[bytes], apdus.Apdu]] = {
    apdus.EXCEPTION_RESPONSE: _exception,
    apdus.CONFIRMED_SERVICE_ERROR: _service_error,
    apdus.DATA_NOTIFICATION: _data_notification,
    apdus.EVENT_NOTIFICATION: _event_notification,
}


def decode(apdu: bytes) -> apdus.Apdu:
    """
    Return the message that `apdu` is.

    >>> decode(bytes.fromhex("c401c1000600001391")).data.hex()
    '0600001391'

    :raises RemoteProtocolError: Truncated, TooLong, TooDeep or Malformed.
    """
    if not apdu:
        raise Truncated("a message is empty")
    single = _SINGLE_DECODERS.get(apdu[0])
    if single is not None:
        return single(apdu)
    if len(apdu) < 3:
        raise Truncated("a message is cut off")
    decoder = _DECODERS.get((apdu[0], apdu[1]))
    if decoder is None:
        raise Malformed(f"{apdu[:2].hex()} is not the start of a message that is known here")
    return decoder(apdu)
