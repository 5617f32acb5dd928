"""The adapter to Meta's published WhatsApp Cloud API, on httpx."""

from typing import Any

import httpx

from bijlighar.notices.model import Accepted, Outgoing, Refused, SendResult, TryLater, WhatsAppSettings

CONNECTIONS_MAX = 32
REASON_MAX = 300
#: Errors that pass by themselves, whatever HTTP status they come with: limits of rate and pair, faults at Meta.
PASSING_CODES = frozenset({1, 2, 4, 80007, 130429, 131000, 131016, 131048, 131056, 133004, 133016})
#: Wrong or expired token, missing permission: nothing is wrong with the message, so it waits for the operator.
ACCESS_STATUSES = frozenset({401, 403})


class WhatsAppGateway:
    """A message gateway that sends templates through the WhatsApp Cloud API."""

    def __init__(self, settings: WhatsAppSettings) -> None:
        """Open the connections' pool; nothing is sent yet."""
        self._path = f"{settings.url.rstrip('/')}/{settings.phone_number_id}/messages"
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {settings.token}"},
            timeout=settings.timeout_s,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
            trust_env=False,
        )

    def send(self, *, outgoing: Outgoing) -> SendResult:
        """Hand the message to the provider and return what became of it; never raise for what a provider does."""
        try:
            response = self._client.post(self._path, json=body_of(outgoing))
        except httpx.TransportError as problem:
            return TryLater(reason=f"WhatsApp does not answer ({problem!r})"[:REASON_MAX])
        try:
            answer = response.json()
        except ValueError:
            answer = {}
        if response.is_success:
            try:
                return Accepted(provider_id=str(answer["messages"][0]["id"]))
            except (KeyError, IndexError, TypeError):
                return TryLater(reason="WhatsApp's answer names no message id")
        return _refusal(response.status_code, answer)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def body_of(outgoing: Outgoing) -> dict[str, object]:
    """Return the JSON body that sends a template with its parameters."""
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": outgoing.phone,
        "type": "template",
        "template": {
            "name": outgoing.template,
            "language": {"code": outgoing.language},
            "components": _components(outgoing),
        },
        "biz_opaque_callback_data": outgoing.reference,
    }


def _components(outgoing: Outgoing) -> list[dict[str, object]]:
    """Return the filled parts; an authentication template takes its code twice, for the text and for its button."""
    if outgoing.one_time_code:
        code = [{"type": "text", "text": words} for _, words in outgoing.parameters]
        return [
            {"type": "body", "parameters": code},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": code},
        ]
    named = [{"type": "text", "parameter_name": name, "text": words} for name, words in outgoing.parameters]
    return [{"type": "body", "parameters": named}]


def _refusal(status: int, answer: Any) -> SendResult:  # noqa: ANN401 - JSON
    error = answer.get("error") if isinstance(answer, dict) else None
    error = error if isinstance(error, dict) else {}
    code = error.get("code")
    words = f"WhatsApp answers {status}: {code or ''} {error.get('message') or ''}".strip()[:REASON_MAX]
    passing = status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR
    if passing or code in PASSING_CODES or status in ACCESS_STATUSES:
        return TryLater(reason=words)
    return Refused(reason=words)
