"""A consumer's page: bill, supply, use, passbook; and the part of it that is looked at again and again."""

from typing import Annotated, Any, Literal

from litestar import Request, Response, get
from litestar.params import QueryParameter
from litestar.response import File

from bijlighar.base.words import Words
from bijlighar.ledger.model import TransferKind
from bijlighar.runtime.documents import own_bill_file
from bijlighar.runtime.portal import portal_page, portal_status
from bijlighar.web.language import language_of
from bijlighar.web.pages import page
from bijlighar.web.portal.picture import day_bars, month_bars
from bijlighar.web.portal.wording import ENTRY_WORDS, coming_of
from bijlighar.web.shared import account_of, line_of

Asked = Request[Any, Any, Any]
_OWN = {"account": True}
NUMBER_MAX = 32
#: The lines of the passbook that are seen at once.
LINES_AT_ONCE = 5


@get("/me", sync_to_thread=True, opt=_OWN)
def show_account(request: Asked) -> Response[str]:
    """Show the page."""
    return account_page(request)


def account_page(
    request: Asked, *, problem: Words | None = None, wished: str = "", status_code: int = 200
) -> Response[str]:
    """Return the page, with what went wrong with a payment that was wished for."""
    line, language = line_of(request), language_of(request)
    shown = portal_page(line, account=account_of(request), now=line.now(), language=language)
    return page(
        request,
        "portal/account.html",
        status_code=status_code,
        shown=shown,
        status=shown.status,
        coming=coming_of(shown.status),
        bars=day_bars(shown.usage.days) if shown.usage.days else month_bars(shown.usage.months),
        entries=ENTRY_WORDS,
        bill_kind=TransferKind.BILL,
        at_once=LINES_AT_ONCE,
        problem=problem,
        wished=wished,
    )


@get("/me/status", sync_to_thread=True, opt=_OWN)
def show_status(request: Asked) -> Response[str]:
    """Show the part of the page that changes while one looks at it."""
    line = line_of(request)
    status = portal_status(line, account=account_of(request), now=line.now())
    return page(request, "portal/status.html", status=status, coming=coming_of(status))


@get("/me/bill.pdf", sync_to_thread=True, opt=_OWN)
def show_bill(
    request: Asked,
    language: Annotated[Literal["hi", "en"] | None, QueryParameter(name="lang")] = None,
    number: Annotated[str | None, QueryParameter(name="number", max_length=NUMBER_MAX)] = None,
) -> File:
    """Show one of the account's own bills as PDF, the newest where none is named."""
    file = own_bill_file(
        line_of(request),
        account=account_of(request),
        number=number,
        language=language or language_of(request),
    )
    return File(
        path=file, media_type="application/pdf", filename=file.name, content_disposition_type="inline"
    )


ROUTES = (show_account, show_status, show_bill)
