"""What went wrong, told to whoever asked: JSON to other systems, a fragment to htmx, a page to a person."""

import logging
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from bijlighar.base.errors import BijligharError
from bijlighar.base.words import Words
from bijlighar.web.pages import is_partial, page

log = logging.getLogger(__name__)

#: The status of an anticipated failure by its code; 400 for the others.
STATUS_OF = {
    "runtime.forged-callback": 403,
    "runtime.unknown-document": 404,
    "billing.unknown-bill": 404,
    "storage.unusable-database": 503,
    "runtime.clock-not-set": 503,
    "runtime.broken-settings": 503,
    "runtime.unusable-home": 503,
    "arrears.broken-policy": 503,
    "billing.broken-typesetting": 503,
    "offices.not-permitted": 403,
    "web.sign-in-needed": 401,
    "web.account-needed": 401,
    "runtime.too-many-codes": 429,
    "runtime.too-many-payments": 429,
    "runtime.wrong-code": 403,
    "runtime.not-configured": 503,
    "ledger.gateway-unavailable": 503,
    "ledger.gateway-refused": 503,
    "web.foreign-form": 403,
    "offices.same-person": 403,
    "arrears.unknown-list": 404,
    "arrears.unknown-order": 404,
    "arrears.not-to-be-approved": 409,
    "arrears.count-differs": 409,
    "arrears.not-by-hand": 409,
    "arrears.nothing-running": 409,
    "alarms.unknown-alarm": 404,
    "alarms.already-acknowledged": 409,
    "alarms.nothing-to-take-back": 409,
    "alarms.nothing-to-silence": 409,
    "alarms.already-proposed": 409,
    "alarms.already-decided": 409,
    "alarms.unknown-proposal": 404,
    "validation.unknown-exception": 404,
    "validation.unknown-edit": 404,
    "validation.edit-decided": 409,
    "validation.edit-stands": 409,
    "readings.changed": 409,
    "readings.month-sealed": 409,
    "readings.unknown-seal": 404,
    "readings.cannot-seal": 409,
    "readings.seal-changed": 409,
    "registry.unknown-end-device": 404,
    "validation.exception-changed": 409,
    "validation.not-the-holder": 409,
    "rollout.unknown-check": 404,
    "rollout.check-changed": 409,
    "balance.unknown-case": 404,
    "balance.case-stands": 409,
    "balance.case-changed": 409,
    "balance.not-the-inspector": 409,
    "demo.town-not-running": 503,
    "demo.nothing-left": 409,
}
#: What is asked by machines is answered as JSON.
MACHINES = ("/callbacks/", "/health")
FAULT = Words(
    hi="यहाँ कुछ ग़लत हुआ और दर्ज कर लिया गया है। कुछ बदला नहीं; दोबारा प्रयास कर सकते हैं।",
    en="Something failed here and was written down. Nothing was changed; you can try again.",
)
HTTP_WORDS: Mapping[int, Words] = {
    400: Words(
        hi="यह अनुरोध पढ़ा नहीं जा सका। पिछले पृष्ठ पर जाकर फ़ॉर्म फिर भरें।",
        en="This request cannot be read. Go back and fill in the form again.",
    ),
    403: Words(
        hi="यह फ़ॉर्म पुराना है या आपको इसकी अनुमति नहीं है। पृष्ठ फिर खोलें।",
        en="This form is too old, or you may not do this. Open the page again.",
    ),
    404: Words(
        hi="यह पृष्ठ नहीं है। ऊपर के मेनू से चुनें।", en="There is no such page. Choose one from the menu above."
    ),
    405: Words(
        hi="यह पता इस तरह नहीं खोला जाता। मेनू से चुनें।",
        en="This address is not opened this way. Choose from the menu.",
    ),
    415: Words(
        hi="भेजी गई जानकारी फ़ॉर्म के रूप में नहीं है; कुछ बदला नहीं। पृष्ठ खोलकर फ़ॉर्म से भेजें।",
        en="What was sent is no form; nothing was changed. Open the page and send its form.",
    ),
    413: Words(hi="भेजा गया डेटा बहुत बड़ा है।", en="What was sent is too large."),
}


