"""The documents behind the links in messages, found by what cannot be guessed alone."""

from html import escape
from typing import Annotated, Any, Literal

from litestar import MediaType, Request, Response, get
from litestar.params import Parameter, QueryParameter
from litestar.response import File

from bijlighar.runtime import documents
from bijlighar.web.shared import line_of

Token = Annotated[str, Parameter(max_length=128)]
LanguageChoice = Annotated[Literal["hi", "en"] | None, QueryParameter(name="lang")]


@get("/b/{token:str}", sync_to_thread=True, opt={"public": True})
def show_bill(request: Request[Any, Any, Any], token: Token, language: LanguageChoice = None) -> File:
    """Show a bill as PDF, in the consumer's language or the one that is asked for."""
    file = documents.bill_by_link(line_of(request), token=token, language=language)
    return File(
        path=file, media_type="application/pdf", filename=file.name, content_disposition_type="inline"
    )


@get("/n/{reference:str}/{signature:str}", sync_to_thread=True, opt={"public": True})
def show_notice(request: Request[Any, Any, Any], reference: Token, signature: Token) -> Response[str]:
    """Show the whole text of a statutory notice, as it was printed."""
    message = documents.notice_by_link(line_of(request), reference=reference, signature=signature)
    title = {"hi": "वैधानिक सूचना", "en": "Statutory notice"}[message.language]
    paragraphs = "".join(f"<p>{escape(part)}</p>" for part in message.text.split("\n\n"))
    page = (
        f'<!doctype html><html lang="{message.language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title></head>'
        f"<body><main>{paragraphs.replace(chr(10), '<br>')}</main></body></html>"
    )
    return Response(page, media_type=MediaType.HTML)
