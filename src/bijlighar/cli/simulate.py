"""`bijlighar meter simulate`: be meters, alone or again those of a demo's home."""

from pathlib import Path

import click

from bijlighar.base.errors import InvalidValue
from bijlighar.cli.common import DEFAULT_HOME, HOME_VARIABLE, print_line, print_table
from bijlighar.runtime.clock import RealClock
from bijlighar.runtime.home import Home
from bijlighar.simulator import operations

TOWN_FOLDER = "town"


def _print_faults() -> None:
    rows = [(name, words.en, words.hi) for name, words in operations.FAULT_WORDS.items()]
    print_table(title="Faults for --faults name=share,…", columns=("name", "a meter", "मीटर"), rows=rows)


@click.command(name="simulate")
@click.option("--port", type=click.IntRange(1, 65_535), help="Meter i listens on this port + i.")
@click.option("--meters", type=click.IntRange(min=1), help="How many meters.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Draws the meters.")
@click.option(
    "--keys-out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the keys of the meters to this file.",
)
@click.option("--faults", default="", metavar="SPEC", help="name=share,… ; `help` lists the names.")
@click.option(
    "--per-gateway",
    type=click.IntRange(min=1),
    metavar="N",
    help="N meters behind one gateway: 150 ms, 20,000 octets/s, eight connections for all.",
)
@click.option(
    "--push", metavar="HOST:PORT", help="Where alerts are pushed to, over TCP; udp://HOST:PORT: over UDP."
)
@click.option(
    "--call-in",
    metavar="HOST:PORT",
    help="Open no port: the meters' modems call in there (the setting headend.call_in_port).",
)
@click.option(
    "--per-modem",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="N meters behind each modem that calls in.",
)
@click.option("--hdlc", is_flag=True, help="HDLC frames over TCP instead of the wrapper.")
@click.option(
    "--profiles",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Load curves, CSV or Parquet with columns meter_id, ts, kwh.",
)
@click.option("--control", metavar="HOST:PORT", help="Open a control socket on loopback.")
@click.option(
    "--home",
    "folder",
    metavar="DIR",
    envvar=HOME_VARIABLE,
    show_envvar=True,
    help=f"Start the meters of a demo's home again, with their memory [default without --meters: {DEFAULT_HOME}].",
)
def simulate(
    *,
    port: int | None,
    meters: int | None,
    seed: int,
    keys_out: Path | None,
    faults: str,
    per_gateway: int | None,
    push: str | None,
    call_in: str | None,
    per_modem: int,
    hdlc: bool,
    profiles: Path | None,
    control: str | None,
    folder: str | None,
) -> None:
    """Be N meters on ports P, P+1, …; with --home those of a demo, as they were when it ended."""
    if faults.strip() == "help":
        _print_faults()
        return
    for address in (push, call_in):
        if address is not None:
            _check_address(address)
    if call_in is not None and hdlc:
        raise click.UsageError("--call-in takes the wrapper alone; leave --hdlc out")
    calls = None if call_in is None else operations.CallIn(target=call_in, per_modem=per_modem)
    if meters is None:
        if hdlc or profiles is not None or keys_out is not None:
            raise click.UsageError("--hdlc, --profiles and --keys-out are for new meters; give --meters")
        operations.serve_town(
            folder=Home(Path(folder or DEFAULT_HOME)).path / TOWN_FOLDER,
            control=control,
            announce=print_line,
            port=port,
            push=push,
            faults=faults,
            per_gateway=per_gateway,
            call_in=calls,
        )
        return
    if port is None and call_in is None:
        raise click.UsageError("--meters needs --port, or --call-in")
    operations.serve_alone(
        meters=meters,
        seed=seed,
        port=port or 0,
        clock=RealClock(),
        announce=print_line,
        control=control,
        push=push,
        faults=faults,
        hdlc=hdlc,
        profiles=profiles,
        keys_out=keys_out,
        per_gateway=per_gateway,
        call_in=calls,
    )


def _check_address(text: str) -> None:
    _, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65_536:
        raise InvalidValue(f"{text!r} is no address; write it like 127.0.0.1:4059")