@cache
def known_problems() -> Mapping[str, Words]:
    """Return what an anticipated failure is called on pages, by its code."""
    text = (resources.files("bijlighar.web") / "problems.toml").read_text(encoding="utf-8")
    return {code: Words(hi=entry["hi"], en=entry["en"]) for code, entry in tomllib.loads(text).items()}


def anticipated(request: Request[Any, Any, Any], problem: BijligharError) -> Response[Any]:
    """Answer a failure that the house knows."""
    status = STATUS_OF.get(problem.code, 400)
    if status == 401 and not _is_machine(request):
        return Redirect("/me/sign-in", status_code=303) if _is_consumers(request) else _to_sign_in(request)
    log.warning("refused with %d: %s [%s]", status, problem, problem.code)
    if _is_machine(request):
        return Response({"error": problem.code, "message": str(problem)}, status_code=status)
    return _told(request, words=known_problems().get(problem.code), detail=str(problem), status=status)


def http(request: Request[Any, Any, Any], problem: HTTPException) -> Response[Any]:
    """Answer a failure of the protocol: a wrong address, a form without its token."""
    if _is_machine(request):
        return Response({"error": "web.http", "message": problem.detail}, status_code=problem.status_code)
    words = HTTP_WORDS.get(problem.status_code, HTTP_WORDS[400] if problem.status_code < 500 else FAULT)
    return _told(request, words=words, detail="", status=problem.status_code)


def fault(request: Request[Any, Any, Any], problem: Exception) -> Response[Any]:
    """Answer a fault of ours: it is in the log, not on the page."""
    log.error("a request failed", exc_info=problem)
    if _is_machine(request):
        document = {
            "error": "web.fault",
            "message": "the request failed here and was written down; it can be sent again",
        }
        return Response(document, status_code=500)
    return _told(request, words=FAULT, detail="", status=500)


def in_any_case(
    answer: Callable[[Request[Any, Any, Any], Any], Response[Any]],
    request: Request[Any, Any, Any],
    problem: Any,  # noqa: ANN401 - whatever the framework has caught
) -> Response[Any]:
    """Answer a failure; in plain words of both languages where not even the page that tells it can be made."""
    try:
        return answer(request, problem)
    except Exception:
        log.exception("a failure could not be told on a page")
    words, status, detail = FAULT, 500, ""
    if isinstance(problem, BijligharError):
        words, status = known_problems().get(problem.code, FAULT), STATUS_OF.get(problem.code, 500)
        detail = str(problem)
    text = "\n".join(part for part in (words.hi, words.en, detail) if part)
    return Response(text, media_type=MediaType.TEXT, status_code=status)


def _told(request: Request[Any, Any, Any], *, words: Words | None, detail: str, status: int) -> Response[Any]:
    template = "shared/problem_part.html" if is_partial(request) else "shared/problem.html"
    if _is_consumers(request):
        template = "portal/problem.html"
    return page(request, template, status_code=status, words=words, detail=detail, status=status)


def _to_sign_in(request: Request[Any, Any, Any]) -> Response[Any]:
    """Send a stranger to the sign-in page, and back to where they were going if that was a page."""
    target = "/sign-in"
    if is_partial(request):
        return Response(b"", status_code=401, headers={"HX-Redirect": target})
    if request.method == "GET" and request.url.path != "/":
        target = f"/sign-in?next={request.url.path}"
    return Redirect(target, status_code=303)


def _is_machine(request: Request[Any, Any, Any]) -> bool:
    return request.url.path.startswith(MACHINES)


def _is_consumers(request: Request[Any, Any, Any]) -> bool:
    """Return whether a consumer asks, who is told in the form of the consumers' pages."""
    return request.url.path == "/me" or request.url.path.startswith("/me/")
