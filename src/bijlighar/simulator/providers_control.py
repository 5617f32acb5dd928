"""What a demo or a test may ask of the fake providers, on a port that the system never knows."""

from collections.abc import Callable, Iterable
from typing import Any

from bijlighar.base.period import epoch_seconds, parse_moment
from bijlighar.simulator import providers_fate as fate
from bijlighar.simulator import providers_links as links
from bijlighar.simulator.providers_callbacks import MESSAGE_PATH, PAYMENT_PATH, Dispatcher
from bijlighar.simulator.providers_fate import RefusedByProvider
from bijlighar.simulator.providers_memory import ProviderMemory, StoredCallback, StoredPayment

_STATES = {"captured": ("authorized", "captured"), "authorized": ("authorized",), "failed": ("failed",)}
_STEPS = {
    "capture": ("authorized", "captured"),
    "fail": ("authorized", "failed"),
    "refund": ("captured", "refunded"),
}
_GENUINELY_SIGNED = ("unknown_payment", "inflated_amount")


def entity_of(payment: StoredPayment) -> dict[str, Any]:
    """Return a stored payment as the gateway's API writes it."""
    return fate.payment_entity(
        payment_id=payment.payment_id,
        account=payment.account,
        amount_paise=payment.amount_paise,
        method=payment.method,
        status=payment.status,
        created_at=payment.at_s,
        order_id=payment.order_id,
    )


