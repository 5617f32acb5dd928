"""`bijlighar meter`: speak with one meter from a keys file alone."""

import asyncio
import csv
import io
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from bijlighar.cli.common import MOMENT, format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import FILE, local_text, read_text
from bijlighar.dlms.cosem import Attribute
from bijlighar.dlms.is15959 import PROFILES
from bijlighar.dlms.obis import InvalidObis, Obis
from bijlighar.headend import operations
from bijlighar.headend.model import ControlAction, HeadEndSettings, MeterKeys, RelayState
from bijlighar.headend.operations import (
    FieldClient,
    GateRefusal,
    ProfileAnswer,
    RelayAnswer,
    RelayNotMoved,
    ShownColumn,
    ShownRow,
)
from bijlighar.registry import queries as registry
from bijlighar.registry.queries import UnknownEndDevice
from bijlighar.runtime.home import Home

Command = TypeVar("Command", bound=Callable[..., Any])

PUBLIC, READER, SETTING = "16", "32", "48"
TITLE_OCTETS = 8
SHOWN_PROFILES = ("instantaneous", "block-load", "daily", "billing", "nameplate", "events")
#: Profiles of few rows and many columns.
STANDING_PROFILES = ("instantaneous", "nameplate", "billing")
EVENT_CODES = "0.0.96.11."
CONTROL_STATES = {
    RelayState.DISCONNECTED: "disconnected · विच्छेदित",
    RelayState.CONNECTED: "connected · जुड़ा हुआ",
    RelayState.READY_FOR_RECONNECTION: "ready for reconnection · बटन दबाने पर जुड़ेगा",
}


class TitleType(click.ParamType[bytes]):
    """A system title: 8 octets in hex."""

    name = "hex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:  # noqa: ANN401
        """Return the octets."""
        if isinstance(value, bytes):
            return value
        try:
            octets = bytes.fromhex(value)
        except ValueError:
            octets = b""
        if len(octets) != TITLE_OCTETS:
            self.fail(f"{value!r} is not {TITLE_OCTETS} octets in hex, like 424A4C4649454C44", param, ctx)
        return octets


class ObisType(click.ParamType[Obis]):
    """An OBIS code of six numbers."""

    name = "obis"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Obis:  # noqa: ANN401
        """Return the code."""
        if isinstance(value, Obis):
            return value
        try:
            return Obis.parse(value)
        except InvalidObis as problem:
            self.fail(str(problem), param, ctx)


def meter_options(default_client: str) -> Callable[[Command], Command]:
    """Give a command the options --client, --keys, --title and --timeout."""

    def add(command: Command) -> Command:
        options = (
            click.option(
                "--client",
                type=click.Choice([PUBLIC, READER, SETTING]),
                default=default_client,
                show_default=True,
                help="16 public, 32 reading, 48 setting.",
            ),
            click.option("--keys", "keys_file", type=FILE, help="Keys file; client 16 needs none."),
            click.option(
                "--quirks",
                type=click.Path(exists=True, path_type=Path),
                help="A quirk file, or a folder of them: how the meter differs from the standard.",
            ),
            click.option(
                "--title",
                type=TitleType(),
                help="Our own system title, 8 octets in hex [default: one of its own for each run].",
            ),
            click.option(
                "--timeout",
                "timeout_s",
                type=click.FloatRange(min=0.1, max=600),
                default=10.0,
                show_default=True,
                help="Longest wait for an answer [s].",
            ),
        )
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.group()
def meter() -> None:
    """Speak with one meter, or simulate many."""


@meter.command()
@click.argument("url")
@click.option("--profile", type=click.Choice(SHOWN_PROFILES), required=True, help="What to read.")
@click.option("--from", "start", type=MOMENT, help="Rows from this time on (ISO 8601 with offset).")
@click.option("--to", "end", type=MOMENT, help="Rows before this time.")
@meter_options(READER)
@format_option("table", "json", "csv")
def read(
    *,
    url: str,
    profile: str,
    start: datetime | None,
    end: datetime | None,
    client: str,
    keys_file: Path | None,
    quirks: Path | None,
    title: bytes | None,
    timeout_s: float,
    output_format: str,
) -> None:
    """
    Read a profile of the meter at URL.

    URL: tcp://host:port[?server=1], hdlc+tcp://host:port[?server=1&physical=17], or of an optical probe
    hdlc:///dev/ttyUSB0[?server=1&physical=17&baud=9600]. The time of a block-load row is the start of its interval,
    whatever the meter stamps.
    """
    if start is not None and end is not None and end <= start:
        raise click.BadParameter("--to must lie after --from")
    talker, _ = _talker(
        url, client=client, keys_file=keys_file, quirks=quirks, title=title, timeout_s=timeout_s
    )
    answer = asyncio.run(talker.read_profile(profile, start=start, end=end))
    if output_format == "json":
        print_json(answer.document())
    elif output_format == "csv":
        print_line(_csv(answer))
    else:
        _print_profile(answer)


