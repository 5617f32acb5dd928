"""
The fake providers of messages and payments, in a process of their own.

On `port` they speak the published HTTP APIs: WhatsApp Cloud API and Razorpay. On `control_port` (loopback, another
port, which the system's processes never know) a demo or a test says who pays and what the time is, and asks what is
still to be delivered.
"""

import base64
import hmac
import json
import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import epoch_seconds
from bijlighar.simulator import providers_fate as fate
from bijlighar.simulator import providers_links as links
from bijlighar.simulator.errors import PortTaken
from bijlighar.simulator.providers_callbacks import MESSAGE_PATH, Dispatcher
from bijlighar.simulator.providers_control import ControlDesk, entity_of
from bijlighar.simulator.providers_fate import ProviderSecrets, RefusedByProvider
from bijlighar.simulator.providers_memory import ProviderMemory

BODY_BYTES_MAX = 1_048_576
BACKLOG = 512
SHUTDOWN_S = 2
REFERENCE_MAX = 512
CODE_MAX = 15
_PHONE = re.compile(r"[1-9][0-9]{7,14}", re.ASCII)
_SEND = re.compile(r"(?:/v\d+\.\d+)?/\d+/messages", re.ASCII)
_UNFIT = re.compile(r"[\n\t]| {5,}")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = tuple[int, object]


def serve_providers(
    *,
    folder: Path,
    port: int,
    control_port: int,
    callback_base_url: str,
    secrets: ProviderSecrets,
    seed: int,
    start_at: datetime,
    host: str = "127.0.0.1",
) -> None:
    """
    Serve the fake providers until SIGTERM; their memory stays in `folder`, and with it what is not delivered.

    :raises PortTaken: if a port is in use.
    """
    memory = ProviderMemory(folder, start_s=epoch_seconds(start_at))
    app = Providers(
        memory, callback_base_url=callback_base_url, secrets=secrets, seed=seed, control_port=control_port
    )
    sockets = [_listen(host, port), _listen("127.0.0.1", control_port)]
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    try:
        uvicorn.Server(config).run(sockets=sockets)
    finally:
        memory.close()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as problem:
        listener.close()
        raise PortTaken(f"the fake providers cannot listen on {host}:{port}: {problem.strerror}") from None
    listener.listen(BACKLOG)
    return listener


