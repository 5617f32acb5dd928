"""
One request and its result, with all the blocks in between: the client's side of GET, SET, ACTION.

It is pure: it takes messages and gives the octets of the next APDU, not ciphered.
"""

from bijlighar.dlms import apdu as apdus
from bijlighar.dlms import apdu_reading, axdr
from bijlighar.dlms.cosem import DataAccess
from bijlighar.dlms.errors import BlockOutOfOrder, LocalProtocolError, RemoteProtocolError, Unexpected
from bijlighar.dlms.event import (
    ActionListRequest,
    ActionListResult,
    ActionRequest,
    ActionResult,
    GetListRequest,
    GetListResult,
    GetRequest,
    GetResult,
    Request,
    Result,
    SetListRequest,
    SetListResult,
    SetRequest,
    SetResult,
)
from bijlighar.dlms.transfer import BLOCK_OVERHEAD_OCTETS, Incoming, Outgoing


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
        apdu, values = self._whole()
        if len(apdu) <= self._room:
            return apdu
        # What is not values must be in the first block; the octet is the flag or the count before the values.
        room = self._room - (len(apdu) - len(values)) - BLOCK_OVERHEAD_OCTETS
        if not values or room < 1:
            raise LocalProtocolError(f"the request has {len(apdu)} octets; the peer takes {self._room}")
        self._outgoing = Outgoing(values)
        return self._first_block(room)

    def _whole(self) -> tuple[bytes, bytes]:
        """Return the APDU of the whole request, and what of it can go in blocks."""
        request, invoke = self._request, self._invoke
        if isinstance(request, GetRequest):
            return apdus.encode_get(invoke, request.attribute, request.selection), b""
        if isinstance(request, GetListRequest):
            return apdus.GetWithList(invoke=invoke, attributes=request.attributes).encode(), b""
        if isinstance(request, SetRequest):
            attribute, data = request.attribute, request.data
            whole = apdus.SetNormal(
                invoke=invoke, attribute=attribute, data=data, selection=request.selection
            )
            return whole.encode(), data
        if isinstance(request, ActionRequest):
            action = apdus.ActionNormal(invoke=invoke, method=request.method, parameters=request.parameters)
            return action.encode(), request.parameters or b""
        if isinstance(request, SetListRequest):
            attributes = tuple((name, selection) for name, selection, _ in request.items)
            values = tuple(data for _, _, data in request.items)
            listed = apdus.SetWithList(invoke=invoke, attributes=attributes, values=values)
            return listed.encode(), apdus.encode_values(values)
        methods = tuple(method for method, _ in request.items)
        parameters = tuple(given or axdr.NULL for _, given in request.items)
        called = apdus.ActionWithList(invoke=invoke, methods=methods, parameters=parameters)
        return called.encode(), apdus.encode_values(parameters)

    def _first_block(self, room: int) -> bytes:
        request, invoke, outgoing = self._request, self._invoke, self._outgoing
        if outgoing is None:
            raise LocalProtocolError("there is no long request")
        last, block, data = outgoing.next_block(room)
        if isinstance(request, SetRequest):
            return apdus.SetFirstBlock(
                invoke=invoke,
                attribute=request.attribute,
                selection=request.selection,
                last=last,
                block=block,
                data=data,
            ).encode()
        if isinstance(request, SetListRequest):
            attributes = tuple((name, selection) for name, selection, _ in request.items)
            return apdus.SetListFirstBlock(
                invoke=invoke, attributes=attributes, last=last, block=block, data=data
            ).encode()
        if isinstance(request, ActionRequest):
            return apdus.ActionFirstBlock(
                invoke=invoke, method=request.method, last=last, block=block, data=data
            ).encode()
        if isinstance(request, ActionListRequest):
            methods = tuple(method for method, _ in request.items)
            return apdus.ActionListFirstBlock(
                invoke=invoke, methods=methods, last=last, block=block, data=data
            ).encode()
        raise LocalProtocolError("a GET has no blocks to send")

    def take(self, message: apdus.Apdu, *, authenticated: bool) -> Result | None:
        """
        Return the result, None if more has to come; then `reply` is the APDU that asks for it.

        :raises RemoteProtocolError: if `message` does not answer this request.
        """
        self.reply = None
        if getattr(message, "invoke", 0) & 0x0F != self._invoke & 0x0F:
            raise Unexpected("an answer to another request came")
        vouched = self.authenticated and authenticated
        match self._request:
            case GetRequest() | GetListRequest():
                result = self._result_of_get(message, authenticated=vouched)
            case SetRequest() | SetListRequest():
                result = self._result_of_set(message, authenticated=vouched)
            case _:
                result = self._result_of_action(message, authenticated=vouched)
        self.authenticated = vouched
        return result

    def _misfit(self, message: apdus.Apdu) -> Unexpected:
        return Unexpected(f"{type(message).__name__} does not answer {type(self._request).__name__}")

    # GET.

    def _result_of_get(self, message: apdus.Apdu, *, authenticated: bool) -> Result | None:
        request = self._request
        match message:
            case apdus.GetResponseNormal() if isinstance(request, GetRequest):
                return GetResult(data=message.data, error=message.error, authenticated=authenticated)
            case apdus.GetResponseBlock():
                return self._take_get_block(message, authenticated=authenticated)
            case apdus.GetResponseList() if isinstance(request, GetListRequest):
                return self._list_result(message.results, authenticated=authenticated)
        raise self._misfit(message)

    def _take_get_block(self, message: apdus.GetResponseBlock, *, authenticated: bool) -> Result | None:
        if message.data is None:
            failed = GetResult(error=message.error, authenticated=authenticated)
            if isinstance(self._request, GetListRequest):
                return GetListResult(results=(failed,) * len(self._request.attributes))
            return failed
        whole = self._incoming.take(message.block, message.data, last=message.last)
        if whole is None:
            self.reply = apdus.GetNext(invoke=self._invoke, block=message.block).encode()
            return None
        if isinstance(self._request, GetListRequest):
            return self._list_result(apdu_reading.decode_result_list(whole), authenticated=authenticated)
        return GetResult(data=whole, authenticated=authenticated)

    def _list_result(
        self, results: tuple[tuple[bytes | None, int | None], ...], *, authenticated: bool
    ) -> GetListResult:
        asked = len(self._request.attributes) if isinstance(self._request, GetListRequest) else 1
        self._check_count(len(results), asked)
        return GetListResult(
            results=tuple(
                GetResult(data=data, error=error, authenticated=authenticated) for data, error in results
            )
        )

    @staticmethod
    def _check_count(found: int, asked: int) -> None:
        if found != asked:
            raise Unexpected(f"{found} results came where {asked} were asked for")

    @staticmethod
    def _check_refusal(result: int) -> None:
        """A meter that refuses a whole list may say so once; that all of it succeeded it must say for each."""
        if result == DataAccess.SUCCESS:
            raise Unexpected("one success came where a list of results should")

    # SET.

    def _result_of_set(self, message: apdus.Apdu, *, authenticated: bool) -> Result | None:
        request = self._request
        match message:
            case apdus.SetResponseNormal() | apdus.SetResponseLastBlock():
                if isinstance(request, SetListRequest):
                    self._check_refusal(message.result)
                    results = (message.result,) * len(request.items)
                    return SetListResult(results=results, authenticated=authenticated)
                return SetResult(result=message.result, authenticated=authenticated)
            case apdus.SetResponseList() | apdus.SetResponseLastBlockList() if isinstance(
                request, SetListRequest
            ):
                self._check_count(len(message.results), len(request.items))
                return SetListResult(results=message.results, authenticated=authenticated)
            case apdus.SetResponseBlock():
                last, block, data = self._next_block(message.block)
                self.reply = apdus.SetBlock(invoke=self._invoke, last=last, block=block, data=data).encode()
                return None
        raise self._misfit(message)

    def _next_block(self, acknowledged: int) -> tuple[bool, int, bytes]:
        outgoing = self._outgoing
        if outgoing is None or outgoing.is_sent or acknowledged != outgoing.number:
            raise BlockOutOfOrder(f"block {acknowledged} is acknowledged, which is not the last one sent")
        return outgoing.next_block(self._room - BLOCK_OVERHEAD_OCTETS)

    # ACTION.

    def _result_of_action(self, message: apdus.Apdu, *, authenticated: bool) -> Result | None:
        request = self._request
        match message:
            case apdus.ActionResponseNormal():
                outcome = apdus.MethodResult(message.result, message.data, message.error)
                if isinstance(request, ActionListRequest):
                    self._check_refusal(message.result)
                    return self._actions((outcome,) * len(request.items), authenticated=authenticated)
                return _action(outcome, authenticated=authenticated)
            case apdus.ActionResponseList() if isinstance(request, ActionListRequest):
                return self._actions(message.results, authenticated=authenticated)
            case apdus.ActionResponseBlock():
                return self._take_action_block(message, authenticated=authenticated)
            case apdus.ActionResponseNext():
                last, block, data = self._next_block(message.block)
                self.reply = apdus.ActionBlock(
                    invoke=self._invoke, last=last, block=block, data=data
                ).encode()
                return None
        raise self._misfit(message)

    def _take_action_block(self, message: apdus.ActionResponseBlock, *, authenticated: bool) -> Result | None:
        whole = self._incoming.take(message.block, message.data, last=message.last)
        if whole is None:
            self.reply = apdus.ActionNext(invoke=self._invoke, block=message.block).encode()
            return None
        if isinstance(self._request, ActionListRequest):
            return self._actions(apdu_reading.method_results(whole, 0), authenticated=authenticated)
        return _action(_method_result(whole), authenticated=authenticated)

    def _actions(self, outcomes: tuple[apdus.MethodResult, ...], *, authenticated: bool) -> ActionListResult:
        asked = len(self._request.items) if isinstance(self._request, ActionListRequest) else 1
        self._check_count(len(outcomes), asked)
        return ActionListResult(
            results=tuple(_action(outcome, authenticated=authenticated) for outcome in outcomes)
        )


def _action(outcome: apdus.MethodResult, *, authenticated: bool) -> ActionResult:
    return ActionResult(
        result=outcome.result, data=outcome.data, error=outcome.error, authenticated=authenticated
    )


def _method_result(octets: bytes) -> apdus.MethodResult:
    """Return what the blocks of one method's answer hold; some peers send no more than the value itself."""
    try:
        outcome, end = apdu_reading.method_result(octets, 0)
        apdu_reading.end(octets, end)
    except RemoteProtocolError:
        apdu_reading.end(octets, axdr.skip(octets, 0))
        return apdus.MethodResult(0, data=octets)
    return outcome
