"""The fake providers in a process of their own, and a small server that takes their callbacks."""

import multiprocessing
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from bijlighar.ledger.model import GatewaySettings
from bijlighar.notices.model import WhatsAppSettings
from bijlighar.simulator.providers import serve_providers
from bijlighar.simulator.providers_client import ProviderControl
from bijlighar.simulator.providers_fate import ProviderSecrets

NOW = datetime(2025, 5, 2, 6, 0, tzinfo=UTC)
SECRETS = ProviderSecrets(
    whatsapp_token="token-w",
    whatsapp_app_secret="secret-w",
    gateway_key_id="rzp_test",
    gateway_key_secret="secret-k",
    gateway_webhook_secret="secret-g",
)
PATIENCE_S = 30.0
SPAWN = multiprocessing.get_context("spawn")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ProviderProcess:
    """The providers as a child process that can be killed and started again on the same memory and ports."""

    def __init__(self, folder: Path, *, callback_base_url: str, seed: int = 7) -> None:
        self.port, control_port = free_port(), free_port()
        self._options = {
            "folder": folder,
            "port": self.port,
            "control_port": control_port,
            "callback_base_url": callback_base_url,
            "secrets": SECRETS,
            "seed": seed,
            "start_at": NOW,
        }
        self.control = ProviderControl(f"127.0.0.1:{control_port}")
        self.start()

    def start(self) -> None:
        self._process = SPAWN.Process(target=serve_providers, kwargs=self._options, daemon=True)
        self._process.start()
        self.control.wait_until_ready(patience_s=PATIENCE_S)

    def kill(self) -> None:
        self._process.kill()
        self._process.join(PATIENCE_S)
        self._process.close()

    def stop(self) -> None:
        self._process.terminate()
        self._process.join(PATIENCE_S)
        assert self._process.exitcode in (0, -signal.SIGTERM)
        self._process.close()
        self.control.close()

    @property
    def whatsapp(self) -> WhatsAppSettings:
        url = f"http://127.0.0.1:{self.port}/v23.0"
        return WhatsAppSettings(url=url, phone_number_id="106540352242922", token=SECRETS.whatsapp_token)

    @property
    def gateway(self) -> GatewaySettings:
        return GatewaySettings(
            base_url=f"http://127.0.0.1:{self.port}",
            key_id=SECRETS.gateway_key_id,
            key_secret=SECRETS.gateway_key_secret,
            webhook_secret=SECRETS.gateway_webhook_secret,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    path: str
    headers: dict[str, str]
    body: bytes


class CallbackServer:
    """Takes callbacks and answers each with the status that `answer` returns; `taken` holds them in order."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.answer: Callable[[Taken], int] = lambda taken: 200
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                taken = Taken(path=self.path, headers=headers, body=body)
                with server._lock:
                    server.taken.append(taken)
                    status = server.answer(taken)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE_S)
        self._server.server_close()


@contextmanager
def providers(folder: Path, *, seed: int = 7) -> Iterator[tuple[ProviderProcess, CallbackServer]]:
    server = CallbackServer()
    process = ProviderProcess(folder, callback_base_url=server.url, seed=seed)
    try:
        yield process, server
    finally:
        process.stop()
        server.stop()
