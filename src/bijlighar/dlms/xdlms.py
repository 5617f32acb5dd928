"""
Reads xDLMS APDUs: the first two octets tell which one it is; of the values inside only the ends are found.
"""

from collections.abc import Callable

from bijlighar.dlms import apdu as apdus
from bijlighar.dlms import apdu_reading as reading
from bijlighar.dlms import axdr
from bijlighar.dlms.errors import Malformed, Truncated
from bijlighar.dlms.xdlms_long import LONG_DECODERS

_new = tuple.__new__


def _get_normal(apdu: bytes) -> apdus.GetNormal:
    selection, end = reading.selection(apdu, 12)
    reading.end(apdu, end)
    return apdus.GetNormal(invoke=apdu[2], attribute=reading.attribute(apdu, 3), selection=selection)


def _get_next(apdu: bytes) -> apdus.GetNext:
    block = reading.word(apdu, 3)
    reading.end(apdu, 7)
    return apdus.GetNext(invoke=apdu[2], block=block)


def _get_with_list(apdu: bytes) -> apdus.GetWithList:
    attributes, at = reading.attributes(apdu, 3)
    reading.end(apdu, at)
    return apdus.GetWithList(invoke=apdu[2], attributes=attributes)


def _get_response(apdu: bytes) -> apdus.GetResponseNormal:
    if len(apdu) > 4 and apdu[3] == 0:
        return _new(apdus.GetResponseNormal, (apdu[2], apdu[4:], None))  # the message that comes most
    data, error = reading.get_data(apdu, 3)
    return apdus.GetResponseNormal(apdu[2], data, error)


def _get_response_block(apdu: bytes) -> apdus.GetResponseBlock:
    last = reading.octet(apdu, 3) != 0
    block = reading.word(apdu, 4)
    choice = reading.octet(apdu, 8)
    if choice == 0:
        return apdus.GetResponseBlock(invoke=apdu[2], last=last, block=block, data=reading.raw_block(apdu, 9))
    error = reading.octet(apdu, 9)
    reading.end(apdu, 10)
    return apdus.GetResponseBlock(invoke=apdu[2], last=last, block=block, error=error)


def _get_response_list(apdu: bytes) -> apdus.GetResponseList:
    return apdus.GetResponseList(invoke=apdu[2], results=reading.decode_result_list(apdu[3:]))


def _set_normal(apdu: bytes) -> apdus.SetNormal:
    attribute = reading.attribute(apdu, 3)
    selection, at = reading.selection(apdu, 12)
    return apdus.SetNormal(
        invoke=apdu[2], attribute=attribute, data=reading.value(apdu, at), selection=selection
    )


def _set_response(apdu: bytes) -> apdus.SetResponseNormal:
    result = reading.octet(apdu, 3)
    reading.end(apdu, 4)
    return apdus.SetResponseNormal(invoke=apdu[2], result=result)


def _action(apdu: bytes) -> apdus.ActionNormal:
    method = reading.method(apdu, 3)
    if reading.octet(apdu, 12) == 0:
        reading.end(apdu, 13)
        return apdus.ActionNormal(invoke=apdu[2], method=method)
    return apdus.ActionNormal(invoke=apdu[2], method=method, parameters=reading.value(apdu, 13))


def _action_response(apdu: bytes) -> apdus.ActionResponseNormal:
    result = reading.octet(apdu, 3)
    # Some meters leave the flag of the return parameters out where there are none.
    if len(apdu) == 4:
        return apdus.ActionResponseNormal(invoke=apdu[2], result=result)
    if apdu[4] == 0:
        reading.end(apdu, 5)
        return apdus.ActionResponseNormal(invoke=apdu[2], result=result)
    data, error = reading.get_data(apdu, 5)
    return apdus.ActionResponseNormal(invoke=apdu[2], result=result, data=data, error=error)


_DECODERS: dict[bytes, Callable[[bytes], apdus.Apdu]] = {
    bytes(start): decoder
    for start, decoder in (
        *LONG_DECODERS.items(),
        ((apdus.GET_REQUEST, 1), _get_normal),
        ((apdus.GET_REQUEST, 2), _get_next),
        ((apdus.GET_REQUEST, 3), _get_with_list),
        ((apdus.GET_RESPONSE, 1), _get_response),
        ((apdus.GET_RESPONSE, 2), _get_response_block),
        ((apdus.GET_RESPONSE, 3), _get_response_list),
        ((apdus.SET_REQUEST, 1), _set_normal),
        ((apdus.SET_RESPONSE, 1), _set_response),
        ((apdus.ACTION_REQUEST, 1), _action),
        ((apdus.ACTION_RESPONSE, 1), _action_response),
    )
}


def _exception(apdu: bytes) -> apdus.ExceptionResponse:
    if len(apdu) < 3:
        raise Truncated("an exception-response is cut off")
    counter = reading.word(apdu, 3) if apdu[2] == 6 and len(apdu) > 3 else None
    reading.end(apdu, 3 if counter is None else 7)
    return apdus.ExceptionResponse(state=apdu[1], service=apdu[2], counter=counter)


def _service_error(apdu: bytes) -> apdus.ConfirmedServiceError:
    if len(apdu) < 4:
        raise Truncated("a confirmed-service-error is cut off")
    reading.end(apdu, 4)
    return apdus.ConfirmedServiceError(service=apdu[1], group=apdu[2], value=apdu[3])


def _time(apdu: bytes, at: int) -> tuple[bytes | None, int]:
    """Return the optional 12-octet time at `at` (0, or its length; some meters put the tag 09h before)."""
    if reading.octet(apdu, at) == 0:
        return None, at + 1
    if apdu[at] == axdr.Tag.OCTET_STRING:
        at += 1
    if reading.octet(apdu, at) != 12:
        raise Malformed("the time of a notification has not 12 octets")
    if at + 13 > len(apdu):
        raise Truncated("the time of a notification is cut off")
    return apdu[at + 1 : at + 13], at + 13


def _data_notification(apdu: bytes) -> apdus.DataNotificationApdu:
    number = reading.word(apdu, 1)
    time, at = _time(apdu, 5)
    return apdus.DataNotificationApdu(long_invoke=number, time=time, data=reading.value(apdu, at))


def _event_notification(apdu: bytes) -> apdus.EventNotificationApdu:
    time, at = (None, 2) if reading.octet(apdu, 1) == 0 else _time(apdu, 2)
    attribute = reading.attribute(apdu, at)
    return apdus.EventNotificationApdu(time=time, attribute=attribute, data=reading.value(apdu, at + 9))


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
    decoder = _DECODERS.get(apdu[:2])
    if decoder is None:
        if not apdu:
            raise Truncated("a message is empty")
        single = _SINGLE_DECODERS.get(apdu[0])
        if single is not None:
            return single(apdu)
        if len(apdu) >= 3:
            raise Malformed(f"{apdu[:2].hex()} is not the start of a message that is known here")
    if decoder is None or len(apdu) < 3:
        raise Truncated("a message is cut off")
    return decoder(apdu)
