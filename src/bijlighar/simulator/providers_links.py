"""The fake gateway's pages where one sum can be paid: as its API tells of them, and as a browser sees them."""

from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit

from bijlighar.base.money import rupees
from bijlighar.simulator import providers_fate as fate
from bijlighar.simulator.providers_fate import RefusedByProvider
from bijlighar.simulator.providers_memory import StoredLink

PATH = "/i/"
AMOUNT_PAISE_MIN = 100
REFERENCE_MAX = 40
_STYLE = (
    "body{font:17px/1.5 sans-serif;margin:0 auto;max-width:24rem;padding:1rem;color:#17191b}"
    "button{font:inherit;width:100%;min-height:48px;margin:.5rem 0;border-radius:8px;border:1px solid #1f4e79}"
    ".pay{background:#1f4e79;color:#fff;font-weight:700}h1{font-size:2rem;margin:.5rem 0}.note{color:#50565b}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a browser is answered: a page, or where to go on to."""

    html: str = ""
    location: str = ""


def read_request(document: dict[str, Any], *, seed: int, now_s: int) -> StoredLink:
    """
    Return the page that is asked for.

    :raises RefusedByProvider: if the gateway would refuse it.
    """
    amount_paise, reference = document["amount"], document.get("reference_id") or ""
    if type(amount_paise) is not int or amount_paise < AMOUNT_PAISE_MIN or document["currency"] != "INR":
        raise RefusedByProvider("amount should be minimum 100 paise in INR", status=400)
    if not isinstance(reference, str) or not 0 < len(reference) <= REFERENCE_MAX:
        raise RefusedByProvider(f"reference_id must have 1 to {REFERENCE_MAX} characters", status=400)
    return_url = document.get("callback_url") or ""
    if return_url and document.get("callback_method") != "get":
        raise RefusedByProvider("callback_method must be get", status=400)
    if return_url and urlsplit(return_url).scheme not in ("http", "https"):
        raise RefusedByProvider("callback_url is not a valid URL", status=400)
    return StoredLink(
        link_id=fate.entity_id("plink", seed, reference),
        reference=reference,
        account=(document.get("notes") or {}).get("account"),
        amount_paise=amount_paise,
        description=str(document.get("description") or ""),
        return_url=return_url,
        payment_id=None,
        at_s=now_s,
    )


def link_entity(link: StoredLink, *, base_url: str) -> dict[str, Any]:
    """Return a page as the gateway's API writes it."""
    is_paid = link.payment_id is not None
    return {
        "id": link.link_id,
        "accept_partial": False,
        "amount": link.amount_paise,
        "amount_paid": link.amount_paise if is_paid else 0,
        "callback_method": "get" if link.return_url else "",
        "callback_url": link.return_url,
        "cancelled_at": 0,
        "created_at": link.at_s,
        "currency": "INR",
        "description": link.description,
        "expire_by": 0,
        "expired_at": 0,
        "notes": _notes(link),
        "payments": [{"payment_id": link.payment_id, "amount": link.amount_paise}] if is_paid else None,
        "reference_id": link.reference,
        "reminder_enable": False,
        "short_url": f"{base_url}{PATH}{link.link_id}",
        "status": "paid" if is_paid else "created",
    }


def order_entity(link: StoredLink) -> dict[str, Any]:
    """Return a page's order as the gateway's API writes it: it has the notes that the payment lacks."""
    is_paid = link.payment_id is not None
    return {
        "id": link.order_id,
        "entity": "order",
        "amount": link.amount_paise,
        "amount_paid": link.amount_paise if is_paid else 0,
        "amount_due": 0 if is_paid else link.amount_paise,
        "currency": "INR",
        "receipt": link.reference,
        "status": "paid" if is_paid else "created",
        "notes": _notes(link),
        "created_at": link.at_s,
    }


def _notes(link: StoredLink) -> dict[str, str] | list[str]:
    return [] if link.account is None else {"account": link.account}


def return_address(link: StoredLink, *, secret: str) -> str:
    """Return where the browser goes after the payment, with the signed proof."""
    if not link.return_url:
        return f"{PATH}{link.link_id}"
    told = "|".join((link.link_id, link.reference, "paid", link.payment_id or ""))
    query = urlencode(
        {
            "razorpay_payment_id": link.payment_id or "",
            "razorpay_payment_link_id": link.link_id,
            "razorpay_payment_link_reference_id": link.reference,
            "razorpay_payment_link_status": "paid",
            "razorpay_signature": fate.signed(secret, told.encode()),
        }
    )
    return f"{link.return_url}{'&' if '?' in link.return_url else '?'}{query}"


def show(link: StoredLink, *, failed: bool) -> Page:
    """Return the page as a browser sees it; it works without scripts."""
    sum_of_money = rupees(link.amount_paise)
    if link.payment_id is not None:
        inside = "<p><b>भुगतान हो चुका है · Already paid</b></p>"
    else:
        address = f"{PATH}{link.link_id}"
        inside = (
            f'<form method="post" action="{address}/pay"><button class="pay" id="pay">'
            f"{sum_of_money} दें · Pay {sum_of_money}</button></form>"
            f'<form method="post" action="{address}/fail"><button id="fail">'
            "भुगतान असफल हो · Let the payment fail</button></form>"
        )
    told = "<p><b>भुगतान नहीं हुआ · The payment failed</b></p>" if failed else ""
    return Page(
        html=(
            '<!doctype html><html lang="hi"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>भुगतान · Payment</title><style>{_STYLE}</style></head><body><main>"
            '<p class="note">नकली भुगतान पृष्ठ, कोई असली पैसा नहीं · A simulated gateway, no real money</p>'
            f"<p>{escape(link.description)}</p><h1>{sum_of_money}</h1>{told}{inside}</main></body></html>"
        )
    )
