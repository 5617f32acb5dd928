"""
One request and its result, with all the blocks in between: the server's side of GET, SET, ACTION.

It is pure: it takes messages and gives the octets of the next APDU, not ciphered.
"""

from typing import TypeAlias

from bijlighar.dlms import apdu as apdus
from bijlighar.dlms import apdu_reading, axdr
from bijlighar.dlms.cosem import ActionOutcome, DataAccess
from bijlighar.dlms.errors import (
    BlockOutOfOrder,
    LocalProtocolError,
    RemoteProtocolError,
    TooLong,
    Unexpected,
)
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

_RESULT_OF: dict[type[Request], type[Result]] = {
    GetRequest: GetResult,
    GetListRequest: GetListResult,
    SetRequest: SetResult,
    SetListRequest: SetListResult,
    ActionRequest: ActionResult,
    ActionListRequest: ActionListResult,
}

_FirstBlock: TypeAlias = (
    apdus.SetFirstBlock | apdus.SetListFirstBlock | apdus.ActionFirstBlock | apdus.ActionListFirstBlock
)


class ServerExchange:
    """
    The server's side of one request.

    `awaits_result` is true while the owner owes a result; `is_open` while blocks are still to come or to go;
    `reply` is the APDU that must go out now, if any.
    """

    __slots__ = (
        "_expected",
        "_first",
        "_incoming",
        "_invoke",
        "_outgoing",
        "_taken_blocks",
        "awaits_result",
        "reply",
    )

    def __init__(self) -> None:
        self._invoke = 0
        self._expected: type[Result] = GetResult
        self._incoming: Incoming | None = None
        self._outgoing: Outgoing | None = None
        self._first: _FirstBlock | None = None
        self._taken_blocks = 0
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
        :raises RemoteProtocolError: if blocks do not hold what they should.
        """
        self.reply = None
        match message:
            case apdus.GetNext() | apdus.ActionNext():
                self._send_next(message, room=room)
                return None
            case apdus.SetBlock() | apdus.ActionBlock():
                return self._take_block(message)
            case (
                apdus.SetFirstBlock()
                | apdus.SetListFirstBlock()
                | apdus.ActionFirstBlock()
                | apdus.ActionListFirstBlock()
            ):
                self._invoke = message.invoke
                self._outgoing = None
                self._first = message
                self._incoming = Incoming()
                return self._take_block(message)
        request = _request(message)
        return self._start(getattr(message, "invoke", 0), request)

    def _start(self, invoke: int, request: Request) -> Request:
        self._invoke = invoke
        self._incoming = self._outgoing = self._first = None
        return self._await(request)

    def _await(self, request: Request) -> Request:
        self._expected = _RESULT_OF[type(request)]
        self.awaits_result = True
        return request

    def _take_block(self, message: apdus.Blocked) -> Request | None:
        incoming, first = self._incoming, self._first
        setting = isinstance(message, apdus.SetFirstBlock | apdus.SetListFirstBlock | apdus.SetBlock)
        if (
            incoming is None
            or first is None
            or message.invoke != self._invoke
            or setting != isinstance(first, apdus.SetFirstBlock | apdus.SetListFirstBlock)
        ):
            raise Unexpected("a block came without its first")
        try:
            whole = incoming.take(message.block, message.data, last=message.last)
        except (BlockOutOfOrder, TooLong):
            self._incoming = None
            self.reply = self._bad_block(first, message.block)
            return None
        if whole is None:
            response = apdus.SetResponseBlock if setting else apdus.ActionResponseNext
            self.reply = response(invoke=self._invoke, block=message.block).encode()
            return None
        self._incoming = None
        self._taken_blocks = message.block
        try:
            return self._await(_blocked_request(first, whole))
        except RemoteProtocolError:
            self.reply = self._bad_block(first, message.block)
            return None

    def _bad_block(self, first: _FirstBlock, block: int) -> bytes:
        """Return the answer that ends a transfer whose blocks are not good."""
        if isinstance(first, apdus.SetFirstBlock | apdus.SetListFirstBlock):
            return apdus.SetResponseLastBlock(
                invoke=self._invoke, result=DataAccess.DATA_BLOCK_NUMBER_INVALID, block=block
            ).encode()
        return apdus.ActionResponseNormal(
            invoke=self._invoke, result=ActionOutcome.LONG_ACTION_ABORTED
        ).encode()

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
        if isinstance(event, SetResult | SetListResult):
            return self._set_response(event)
        if isinstance(event, ActionResult | ActionListResult):
            return self._action_response(event, room=room, can_block=can_block)
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
        return self._next_get_block(self._outgoing, room)

    def _set_response(self, event: SetResult | SetListResult) -> bytes:
        invoke, block = self._invoke, self._taken_blocks
        if isinstance(event, SetResult):
            if self._first is None:
                return apdus.SetResponseNormal(invoke=invoke, result=event.result).encode()
            return apdus.SetResponseLastBlock(invoke=invoke, result=event.result, block=block).encode()
        if self._first is None:
            return apdus.SetResponseList(invoke=invoke, results=event.results).encode()
        return apdus.SetResponseLastBlockList(invoke=invoke, results=event.results, block=block).encode()

    def _action_response(
        self, event: ActionResult | ActionListResult, *, room: int, can_block: bool
    ) -> bytes:
        invoke = self._invoke
        if isinstance(event, ActionResult):
            outcome = _outcome(event)
            payload = outcome.encode()
            apdu = apdus.ActionResponseNormal(
                invoke=invoke, result=event.result, data=event.data, error=event.error
            ).encode()
        else:
            outcomes = tuple(map(_outcome, event.results))
            payload = apdus.encode_method_results(outcomes)
            apdu = apdus.ActionResponseList(invoke=invoke, results=outcomes).encode()
        if len(apdu) <= room:
            return apdu
        if not can_block:
            raise LocalProtocolError(f"the result has {len(apdu)} octets; the client takes {room}")
        self._outgoing = Outgoing(payload)
        return self._next_action_block(self._outgoing, room)

    def _next_get_block(self, outgoing: Outgoing, room: int) -> bytes:
        last, block, data = outgoing.next_block(room - BLOCK_OVERHEAD_OCTETS)
        if last:
            self._outgoing = None
        return apdus.GetResponseBlock(invoke=self._invoke, last=last, block=block, data=data).encode()

    def _next_action_block(self, outgoing: Outgoing, room: int) -> bytes:
        last, block, data = outgoing.next_block(room - BLOCK_OVERHEAD_OCTETS)
        if last:
            self._outgoing = None
        return apdus.ActionResponseBlock(invoke=self._invoke, last=last, block=block, data=data).encode()

    def _send_next(self, message: apdus.GetNext | apdus.ActionNext, *, room: int) -> None:
        outgoing = self._outgoing
        getting = isinstance(message, apdus.GetNext)
        asked_get = self._expected in (GetResult, GetListResult)
        if outgoing is None or self.awaits_result or getting != asked_get:
            raise Unexpected("the next block was asked for, but there is no long answer")
        if message.block != outgoing.number or message.invoke & 0x0F != self._invoke & 0x0F:
            self._outgoing = None
            self.reply = (
                apdus.GetResponseBlock(
                    invoke=message.invoke,
                    last=True,
                    block=message.block,
                    error=DataAccess.DATA_BLOCK_NUMBER_INVALID,
                ).encode()
                if getting
                else apdus.ActionResponseNormal(
                    invoke=message.invoke, result=ActionOutcome.LONG_ACTION_ABORTED
                ).encode()
            )
            return
        self.reply = (
            self._next_get_block(outgoing, room) if getting else self._next_action_block(outgoing, room)
        )


def _outcome(result: ActionResult) -> apdus.MethodResult:
    return apdus.MethodResult(result.result, result.data, result.error)


def _request(message: apdus.Apdu) -> Request:
    """Return the request that one whole message is."""
    match message:
        case apdus.GetNormal():
            return GetRequest(attribute=message.attribute, selection=message.selection)
        case apdus.GetWithList():
            return GetListRequest(attributes=message.attributes)
        case apdus.SetNormal():
            return SetRequest(attribute=message.attribute, data=message.data, selection=message.selection)
        case apdus.ActionNormal():
            return ActionRequest(method=message.method, parameters=message.parameters)
        case apdus.SetWithList():
            return _set_list(message.attributes, message.values)
        case apdus.ActionWithList():
            return _action_list(message.methods, message.parameters)
    raise Unexpected(f"{type(message).__name__} is not a request")


def _blocked_request(first: _FirstBlock, whole: bytes) -> Request:
    """Return the request whose values came in blocks."""
    match first:
        case apdus.SetFirstBlock():
            return SetRequest(attribute=first.attribute, data=whole, selection=first.selection)
        case apdus.ActionFirstBlock():
            return ActionRequest(method=first.method, parameters=whole)
        case apdus.SetListFirstBlock():
            return _set_list(first.attributes, apdu_reading.values(whole, 0))
        case _:
            return _action_list(first.methods, apdu_reading.values(whole, 0))


def _check_values(names: int, values: int) -> None:
    if names != values:
        raise Unexpected(f"a list names {names} items and brings {values} values")


def _set_list(attributes: apdus.Attributes, values: tuple[bytes, ...]) -> SetListRequest:
    _check_values(len(attributes), len(values))
    return SetListRequest(
        items=tuple(
            (name, selection, data) for (name, selection), data in zip(attributes, values, strict=True)
        )
    )


def _action_list(methods: tuple[apdus.Method, ...], parameters: tuple[bytes, ...]) -> ActionListRequest:
    _check_values(len(methods), len(parameters))
    given = (None if data == axdr.NULL else data for data in parameters)
    return ActionListRequest(items=tuple(zip(methods, given, strict=True)))
