"""The providers' callbacks: verified over the raw body, stored, then answered."""

import asyncio
from typing import Annotated, Any

from litestar import MediaType, Request, Response, get, post
from litestar.params import HeaderParameter, QueryParameter

from bijlighar.runtime import messages, payments
from bijlighar.web.shared import line_of

Challenge = Annotated[str, QueryParameter(name="hub.challenge", max_length=512)]
Mode = Annotated[str, QueryParameter(name="hub.mode", max_length=64)]
Token = Annotated[str, QueryParameter(name="hub.verify_token", max_length=512)]


@get("/callbacks/whatsapp", sync_to_thread=False, opt={"public": True})
def verify_messages(
    request: Request[Any, Any, Any], mode: Mode = "", token: Token = "", challenge: Challenge = ""
) -> Response[str]:
    """Answer the message provider's challenge when it registers this address."""
    answer = messages.answer_challenge(line_of(request), mode=mode, token=token, challenge=challenge)
    return Response(answer, media_type=MediaType.TEXT)


@post("/callbacks/whatsapp", status_code=200, opt={"public": True})
async def take_message_event(
    request: Request[Any, Any, Any],
    signature: Annotated[str, HeaderParameter(name="X-Hub-Signature-256", max_length=256)] = "",
) -> dict[str, str]:
    """Take receipts of messages."""
    body, line = await request.body(), line_of(request)
    new = await asyncio.to_thread(messages.accept_event, line, body=body, signature=signature, now=line.now())
    return {"result": "stored" if new else "known"}


@post("/callbacks/payment", status_code=200, opt={"public": True})
async def take_payment_event(
    request: Request[Any, Any, Any],
    signature: Annotated[str, HeaderParameter(name="X-Razorpay-Signature", max_length=256)] = "",
    event_id: Annotated[str, HeaderParameter(name="X-Razorpay-Event-Id", max_length=128)] = "",
) -> dict[str, str]:
    """Take the payment gateway's word that something happened."""
    body, line = await request.body(), line_of(request)
    new = await asyncio.to_thread(
        payments.accept_event, line, body=body, signature=signature, event_id=event_id, now=line.now()
    )
    return {"result": "stored" if new else "known"}
