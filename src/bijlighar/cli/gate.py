"""`bijlighar gate`: the process before the relays."""

import asyncio
import os
import sys

import click

from bijlighar.cli.common import home_option
from bijlighar.cli.serve import run_until_told
from bijlighar.runtime.gate_process import run_gate
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line
from bijlighar.runtime.processes import set_up_log

CHUNK_OCTETS = 4_096


@click.command()
@home_option
@click.option("--until-eof", is_flag=True, hidden=True, help="End when standard input ends.")
def gate(home: Home, until_eof: bool) -> None:
    """
    Run the gate alone, until Ctrl-C or SIGTERM: nothing that can interrupt supply reaches a meter without it.

    It alone speaks with meters as client 48. Its store, its keys and its ceilings lie in a folder of its own (the
    setting gate.folder), and it answers on a socket there that only its own user may open.
    """
    line = Line(home, worker="gate")
    set_up_log(line, name="gate")
    click.echo(f"bijlighar gate runs on the folder {line.gate.path}; Ctrl-C ends it")

    async def work(stop: asyncio.Event) -> None:
        if until_eof:
            loop = asyncio.get_running_loop()

            def heard() -> None:
                if not os.read(sys.stdin.fileno(), CHUNK_OCTETS):
                    loop.remove_reader(sys.stdin.fileno())
                    stop.set()

            loop.add_reader(sys.stdin.fileno(), heard)
        await run_gate(line, stop=stop)

    run_until_told(work)
