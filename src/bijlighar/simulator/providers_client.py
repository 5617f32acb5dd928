"""The client of the fake providers' control port, for a demo and for tests."""

import time
from datetime import datetime
from typing import Any

import httpx

from bijlighar.base.errors import BijligharError
from bijlighar.simulator.errors import SimulatorError

TIMEOUT_S = 60.0
POLL_FIRST_S = 0.002
POLL_MAX_S = 0.05


class ProvidersSilent(SimulatorError):
    """The fake providers do not answer, refuse an order, or are not done in time."""

    code = "simulator.providers-silent"


class ProviderControl:
    """Asks and orders the fake providers; every order may be repeated after a crash of either side."""

    def __init__(self, address: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Speak with the control port at `address` (HOST:PORT); nothing is sent yet."""
        self._client = httpx.Client(base_url=f"http://{address}", timeout=timeout_s, trust_env=False)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def set_time(self, now: datetime) -> None:
        """Set the providers' time, which their receipts carry from now on."""
        self._ask("time", now=now.isoformat())

    def pay(
        self,
        *,
        account: str | None,
        amount_paise: int,
        method: str,
        at: datetime,
        reference: str,
        status: str = "captured",
    ) -> str:
        """
        Let a consumer pay `amount_paise` [paise] at the gateway and return the payment's id.

        The same `reference` pays once. `status` is captured, authorized (money on its way) or failed.
        """
        answer = self._ask(
            "pay",
            account=account,
            amount_paise=amount_paise,
            method=method,
            at=at.isoformat(),
            reference=reference,
            status=status,
        )
        return str(answer["payment_id"])

    def capture(self, *, payment_id: str) -> None:
        """Let money on its way arrive."""
        self._ask("capture", payment_id=payment_id)

    def fail(self, *, payment_id: str) -> None:
        """Let money on its way fail."""
        self._ask("fail", payment_id=payment_id)

    def refund(self, *, payment_id: str) -> None:
        """Give a payment back."""
        self._ask("refund", payment_id=payment_id)

    def pay_link(self, *, link_id: str) -> str:
        """Let a consumer pay on a page of the gateway and return where the browser goes on to."""
        return str(self._ask("pay_link", link_id=link_id)["url"])

    def write(self, *, phone: str, text: str) -> None:
        """Let a consumer write to the company's number."""
        self._ask("write", phone=phone, text=text)

    def forge(
        self, kind: str, *, account: str | None = None, amount_paise: int = 100, payment_id: str | None = None
    ) -> int:
        """
        Send a false callback once and return the HTTP status it was answered with.

        `kind`: payment_signature or message_signature (signed by a stranger), unknown_payment (signed, but the
        gateway has no such payment), inflated_amount (signed, of a real payment, with another sum).
        """
        order = {"kind": kind, "account": account, "amount_paise": amount_paise, "payment_id": payment_id}
        return int(self._ask("forge", **order)["status"])

    def misbehave(self, *, status: int, count: int) -> None:
        """Refuse the next `count` messages with an HTTP status."""
        self._ask("misbehave", status=status, count=count)

    def messages(self) -> list[dict[str, Any]]:
        """Return every message that was taken: provider_id, phone, template, language, reference, words, at_s."""
        return list(self._ask("messages"))

    def payments(self) -> list[dict[str, Any]]:
        """Return every payment as the gateway's API writes it."""
        return list(self._ask("payments"))

    def state(self) -> dict[str, int]:
        """Return the providers' time and counts; `undelivered` callbacks are 0 when all is told."""
        return dict(self._ask("state"))

    def undelivered(self) -> int:
        """Return how many callbacks are not yet taken by the system."""
        return self.state()["undelivered"]

    def wait_until_told(self, *, patience_s: float) -> None:
        """
        Wait until every callback was taken.

        :raises ProvidersSilent: if that takes longer than `patience_s` [s].
        """
        give_up = time.monotonic() + patience_s
        wait_s = POLL_FIRST_S
        while (left := self.undelivered()) > 0:
            if time.monotonic() > give_up:
                raise ProvidersSilent(
                    f"{left} callbacks were not taken within {patience_s} s; does the server run?"
                )
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, POLL_MAX_S)

    def wait_until_ready(self, *, patience_s: float) -> None:
        """
        Wait until the providers answer.

        :raises ProvidersSilent: if they do not within `patience_s` [s].
        """
        give_up = time.monotonic() + patience_s
        while True:
            try:
                self.state()
            except BijligharError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(POLL_MAX_S)
            else:
                return

    def _ask(self, name: str, **order: object) -> Any:  # noqa: ANN401 - JSON
        try:
            response = self._client.post(f"/control/{name}", json=order)
        except httpx.TransportError as problem:
            raise ProvidersSilent(
                f"the fake providers do not answer ({problem!r}); are they started?"
            ) from None
        if not response.is_success:
            raise ProvidersSilent(f"the fake providers refuse {name}: {response.text[:300]}")
        return response.json()
