"""
One request and its result, with all the blocks in between: the client's and the server's side of GET, SET, ACTION.

Both sides are pure: they take messages and give the octets of the next APDU, not ciphered.
"""

from bijlighar.dlms import apdu as apdus
from bijlighar.dlms import xdlms
from bijlighar.dlms.cosem import DataAccess
from bijlighar.dlms.errors import LocalProtocolError, TooLong, Unexpected
from bijlighar.dlms.event import (
    ActionRequest,
    ActionResult,
    GetListRequest,
    GetListResult,
    GetRequest,
    GetResult,
    Request,
    Result,
    SetRequest,
    SetResult,
)
from bijlighar.dlms.transfer import BLOCK_OVERHEAD_OCTETS, Incoming, Outgoing

_RESULT_OF: dict[type[Request], type[Result]] = {
    GetRequest: GetResult,
    GetListRequest: GetListResult,
    SetRequest: SetResult,
    ActionRequest: ActionResult,
}


class ClientExchange:
    """The client's side of one request; `reply` is the APDU that must go out now, if any."""

    __slots__ = ("_incoming", "_invoke", "_outgoing", "_request", "_room", "authenticated", "reply")

    def __init__(self, *, request: Request, invoke: int, room: int) -> None:
        self._request = request
        self._invoke = invoke
        self._room = room
        self._incoming = Incoming()
        self._outgoing: Outgoing | None = None
        self.authenticated = True
        self.reply: bytes | None = None

    def first(self) -> bytes:
        """
        Return the APDU of the request, or of its first block.

        :raises LocalProtocolError: if the peer cannot receive it.
        """
        request, invoke = self._request, self._invoke
        if isinstance(request, GetRequest):
            apdu = apdus.GetNormal(
                invoke=invoke, attribute=request.attribute, selection=request.selection
            ).encode()
        elif isinstance(request, GetListRequest):
            apdu = apdus.GetWithList(invoke=invoke, attributes=request.attributes).encode()
        elif isinstance(request, ActionRequest):
            apdu = apdus.ActionNormal(
                invoke=invoke, method=request.method, parameters=request.parameters
            ).encode()
        else:
            apdu = self._first_of_set(request)
        if len(apdu) > self._room:
            raise LocalProtocolError(f"the request has {len(apdu)} octets; the peer takes {self._room}")
        return apdu

    def _first_of_set(self, request: SetRequest) -> bytes:
        whole = apdus.SetNormal(
            invoke=self._invoke,
            attribute=request.attribute,
            data=request.data,
            selection=request.selection,
        ).encode()
        if len(whole) <= self._room:
            return whole
        head = len(whole) - len(request.data)
        self._outgoing = Outgoing(request.data)
        block = self._outgoing.next_block(self._room - head - BLOCK_OVERHEAD_OCTETS)
        return apdus.SetFirstBlock(
            invoke=self._invoke,
            attribute=request.attribute,
            selection=request.selection,
            last=block.last,
            block=block.number,
            data=block.data,
        ).encode()

    def take(self, message: apdus.Apdu, *, authenticated: bool) -> Result | None:
        """
        Return the result, None if more has to come; then `reply` is the APDU that asks for it.

        :raises RemoteProtocolError: if `message` does not answer this request.
        """
        self.reply = None
        if getattr(message, "invoke", 0) & 0x0F != self._invoke & 0x0F:
            raise Unexpected("an answer to another request came")
        vouched = self.authenticated and authenticated
        result = self._result(message, authenticated=vouched)
        self.authenticated = vouched
        return result

    def _result(self, message: apdus.Apdu, *, authenticated: bool) -> Result | None:
        request = self._request
        result: Result | None = None
        match message:
            case apdus.GetResponseNormal() if isinstance(request, GetRequest):
                result = GetResult(data=message.data, error=message.error, authenticated=authenticated)
            case apdus.GetResponseBlock() if isinstance(request, GetRequest | GetListRequest):
                result = self._take_block(message, authenticated=authenticated)
            case apdus.GetResponseList() if isinstance(request, GetListRequest):
                result = self._list_result(message.results, authenticated=authenticated)
            case apdus.SetResponseNormal() | apdus.SetResponseLastBlock() if isinstance(request, SetRequest):
                result = SetResult(result=message.result, authenticated=authenticated)
            case apdus.SetResponseBlock() if isinstance(request, SetRequest):
                self._next_of_set(message)
            case apdus.ActionResponseNormal() if isinstance(request, ActionRequest):
                result = ActionResult(
                    result=message.result,
                    data=message.data,
                    error=message.error,
                    authenticated=authenticated,
                )
            case _:
                raise Unexpected(f"{type(message).__name__} does not answer {type(request).__name__}")
        return result

    def _take_block(self, message: apdus.GetResponseBlock, *, authenticated: bool) -> Result | None:
        if message.data is None:
            failed = GetResult(error=message.error, authenticated=authenticated)
            if isinstance(self._request, GetListRequest):
                return GetListResult(results=(failed,) * len(self._request.attributes))
            return failed
        self._incoming.take(message.block, message.data)
        if not message.last:
            self.reply = apdus.GetNext(invoke=self._invoke, block=message.block).encode()
            return None
        whole = self._incoming.whole()
        if isinstance(self._request, GetListRequest):
            return self._list_result(xdlms.decode_result_list(whole), authenticated=authenticated)
        return GetResult(data=whole, authenticated=authenticated)

    def _list_result(
        self, results: tuple[tuple[bytes | None, int | None], ...], *, authenticated: bool
    ) -> GetListResult:
        asked = len(self._request.attributes) if isinstance(self._request, GetListRequest) else 1
        if len(results) != asked:
            raise Unexpected(f"{len(results)} results came where {asked} were asked for")
        return GetListResult(
            results=tuple(
                GetResult(data=data, error=error, authenticated=authenticated) for data, error in results
            )
        )

    def _next_of_set(self, message: apdus.SetResponseBlock) -> None:
        outgoing = self._outgoing
        if outgoing is None or outgoing.is_sent or message.block != outgoing.number:
            raise Unexpected(f"block {message.block} is acknowledged, which is not the last one sent")
        block = outgoing.next_block(self._room - BLOCK_OVERHEAD_OCTETS)
        self.reply = apdus.SetBlock(
            invoke=self._invoke, last=block.last, block=block.number, data=block.data
        ).encode()