class ControlDesk:
    """Carries out what the control port is asked."""

    def __init__(self, memory: ProviderMemory, *, dispatcher: Dispatcher, seed: int, key_secret: str) -> None:
        """Work on `memory`; what is to be told goes to `dispatcher`, what a browser carries bears `key_secret`."""
        self._memory = memory
        self._key_secret = key_secret
        self._dispatcher = dispatcher
        self._seed = seed
        #: HTTP status and number of the next answers that refuse a message.
        self._misbehaves: tuple[int, int] = (0, 0)

    def deliver(self, callbacks: Iterable[StoredCallback]) -> None:
        """Deliver stored callbacks."""
        for callback in callbacks:
            self._dispatcher.add(callback)

    def misbehave(self) -> None:
        """
        Refuse a message, if the desk was asked to refuse some.

        :raises RefusedByProvider: if so.
        """
        status, left = self._misbehaves
        if left:
            self._misbehaves = (status, left - 1)
            raise RefusedByProvider("(#130429) Rate limit hit", status=status, number=130429)

    async def carry_out(self, name: str, order: dict[str, Any]) -> object:
        """
        Carry out an order and return its answer.

        :raises RefusedByProvider: if there is no such order.
        """
        if name == "forge":
            return {"status": await self._forge(order)}
        orders: dict[str, Callable[[dict[str, Any]], object]] = {
            "time": self._set_time,
            "pay": self._pay,
            "capture": lambda order: self._step(order["payment_id"], "capture"),
            "fail": lambda order: self._step(order["payment_id"], "fail"),
            "refund": lambda order: self._step(order["payment_id"], "refund"),
            "pay_link": lambda order: {"url": self.pay_link(order["link_id"], base_url="")},
            "write": self._write,
            "misbehave": self._set_misbehaviour,
            "messages": lambda _order: self._memory.messages(),
            "payments": lambda _order: [entity_of(payment) for payment in self._memory.payments()],
            "state": self._state,
        }
        if name not in orders:
            raise RefusedByProvider(f"there is no control {name}", status=404)
        return orders[name](order)

    def _set_time(self, order: dict[str, Any]) -> object:
        self._memory.set_now_s(epoch_seconds(parse_moment(order["now"])))
        return {"now_s": self._memory.now_s}

    def _set_misbehaviour(self, order: dict[str, Any]) -> object:
        self._misbehaves = (int(order["status"]), int(order["count"]))
        return {}

    def _state(self, _order: dict[str, Any]) -> object:
        return {
            "now_s": self._memory.now_s,
            "undelivered": self._memory.undelivered(),
            "messages": self._memory.next_message() - 1,
            "payments": len(self._memory.payments()),
            **self._memory.counters(),
        }

    def _pay(self, order: dict[str, Any]) -> object:
        status = order.get("status", "captured")
        amount_paise = order["amount_paise"]
        if type(amount_paise) is not int or amount_paise <= 0:
            raise RefusedByProvider(f"{amount_paise!r} paise is not above zero", status=400)
        at_s = epoch_seconds(parse_moment(order["at"]))
        payment = StoredPayment(
            payment_id=fate.entity_id("pay", self._seed, order["reference"]),
            account=order["account"],
            amount_paise=amount_paise,
            method=order["method"],
            status=status,
            at_s=at_s,
        )
        self._memory.begin()
        new = self._memory.add_payment(payment, reference=order["reference"])
        callbacks = self._tell(payment, _STATES[status]) if new else []
        self._memory.commit()
        self.deliver(callbacks)
        return {"payment_id": payment.payment_id, "new": new}

    def pay_link(self, link_id: str, *, base_url: str) -> str:
        """
        Let a consumer pay on a page of the gateway, once, and return where the browser goes on to, with the proof.

        :raises RefusedByProvider: if there is no such page.
        """
        link = self._memory.link(link_id)
        payment_id = fate.entity_id("pay", self._seed, "link", link_id)
        if link.payment_id is None:
            payment = StoredPayment(
                payment_id=payment_id,
                account=None,
                amount_paise=link.amount_paise,
                method="upi",
                status="captured",
                at_s=self._memory.now_s,
                order_id=link.order_id,
            )
            self._memory.begin()
            self._memory.add_payment(payment, reference=link_id)
            self._memory.pay_link(link_id, payment_id=payment_id)
            link = self._memory.link(link_id)
            body = fate.link_callback(
                payment=entity_of(payment),
                link=links.link_entity(link, base_url=base_url),
                order=links.order_entity(link),
                created_at=payment.at_s,
            )
            told = self._memory.add_callback(
                path=PAYMENT_PATH,
                event_id=fate.entity_id("event", self._seed, link_id)[6:],
                body=body.decode(),
                delay_ms=0,
            )
            callbacks = [*self._tell(payment, _STATES["captured"]), told]
            self._memory.commit()
            self.deliver(callbacks)
        return links.return_address(link, secret=self._key_secret)

    def _step(self, payment_id: str, act: str) -> object:
        payment = self._memory.payment(payment_id)
        before, after = _STEPS[act]
        if payment.status != before:
            return {"status": payment.status}
        self._memory.begin()
        self._memory.set_status(payment_id, after)
        callbacks = self._tell(self._memory.payment(payment_id), (after,))
        self._memory.commit()
        self.deliver(callbacks)
        return {"status": after}

    def _tell(self, payment: StoredPayment, states: tuple[str, ...]) -> list[StoredCallback]:
        """Store the callbacks of a payment; each is a snapshot of its own state, a repeat has the same event id."""
        planned = fate.payment_events(seed=self._seed, payment_id=payment.payment_id, states=states)
        callbacks = []
        for each in planned:
            status = each.what.removeprefix("payment.")
            entity = {**entity_of(payment), "status": status, "captured": status in ("captured", "refunded")}
            body = fate.payment_callback(event=each.what, entity=entity, created_at=payment.at_s)
            callbacks.append(
                self._memory.add_callback(
                    path=PAYMENT_PATH,
                    event_id=fate.entity_id("event", self._seed, payment.payment_id, each.what)[6:],
                    body=body.decode(),
                    delay_ms=each.delay_ms,
                )
            )
        return callbacks

    def _write(self, order: dict[str, Any]) -> object:
        """Let a consumer write to the company's number."""
        self._memory.begin()
        self._memory.count("written")
        provider_id = fate.message_id(self._seed, -self._memory.counters()["written"])
        body = fate.inbound_callback(
            provider_id=provider_id, phone=order["phone"], text=order["text"], at_s=self._memory.now_s
        )
        callback = self._memory.add_callback(
            path=MESSAGE_PATH, event_id=provider_id, body=body.decode(), delay_ms=0
        )
        self._memory.commit()
        self.deliver((callback,))
        return {"provider_id": provider_id}

    async def _forge(self, order: dict[str, Any]) -> int:
        """Send what an attacker would, once, and return the HTTP status it was answered with."""
        now_s, kind = self._memory.now_s, order["kind"]
        payment_id = order.get("payment_id") or fate.entity_id("pay", self._seed, "forged", now_s)
        entity = fate.payment_entity(
            payment_id=payment_id,
            account=order.get("account"),
            amount_paise=order.get("amount_paise", 100),
            method="upi",
            status="captured",
            created_at=now_s,
        )
        path, body = (
            PAYMENT_PATH,
            fate.payment_callback(event="payment.captured", entity=entity, created_at=now_s),
        )
        if kind == "message_signature":
            item = fate.status_item(
                provider_id="wamid.forged",
                state="delivered",
                phone="910000000000",
                reference="m1",
                at_s=now_s,
            )
            path, body = MESSAGE_PATH, fate.message_callback([item], phone_number_id="1")
        secret = self._dispatcher.secret_of(path) if kind in _GENUINELY_SIGNED else "guessed"
        event_id = fate.entity_id("event", self._seed, kind, payment_id)[6:]
        signature = fate.signed(secret, body)
        return await self._dispatcher.post(path=path, body=body, signature=signature, event_id=event_id)
