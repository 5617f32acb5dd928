"""`bijlighar serve`, `web`, `headend`, `worker`: the processes of a home."""

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable, Callable

import click

from bijlighar.cli.common import home_option
from bijlighar.demo.pages import routes
from bijlighar.runtime.gate_process import keep_gate
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.processes import run_headend, run_worker, set_up_log, worker_name
from bijlighar.runtime.route import Process
from bijlighar.web.server import run_web

#: A thread that computes gives the interpreter up after so long [s]: an alarm's thread, which asks for it after each
#: of its twenty questions to the database, must not wait Python's usual 5 ms each time.
SWITCH_S = 0.000_5

Runner = Callable[[asyncio.Event], Awaitable[None]]


@click.command()
@home_option
@click.option(
    "--port", type=click.IntRange(1, 65_535), help="Port of the web server (default: the setting web.port)."
)
def serve(home: Home, port: int | None) -> None:
    """Run web server, head-end and worker of one home, and the gate as a child, until Ctrl-C or SIGTERM."""
    line = _open(home, "serve", worker_name(Process.WORKER))

    async def everything(stop: asyncio.Event) -> None:
        halt = threading.Event()
        tasks = [
            asyncio.create_task(keep_gate(line, stop=stop)),
            asyncio.create_task(asyncio.to_thread(run_worker, line, stop=halt)),
            asyncio.create_task(run_headend(line, stop=stop)),
            asyncio.create_task(run_web(line, port=port, stop=stop, extra=routes(line))),
        ]
        await _until_first(tasks, stop, halt)

    run_until_told(everything)


@click.command()
@home_option
@click.option(
    "--port", type=click.IntRange(1, 65_535), help="Port to listen on (default: the setting web.port)."
)
def web(home: Home, port: int | None) -> None:
    """Run the web server alone, until Ctrl-C or SIGTERM."""
    line = _open(home, "web", "web")
    run_until_told(lambda stop: run_web(line, port=port, stop=stop, extra=routes(line)))


@click.command()
@home_option
def headend(home: Home) -> None:
    """Run the head-end alone: reading, the meters' alerts, and relays where a gate runs; until Ctrl-C or SIGTERM."""
    line = _open(home, "headend", worker_name(Process.HEADEND))
    run_until_told(lambda stop: run_headend(line, stop=stop))


@click.command()
@home_option
def worker(home: Home) -> None:
    """Run the background work alone: everything of the line but meters and web; until Ctrl-C or SIGTERM."""
    line = _open(home, "worker", worker_name(Process.WORKER))

    async def work(stop: asyncio.Event) -> None:
        halt = threading.Event()
        running = asyncio.create_task(asyncio.to_thread(run_worker, line, stop=halt))
        await _until_first([running], stop, halt)

    run_until_told(work)


def _open(home: Home, name: str, worker: str) -> Line:
    line = Line(home, worker=worker)
    line.database.check()
    set_up_log(line, name=name)
    click.echo(f"bijlighar {name} runs on the home {home.path}; Ctrl-C ends it")
    return line


async def _until_first(tasks: list[asyncio.Task[None]], stop: asyncio.Event, halt: threading.Event) -> None:
    """Wait for the signal or the end of any task; then tell all to stop (threads by `halt`); let a failure out."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    halt.set()
    stopped.cancel()
    await asyncio.gather(*tasks)


def run_until_told(runner: Runner) -> None:
    """Run something until Ctrl-C or SIGTERM."""
    sys.setswitchinterval(SWITCH_S)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await runner(stop)

    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
