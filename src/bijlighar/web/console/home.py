"""The first page: in a demo its story, with everything that can be tried; elsewhere the way to one's work."""

from typing import Any

from litestar import Request, Response, get
from litestar.response import Redirect

from bijlighar.offices.model import View
from bijlighar.runtime.story import story
from bijlighar.web.pages import MENU, first_page, page
from bijlighar.web.shared import line_of, session_of

#: The page of each view and what it is called, for the links of the story.
PAGE_OF_VIEW: dict[View, tuple[str, str]] = {view: (path, name) for view, path, name in MENU}


@get("/", sync_to_thread=True, opt={"public": True})
def show_home(request: Request[Any, Any, Any]) -> Response[Any]:
    """Show a demo's story, or lead on."""
    line, session = line_of(request), session_of(request)
    if line.home.is_demo:
        return page(request, "shared/story.html", story=story(line), page_of_view=PAGE_OF_VIEW)
    return Redirect("/sign-in" if session is None else first_page(session.person), status_code=303)


ROUTES = (show_home,)
