"""The web server's life: uvicorn inside our own loop, stopped by our own event."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from litestar.types import ControllerRouterHandler

from bijlighar.base.errors import BijligharError
from bijlighar.runtime.line import Line
from bijlighar.web.app import create_app

SHUTDOWN_TIMEOUT_S = 2
BACKLOG = 1024


class PortTaken(BijligharError):
    """The web server's port cannot be listened on."""

    code = "web.port-taken"


async def run_web(
    line: Line, *, port: int | None, stop: asyncio.Event, extra: Sequence[ControllerRouterHandler] = ()
) -> None:
    """
    Serve until told to stop; `extra` are the routes that a demo's home has beside the others.

    :raises PortTaken: if the port cannot be listened on.
    """
    settings = line.home.settings
    address = (settings.text("web.host"), port or settings.whole("web.port"))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as problem:
        listener.close()
        raise PortTaken(
            f"cannot listen on {address[0]}:{address[1]} ({problem.strerror}); choose another --port"
        ) from None
    listener.listen(BACKLOG)
    app = create_app(line, extra=extra)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
            server_header=False,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    app.state["hub"].close()  # streams never end by themselves, and a server waits for its connections
    server.should_exit = True
    stopped.cancel()
    await serving


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
