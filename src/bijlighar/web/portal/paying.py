"""A consumer pays: the form leads to the gateway's own page, and the gateway's page leads back."""

from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, QueryParameter
from litestar.response import Redirect

from bijlighar.base.errors import BijligharError, InvalidValue
from bijlighar.base.money import paise_from_rupees
from bijlighar.base.words import Words
from bijlighar.ledger.model import LinkReturn
from bijlighar.runtime.line import Line
from bijlighar.runtime.paying import RETURN_PATH, ImpossibleAmount, start_payment
from bijlighar.runtime.payments import accept_return
from bijlighar.runtime.portal import portal_status
from bijlighar.web.portal.account import account_page
from bijlighar.web.problems import STATUS_OF, known_problems
from bijlighar.web.shared import account_of, line_of

Asked = Request[Any, Any, Any]
Form = Body(media_type=RequestEncodingType.URL_ENCODED)
AMOUNT_MAX = 16
FIELD_MAX = 128
FAILED = Words(
    hi="भुगतान अभी शुरू नहीं हो सका; कोई राशि नहीं कटी। थोड़ी देर में फिर प्रयास करें, या वितरण केंद्र में भुगतान करें।",
    en="The payment could not be started now; nothing was charged. Try again in a moment, or pay at the office.",
)


@dataclass(frozen=True, slots=True)
class PayForm:
    """How much is to be paid, in rupees; empty for all that is due."""

    amount: str = ""


@post("/me/pay", sync_to_thread=True, opt={"account": True})
def pay(request: Asked, data: Annotated[PayForm, Form]) -> Response[Any]:
    """Lead the browser to the gateway's page for the sum."""
    line, account, wished = line_of(request), account_of(request), data.amount.strip()[:AMOUNT_MAX]
    try:
        address = start_payment(
            line, account=account, amount_paise=_paise(line, account=account, wished=wished), now=line.now()
        )
    except BijligharError as problem:
        words = known_problems().get(problem.code, FAILED)
        return account_page(
            request, problem=words, wished=wished, status_code=STATUS_OF.get(problem.code, 400)
        )
    return Redirect(address, status_code=303)


def _paise(line: Line, *, account: str, wished: str) -> int:
    if not wished:
        return portal_status(line, account=account, now=line.now()).owed.due_paise
    try:
        return paise_from_rupees(wished.replace("₹", ""))
    except InvalidValue as problem:
        raise ImpossibleAmount(str(problem)) from None


def _field(name: str) -> QueryParameter:
    return QueryParameter(name=f"razorpay_{name}", max_length=FIELD_MAX)


@get(RETURN_PATH, sync_to_thread=True, opt={"public": True})
def come_back(
    request: Asked,
    payment_id: Annotated[str, _field("payment_id")] = "",
    link_id: Annotated[str, _field("payment_link_id")] = "",
    reference: Annotated[str, _field("payment_link_reference_id")] = "",
    status: Annotated[str, _field("payment_link_status")] = "",
    signature: Annotated[str, _field("signature")] = "",
) -> Redirect:
    """Believe what the browser brings back by its signature alone, and show the account's page."""
    line = line_of(request)
    back = LinkReturn(
        link_id=link_id, reference=reference, status=status, payment_id=payment_id, signature=signature
    )
    accept_return(line, back=back, now=line.now())
    return Redirect("/me", status_code=303)


ROUTES = (pay, come_back)