@meter.command()
@click.argument("url")
@click.argument("obis", type=ObisType())
@click.option(
    "--class", "class_id", type=click.IntRange(1, 65_535), required=True, help="The object's class."
)
@click.option("--attribute", type=click.IntRange(1, 127), required=True, help="The attribute's number.")
@meter_options(READER)
@format_option()
def get(
    *,
    url: str,
    obis: Obis,
    class_id: int,
    attribute: int,
    client: str,
    keys_file: Path | None,
    quirks: Path | None,
    title: bytes | None,
    timeout_s: float,
    output_format: str,
) -> None:
    """Read one attribute of the object OBIS of the meter at URL; a register's value comes with its own scaler."""
    talker, _ = _talker(
        url, client=client, keys_file=keys_file, quirks=quirks, title=title, timeout_s=timeout_s
    )
    answer = asyncio.run(talker.get(Attribute(class_id=class_id, obis=obis, index=attribute)))
    if output_format == "json":
        document = {"obis": str(obis), "class": class_id, "attribute": attribute, "value": answer.value}
        if answer.scaled is not None:
            document |= {"scaled": answer.scaled, "unit": answer.unit}
        print_json(document)
    elif answer.scaled is None:
        print_line(str(answer.value))
    else:
        print_line(f"{answer.scaled} {answer.unit}".rstrip())


@meter.command()
@click.argument("url")
@click.argument("what", type=click.Choice(["status", "disconnect", "reconnect"]))
@click.option(
    "--authorisation",
    type=FILE,
    help="A signed order of the control centre, good for one time; needed for a registered meter.",
)
@meter_options(SETTING)
@format_option()
@home_option
def relay(
    *,
    url: str,
    what: str,
    authorisation: Path | None,
    client: str,
    keys_file: Path | None,
    quirks: Path | None,
    title: bytes | None,
    timeout_s: float,
    output_format: str,
    home: Home,
) -> None:
    """
    Read the relay of the meter at URL, or operate it and read it back.

    A meter that is in the registry of the home is operated only with --authorisation, through the gate.
    """
    talker, keys = _talker(
        url, client=client, keys_file=keys_file, quirks=quirks, title=title, timeout_s=timeout_s
    )
    if what == "status":
        answer = asyncio.run(talker.read_relay())
    else:
        answer = _operate(talker, keys, url, ControlAction(what), authorisation, home)
    if output_format == "json":
        print_json(
            {
                "output_state": answer.output_state,
                "control_state": answer.control_state,
                "control_mode": answer.control_mode,
                "verified": answer.verified,
            }
        )
    else:
        supply = "on · चालू" if answer.output_state else "off · बंद"
        state = CONTROL_STATES.get(RelayState(answer.control_state), str(answer.control_state))
        mode = "not told · नहीं बताया" if answer.control_mode is None else answer.control_mode
        print_line(f"supply {supply}; relay {state}; control mode {mode}")
    if not answer.verified:
        way_out = (
            "read it again, and send a fitter if it stays"
            if client == SETTING
            else f"client {client} only reads; operate it with --client {SETTING} and keys that hold `hls`"
        )
        raise RelayNotMoved(
            f"the relay is not where {what} wants it (control state {answer.control_state}): {way_out}"
        )


def _operate(
    talker: FieldClient,
    keys: MeterKeys | None,
    url: str,
    action: ControlAction,
    authorisation: Path | None,
    home: Home,
) -> RelayAnswer:
    registered = _registered_serial(home, keys=keys, url=url)
    if authorisation is None:
        if registered is not None:
            raise GateRefusal(
                f"meter {registered} is in the registry; its relay is operated by the head-end, or here with "
                "--authorisation FILE signed by the control centre"
            )
        return asyncio.run(talker.operate_relay(action, permit=operations.no_permit_needed))
    signed = operations.parse_signed_order(read_text(authorisation))
    from bijlighar.runtime.line import Line  # imports every room; a field laptop need not wait for it

    line = Line(home)
    settings = line.head_end.settings
    serial = registered or (keys.serial if keys else "")
    if signed.order.action is not action:
        raise GateRefusal(f"the authorisation is to {signed.order.action}, not to {action}")
    return asyncio.run(
        operations.obey_authorisation(
            home.database,
            client=talker,
            serial=serial,
            signed=signed,
            settings=settings,
            now=home.clock.now(),
        )
    )


