"""The message provider's callbacks: verified over the raw body, kept and applied in one transaction."""

import hashlib
from datetime import datetime

from bijlighar.notices import operations as notices
from bijlighar.notices import rules
from bijlighar.runtime.line import Line
from bijlighar.runtime.payments import ForgedCallback
from bijlighar.storage import inbox

PROVIDER = "whatsapp"


def answer_challenge(line: Line, *, mode: str, token: str, challenge: str) -> str:
    """
    Return what the provider expects when it registers the callback's address.

    :raises ForgedCallback: if it does not know the word that was agreed.
    """
    expected = line.home.settings.text("whatsapp.verify_token")
    if not rules.verify_subscription(verify_token=expected, mode=mode, token=token):
        raise ForgedCallback("the request does not know the agreed word (whatsapp.verify_token)")
    return challenge


def accept_event(line: Line, *, body: bytes, signature: str, now: datetime) -> bool:
    """
    Verify, keep and apply a callback about messages; False if it is known.

    :raises ForgedCallback: if the signature is not the provider's; nothing is stored then.
    :raises BrokenCallback: if a genuine callback cannot be read.
    """
    secret = line.home.settings.text("whatsapp.app_secret")
    if not rules.verify_signature(secret=secret, body=body, header=signature):
        raise ForgedCallback(
            "the callback does not bear the message provider's signature; nothing was changed"
        )
    callback = rules.parse_callback(body)
    identity = hashlib.sha256(body).hexdigest()
    with line.database.write() as connection:
        if not inbox.store(connection, provider=PROVIDER, event_id=identity, body=body, now=now):
            return False
        moved = notices.record_status(connection, statuses=callback.statuses, now=now)
        notices.record_inbound(connection, messages=callback.inbound, now=now)
        inbox.settle(
            connection,
            provider=PROVIDER,
            event_id=identity,
            state=inbox.InboxState.DONE,
            note=f"{moved} of {len(callback.statuses)} receipts were news",
            now=now,
        )
    return True