class ServerExchange:
    """
    The server's side of one request.

    `awaits_result` is true while the owner owes a result; `is_open` while blocks are still to come or to go;
    `reply` is the APDU that must go out now, if any.
    """

    __slots__ = (
        "_expected",
        "_incoming",
        "_invoke",
        "_outgoing",
        "_set",
        "_set_blocks",
        "awaits_result",
        "reply",
    )

    def __init__(self) -> None:
        self._invoke = 0
        self._expected: type[Result] = GetResult
        self._incoming: Incoming | None = None
        self._outgoing: Outgoing | None = None
        self._set: apdus.SetFirstBlock | None = None
        self._set_blocks = 0
        self.awaits_result = False
        self.reply: bytes | None = None

    @property
    def is_open(self) -> bool:
        """Return whether blocks are still to come or to go."""
        return self._outgoing is not None or self._incoming is not None

    def take(self, message: apdus.Apdu, *, room: int) -> Request | None:
        """
        Return the request of the client, None if a block was handled (`reply` answers it).

        :raises Unexpected: if `message` is no request, or a block that belongs nowhere.
        """
        self.reply = None
        match message:
            case apdus.GetNext():
                self._send_next(message, room=room)
                return None
            case apdus.SetBlock():
                return self._take_set_block(message)
            case apdus.SetFirstBlock():
                self._start(message.invoke, SetResult)
                self._set = message
                self._incoming = Incoming()
                return self._take_set_block(message)
            case apdus.GetNormal():
                self._start(message.invoke, GetResult)
                request: Request = GetRequest(attribute=message.attribute, selection=message.selection)
            case apdus.GetWithList():
                self._start(message.invoke, GetListResult)
                request = GetListRequest(attributes=message.attributes)
            case apdus.SetNormal():
                self._start(message.invoke, SetResult)
                request = SetRequest(
                    attribute=message.attribute, data=message.data, selection=message.selection
                )
            case apdus.ActionNormal():
                self._start(message.invoke, ActionResult)
                request = ActionRequest(method=message.method, parameters=message.parameters)
            case _:
                raise Unexpected(f"{type(message).__name__} is not a request")
        self.awaits_result = True
        return request

    def _start(self, invoke: int, expected: type[Result]) -> None:
        self._invoke = invoke
        self._expected = expected
        self._incoming = self._outgoing = self._set = None

    def _take_set_block(self, message: apdus.SetFirstBlock | apdus.SetBlock) -> Request | None:
        incoming, first = self._incoming, self._set
        if incoming is None or first is None or message.invoke != self._invoke:
            raise Unexpected("a block of a SET came without its first")
        try:
            incoming.take(message.block, message.data)
        except (Unexpected, TooLong):
            self._incoming = None
            self.reply = apdus.SetResponseLastBlock(
                invoke=self._invoke, result=DataAccess.DATA_BLOCK_NUMBER_INVALID, block=message.block
            ).encode()
            return None
        if not message.last:
            self.reply = apdus.SetResponseBlock(invoke=self._invoke, block=message.block).encode()
            return None
        self._incoming = None
        self._set_blocks = message.block
        self.awaits_result = True
        return SetRequest(attribute=first.attribute, data=incoming.whole(), selection=first.selection)

    def result(self, event: Result, *, room: int, can_block: bool) -> bytes:
        """
        Return the APDU of the result, or of its first block.

        :raises LocalProtocolError: if the result is not of the kind that was asked for.
        """
        if not self.awaits_result or not isinstance(event, self._expected):
            raise LocalProtocolError(f"{type(event).__name__} does not answer what was asked")
        apdu = self._whole(event, room=room, can_block=can_block)
        self.awaits_result = False
        return apdu

    def _whole(self, event: Result, *, room: int, can_block: bool) -> bytes:
        invoke = self._invoke
        if isinstance(event, SetResult):
            if self._set is not None:
                return apdus.SetResponseLastBlock(
                    invoke=invoke, result=event.result, block=self._set_blocks
                ).encode()
            return apdus.SetResponseNormal(invoke=invoke, result=event.result).encode()
        if isinstance(event, ActionResult):
            apdu = apdus.ActionResponseNormal(
                invoke=invoke, result=event.result, data=event.data, error=event.error
            ).encode()
            if len(apdu) > room:
                raise LocalProtocolError(f"the result has {len(apdu)} octets; the client takes {room}")
            return apdu
        if isinstance(event, GetResult):
            payload = event.data or b""
            apdu = apdus.GetResponseNormal(invoke=invoke, data=event.data, error=event.error).encode()
        else:
            results = tuple((result.data, result.error) for result in event.results)
            payload = apdus.encode_result_list(results)
            apdu = apdus.GetResponseList(invoke=invoke, results=results).encode()
        if len(apdu) <= room:
            return apdu
        if not can_block:
            return apdus.GetResponseNormal(invoke=invoke, error=DataAccess.OTHER_REASON).encode()
        self._outgoing = Outgoing(payload)
        return self._next_block(room)

    def _next_block(self, room: int) -> bytes:
        outgoing = self._outgoing
        if outgoing is None:
            raise LocalProtocolError("there is no long GET")
        block = outgoing.next_block(room - BLOCK_OVERHEAD_OCTETS)
        if block.last:
            self._outgoing = None
        return apdus.GetResponseBlock(
            invoke=self._invoke, last=block.last, block=block.number, data=block.data
        ).encode()

    def _send_next(self, message: apdus.GetNext, *, room: int) -> None:
        outgoing = self._outgoing
        if outgoing is None or self.awaits_result:
            raise Unexpected("the next block was asked for, but there is no long GET")
        if message.block != outgoing.number or message.invoke & 0x0F != self._invoke & 0x0F:
            self._outgoing = None
            self.reply = apdus.GetResponseBlock(
                invoke=message.invoke,
                last=True,
                block=message.block,
                error=DataAccess.DATA_BLOCK_NUMBER_INVALID,
            ).encode()
            return
        self.reply = self._next_block(room)