def _registered_serial(home: Home, *, keys: MeterKeys | None, url: str) -> str | None:
    """Return the serial under which the home's registry knows the meter, by its keys or its address."""
    if not home.exists:
        return None
    with home.database.read() as connection:
        at_url = registry.meter_at(connection, url=url)
        if at_url is not None:
            return at_url.serial
        if keys is None:
            return None
        try:
            return registry.end_device(connection, serial=keys.serial).serial
        except UnknownEndDevice:
            return None


def _talker(
    url: str,
    *,
    client: str,
    keys_file: Path | None,
    quirks: Path | None,
    title: bytes | None,
    timeout_s: float,
) -> tuple[FieldClient, MeterKeys | None]:
    keys: MeterKeys | None = None
    if client != PUBLIC and keys_file is None:
        raise click.UsageError(f"client {client} needs --keys FILE")
    if keys_file is not None and (client != PUBLIC or quirks is not None):
        # Of the public client's meter the file tells the serial number, by which quirk files know it.
        keys = operations.keys_of_url(operations.read_keys_file(read_text(keys_file)), url=url)
    settings = HeadEndSettings(
        system_title=title or operations.field_title(),
        answer_timeout_s=timeout_s,
        connect_timeout_s=timeout_s,
        quirks=operations.Quirks() if quirks is None else operations.read_quirks(quirks),
    )
    return FieldClient(url=url, client=int(client), keys=keys, settings=settings), keys


def _csv(answer: ProfileAnswer) -> str:
    document = answer.document()
    rows = document["rows"]
    names = ["time", *(column.key for column in answer.columns)]
    output = io.StringIO()
    writer = csv.DictWriter(output, fieldnames=names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    if isinstance(rows, list):
        writer.writerows(rows)
    return output.getvalue().rstrip("\n")


def _print_profile(answer: ProfileAnswer) -> None:
    if answer.profile in STANDING_PROFILES:
        _print_standing(answer)
        return
    is_events = answer.profile == "events"
    columns = [column for column in answer.columns if not is_events or _is_shown(column, answer)]
    heads = [_head(column) for column in columns]
    extra = ("code", "event") if is_events else ()
    rows = [
        (
            _time(row),
            *((_code(row), row.cells.get("event")) if is_events else ()),
            *(row.cells[column.key] for column in columns),
        )
        for row in answer.rows
    ]
    print_table(title=_title(answer), columns=("time", *extra, *heads), rows=rows, right=heads)


def _print_standing(answer: ProfileAnswer) -> None:
    """Print a profile of few rows and many columns: a line for each column."""
    times = [_time(row) or "value" for row in answer.rows]
    rows = [(_head(column), *(row.cells[column.key] for row in answer.rows)) for column in answer.columns]
    print_table(title=_title(answer), columns=("what", *times), rows=rows, right=times)


def _is_shown(column: ShownColumn, answer: ProfileAnswer) -> bool:
    """Return whether a column of an event log says anything beside the event itself."""
    if column.obis.startswith(EVENT_CODES):
        return False
    return any(row.cells[column.key] is not None for row in answer.rows)


def _code(row: ShownRow) -> object:
    codes = (cell for key, cell in row.cells.items() if key.startswith(EVENT_CODES) and cell is not None)
    return next(codes, None)


def _head(column: ShownColumn) -> str:
    return f"{column.name} [{column.unit}]" if column.unit else column.name


def _time(row: ShownRow) -> str:
    return "" if row.time is None else local_text(row.time)


def _title(answer: ProfileAnswer) -> str:
    plan = PROFILES.get(answer.profile)
    name = f"{plan.words.en} · {plan.words.hi}" if plan else "Events · घटनाएँ"
    names = answer.quirk.replace(", ", ".toml, ")
    read_by = f", by the quirk file {names}.toml" if answer.quirk else ""
    return f"{name}: meter {answer.serial}, {len(answer.rows)} rows{read_by}"