class Providers:
    """The fake providers as an ASGI application; by the port a request came to, it is theirs or the control's."""

    def __init__(
        self,
        memory: ProviderMemory,
        *,
        callback_base_url: str,
        secrets: ProviderSecrets,
        seed: int,
        control_port: int,
    ) -> None:
        """Serve from `memory`; callbacks go to `callback_base_url`."""
        self._memory = memory
        self._callback_base_url = callback_base_url
        self._secrets = secrets
        self._seed = seed
        self._control_port = control_port
        self._desk: ControlDesk | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        status, document = await self._answer(scope, receive)
        headers = [(b"content-type", b"application/json")]
        if isinstance(document, links.Page):
            body = document.html.encode()
            headers = [(b"content-type", b"text/html; charset=utf-8")]
            if document.location:
                headers.append((b"location", document.location.encode()))
        else:
            body = json.dumps(document, ensure_ascii=False).encode()
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        dispatcher = Dispatcher(
            self._memory, callback_base_url=self._callback_base_url, secrets=self._secrets
        )
        dispatcher.start()
        self._desk = ControlDesk(
            self._memory,
            dispatcher=dispatcher,
            seed=self._seed,
            key_secret=self._secrets.gateway_key_secret,
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await dispatcher.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        method, path = scope["method"], scope["path"]
        of_control = scope["server"][1] == self._control_port
        try:
            body = await _body(receive)
            if path.startswith(links.PATH) and not of_control:
                return self._link_page(scope, method, path)
            document = json.loads(body) if body else {}
            if of_control:
                return 200, await self._at_the_desk.carry_out(path.removeprefix("/control/"), document)
            if _SEND.fullmatch(path) and method == "POST":
                return self._take_message(scope, document)
            return self._gateway(scope, method, path, document)
        except RefusedByProvider as refusal:
            self._memory.roll_back()
            return refusal.status, _error(refusal)
        except (InvalidValue, ValueError, KeyError, TypeError, AttributeError) as problem:
            self._memory.roll_back()
            return 400, _error(
                RefusedByProvider(f"the request cannot be read: {problem!r}", status=400, number=100)
            )

    @property
    def _at_the_desk(self) -> ControlDesk:
        if self._desk is None:
            raise RefusedByProvider("the providers are not up yet", status=503)
        return self._desk

    # WhatsApp Cloud API

    def _take_message(self, scope: Scope, document: dict[str, Any]) -> Answer:
        _authorised(scope, f"Bearer {self._secrets.whatsapp_token}", number=190)
        self._at_the_desk.misbehave()
        phone, name, language, words = _read_message(document)
        reference = document.get("biz_opaque_callback_data")
        memory = self._memory
        memory.begin()
        number, now_s = memory.next_message(), memory.now_s
        provider_id = fate.message_id(self._seed, number)
        memory.add_message(
            (
                number,
                provider_id,
                phone,
                name,
                language,
                reference,
                json.dumps(words, ensure_ascii=False),
                now_s,
            )
        )
        callbacks = []
        for planned in fate.receipts(seed=self._seed, phone=phone, template=name):
            item = fate.status_item(
                provider_id=provider_id, state=planned.what, phone=phone, reference=reference, at_s=now_s
            )
            callbacks.append(
                memory.add_callback(
                    path=MESSAGE_PATH,
                    event_id="",
                    body=json.dumps(item, ensure_ascii=False),
                    delay_ms=planned.delay_ms,
                )
            )
        memory.commit()
        self._at_the_desk.deliver(callbacks)
        return 200, {
            "messaging_product": "whatsapp",
            "contacts": [{"input": phone, "wa_id": phone}],
            "messages": [{"id": provider_id, "message_status": "accepted"}],
        }

    # Razorpay

    def _gateway(self, scope: Scope, method: str, path: str, document: dict[str, Any]) -> Answer:
        pair = f"{self._secrets.gateway_key_id}:{self._secrets.gateway_key_secret}".encode()
        _authorised(scope, f"Basic {base64.b64encode(pair).decode()}", number=0)
        if method == "GET" and path.startswith("/v1/payments/"):
            return 200, entity_of(self._memory.payment(path.removeprefix("/v1/payments/")))
        if path.startswith("/v1/orders/") and method == "GET":
            number = path.removeprefix("/v1/orders/").removeprefix("order_")
            return 200, links.order_entity(self._memory.link(f"plink_{number}"))
        if path == "/v1/payment_links" and method == "POST":
            return 200, self._make_link(scope, document)
        if path == "/v1/payment_links" and method == "GET":
            wanted = parse_qs(scope["query_string"].decode()).get("reference_id", [""])[0]
            found = self._memory.links(reference=wanted)
            return 200, {
                "payment_links": [links.link_entity(each, base_url=_base_url(scope)) for each in found]
            }
        if path.startswith("/v1/payment_links/") and method == "GET":
            link = self._memory.link(path.removeprefix("/v1/payment_links/"))
            return 200, links.link_entity(link, base_url=_base_url(scope))
        raise RefusedByProvider("The requested URL was not found on the server.", status=404)

    def _make_link(self, scope: Scope, document: dict[str, Any]) -> object:
        link = links.read_request(document, seed=self._seed, now_s=self._memory.now_s)
        if not self._memory.add_link(link):
            raise RefusedByProvider(
                f"payment link with given reference_id ({link.reference}) already exists", status=400
            )
        return links.link_entity(link, base_url=_base_url(scope))

    def _link_page(self, scope: Scope, method: str, path: str) -> Answer:
        """Answer a consumer's browser on the gateway's own page; it knows no key."""
        link_id, _, deed = path.removeprefix(links.PATH).partition("/")
        link = self._memory.link(link_id)
        if method == "POST" and deed == "pay":
            return 303, links.Page(location=self._at_the_desk.pay_link(link_id, base_url=_base_url(scope)))
        return 200, links.show(link, failed=method == "POST" and deed == "fail")


def _base_url(scope: Scope) -> str:
    """Return how the asker reached the providers."""
    host = dict(scope["headers"]).get(b"host", b"127.0.0.1").decode("ascii", "replace")
    return f"http://{host}"


def _error(refusal: RefusedByProvider) -> object:
    if refusal.number:
        return {"error": {"message": str(refusal), "type": "OAuthException", "code": refusal.number}}
    return {"error": {"code": "BAD_REQUEST_ERROR", "description": str(refusal), "source": "NA", "step": "NA"}}


def _authorised(scope: Scope, expected: str, *, number: int) -> None:
    given = dict(scope["headers"]).get(b"authorization", b"")
    if not hmac.compare_digest(given, expected.encode()):
        raise RefusedByProvider("Authentication failed", status=401, number=number)


def _read_message(document: dict[str, Any]) -> tuple[str, str, str, dict[str, str]]:
    """Return telephone number, template, language and words of a request to send, checked as the provider does."""
    if document["messaging_product"] != "whatsapp" or document["type"] != "template":
        raise RefusedByProvider("(#131008) Required parameter is missing", status=400, number=131008)
    phone, template = document["to"], document["template"]
    words = _words(template["components"])
    if not _PHONE.fullmatch(phone):
        raise RefusedByProvider("(#131009) Parameter value is not valid: to", status=400, number=131009)
    if any(not text or _UNFIT.search(text) for text in words.values()):
        raise RefusedByProvider("(#132018) There is an issue with the parameters", status=400, number=132018)
    reference = document.get("biz_opaque_callback_data")
    if reference is not None and len(reference) > REFERENCE_MAX:
        raise RefusedByProvider(
            "(#131009) Parameter value is not valid: reference", status=400, number=131009
        )
    return phone, template["name"], template["language"]["code"], words


def _words(components: list[dict[str, Any]]) -> dict[str, str]:
    """Return the words by parameter; an authentication template has its code in the text and again in the button."""
    if any(component["type"] == "button" for component in components):
        codes = [parameter["text"] for component in components for parameter in component["parameters"]]
        if len(codes) != 2 or codes[0] != codes[1] or len(codes[0]) > CODE_MAX:
            raise RefusedByProvider(
                "(#132018) There is an issue with the parameters", status=400, number=132018
            )
        return {"code": codes[0]}
    return {
        parameter["parameter_name"]: parameter["text"]
        for component in components
        for parameter in component["parameters"]
    }


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        part = await receive()
        parts.append(part.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES_MAX:
            raise RefusedByProvider("the request is too large", status=413)
        if not part.get("more_body", False):
            return b"".join(parts)
