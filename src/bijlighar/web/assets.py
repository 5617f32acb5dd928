"""Style sheets, scripts and fonts: read once, named by their content, compressed once, cached for ever."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import Parameter

PREFIX = "/static/"
FOR_EVER = "public, max-age=31536000, immutable"
DIGEST_SIGNS = 10
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
}
#: What is compressed already gains nothing.
COMPRESSED = frozenset({".woff2"})
REFERENCE = re.compile(r'"/static/([a-z0-9_/.-]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file as it is served; `path` is what pages name, `body` has the names of other files in it made whole."""

    path: str
    media_type: str
    body: bytes
    zipped: bytes | None


@cache
def assets() -> dict[str, Asset]:
    """Return every asset by the name that templates give it, like `css/console.css`."""
    found: dict[str, Asset] = {}
    for name, body in sorted(_files(), key=lambda item: item[0].endswith((".css", ".js"))):
        found[name] = _asset(name, body, found)
    return found


def asset_path(name: str) -> str:
    """
    Return the path of an asset, which changes with its content.

    :raises KeyError: if there is no such asset: a template is wrong.
    """
    return assets()[name].path


def _files() -> list[tuple[str, bytes]]:
    root = resources.files("bijlighar.web") / "static"
    found: list[tuple[str, bytes]] = []
    waiting: list[tuple[str, Traversable]] = [("", root)]
    while waiting:
        prefix, folder = waiting.pop()
        for entry in folder.iterdir():
            if entry.is_dir():
                waiting.append((f"{prefix}{entry.name}/", entry))
            elif _ending(entry.name) in TYPES:
                found.append((prefix + entry.name, entry.read_bytes()))
    return sorted(found)


def _asset(name: str, body: bytes, known: dict[str, Asset]) -> Asset:
    ending = _ending(name)
    if ending in (".css", ".js"):
        text = body.decode()
        body = REFERENCE.sub(lambda match: f'"{known[match[1]].path}"', text).encode()
    digest = hashlib.sha256(body).hexdigest()[:DIGEST_SIGNS]
    stem = name.removesuffix(ending).replace("/", "-")
    return Asset(
        path=f"{PREFIX}{stem}.{digest}{ending}",
        media_type=TYPES[ending],
        body=body,
        zipped=None if ending in COMPRESSED else gzip.compress(body, 9, mtime=0),
    )


def _ending(name: str) -> str:
    return name[name.rfind(".") :] if "." in name else ""


@cache
def _by_path() -> dict[str, Asset]:
    return {asset.path: asset for asset in assets().values()}


@get("/static/{name:str}", sync_to_thread=False, opt={"public": True})
def show_asset(
    request: Request[Any, Any, Any], name: Annotated[str, Parameter(max_length=128)]
) -> Response[bytes]:
    """Show one asset; a name of an older release is not found, and no page of this one asks for it."""
    asset = _by_path().get(PREFIX + name)
    if asset is None:
        raise NotFoundException("there is no such file")
    headers = {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"}
    body = asset.body
    if asset.zipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = asset.zipped
    return Response(body, media_type=asset.media_type, headers=headers)
