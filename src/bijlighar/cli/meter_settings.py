"""`bijlighar meter settings`: read what is set on meters, compare it with a document, and set meters by one."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import click
from sqlalchemy import Connection

from bijlighar.arrears import queries as arrears
from bijlighar.base.errors import BijligharError
from bijlighar.cli.common import format_option, home_option, print_json, print_line, print_table
from bijlighar.cli.office import FILE, read_text
from bijlighar.headend import operations
from bijlighar.headend.errors import BrokenDocument, RefusedSetting
from bijlighar.headend.model import ControlAction, ControlOrder, ControlReason, GateCode, SignedOrder
from bijlighar.headend.operations import SettingsDocument, UpkeepIncomplete
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Act
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import Line

VALID_FOR = timedelta(hours=12)
#: As much of a document's SHA-256 as makes the number of an order; the order itself names the whole.
DIGEST_LETTERS = 16
AT_ONCE, AT_ONCE_MAX = 4, 32
METERS_MAX = 100_000
#: How the gate's books call a meter that was read back.
GOOD = "good"

_document = click.argument("document", type=FILE)
_serials = click.argument("serials", nargs=-1, metavar="SERIAL…")
_listed = click.option("--meters", "listed", type=FILE, help="A file of serial numbers, one a line.")


@click.group()
def settings() -> None:
    """Time-of-day calendar, load limit, intervals, billing date, pushes, event filter and modes of meters."""


@settings.command()
@_document
@format_option("text", "json")
def check(document: Path, output_format: str) -> None:
    """Check a document of settings (TOML or JSON) without any meter, and print its SHA-256."""
    found = _read(document)
    if output_format == "json":
        print_json({"sha256": found.digest, "may_interrupt": found.may_interrupt})
        return
    print_line(f"{found.name}: sound, SHA-256 {found.digest}")
    if found.may_interrupt:
        print_line("A meter that is set so may cut supply by itself: an approver must be the second person.")


@settings.command()
@click.argument("serial")
@format_option("json")
@home_option
def read(serial: str, home: Home, output_format: str) -> None:  # noqa: ARG001 - JSON is the one form
    """Read everything that is set on a registered meter, through the gate, in the words of a document."""
    line = Line(home)
    found = asyncio.run(
        operations.read_settings(
            home.database, serial=serial, settings=line.head_end_settings, now=home.clock.now()
        )
    )
    print_json({"serial": serial, "settings": found})


@settings.command()
@_document
@_serials
@_listed
@format_option()
@home_option
def compare(
    document: Path, serials: tuple[str, ...], listed: Path | None, home: Home, output_format: str
) -> None:
    """Show what a document wants and what meters have: equal, different, or unknown; nothing is written."""
    line, wanted = Line(home), _read(document)
    rows: list[dict[str, object]] = []

    async def look() -> None:
        for serial in _meters(serials, listed):
            try:
                found = await operations.compare_settings(
                    home.database,
                    serial=serial,
                    document=wanted,
                    settings=line.head_end_settings,
                    now=home.clock.now(),
                )
            except BijligharError as problem:
                rows.append(
                    {"serial": serial, "state": "unknown", "reason": str(problem), "code": problem.code}
                )
                continue
            for one in found:
                state = "equal" if one.is_equal else "unknown" if one.found is None else "different"
                rows.append(
                    {
                        **{"serial": serial, "setting": one.name, "state": state},
                        **{"wanted": one.wanted, "found": one.found},
                    }
                )

    asyncio.run(look())
    if output_format == "json":
        print_json({"sha256": wanted.digest, "meters": rows})
        return
    columns = ("serial", "setting", "state", "wanted", "found", "reason")
    print_table(
        title=f"{wanted.name} and the meters",
        columns=columns,
        rows=[[_shown(row.get(name)) for name in columns] for row in rows],
    )


@settings.command()
@_document
@_serials
@_listed
@click.option("--as", "person", required=True, metavar="PERSON", help="Who orders it; it is recorded.")
@click.option("--second", required=True, metavar="PERSON", help="Another person who agrees; it is recorded.")
@click.option("--at-once", type=click.IntRange(1, AT_ONCE_MAX), default=AT_ONCE, show_default=True,
              help="How many meters are spoken with at one time.")  # fmt: skip
@home_option
def send(
    document: Path,
    serials: tuple[str, ...],
    listed: Path | None,
    person: str,
    second: str,
    at_once: int,
    home: Home,
) -> None:
    """
    Set registered meters by a document, through the gate, and read back that they are so.

    The gate lets a document to 10 meters, then to 100 more, then to 1,000 more at a time, each time after 90 % of
    those before were read back with it; one that shows something else stops the rest. Ordered again, it goes on with
    those that are not done. Where a meter may cut supply by itself afterwards (a load limit, prepaid mode), the
    rules of a disconnection hold: an approver is the second person, halts and protections stop it, and it counts
    as one.
    """
    wanted, meters = _read(document), _meters(serials, listed)
    line = Line(home)
    _authorise(home, wanted, meters, (person, second))
    campaign = _Campaign(line=line, document=wanted, persons=(person, second))
    asyncio.run(campaign.run(meters, at_once=at_once))
    done = campaign.done + campaign.before
    print_line(
        f"{done} of {len(meters)} meters are done ({campaign.before} were before); "
        f"{len(campaign.waiting)} wait for the step before theirs, {campaign.failed} failed"
    )
    if done < len(meters):
        raise UpkeepIncomplete(
            f"{len(meters) - done} of {len(meters)} meters are not done; order it again, and it goes on"
        )


@dataclass(slots=True, kw_only=True)
class _Campaign:
    """One document on its way to many meters."""

    line: Line
    document: SettingsDocument
    persons: tuple[str, str]
    done: int = 0
    before: int = 0
    failed: int = 0
    waiting: list[str] = field(default_factory=list)

    async def run(self, meters: Sequence[str], *, at_once: int) -> None:
        """Set the meters, step by step, as long as steps open."""
        settings = self.line.head_end_settings
        known = await operations.settings_outcomes(digest=self.document.digest, settings=settings)
        todo = [serial for serial in meters if known.get(serial) != GOOD]
        self.before = len(meters) - len(todo)
        while todo:
            came = self.done
            self.waiting = []
            queue = iter(todo)
            await asyncio.gather(*(self._work(queue) for _ in range(min(at_once, len(todo)))))
            todo = self.waiting
            if todo and self.done == came:
                return
            if todo:
                print_line(f"a step is read back: {self.done + self.before} done, {len(todo)} to come")

    async def _work(self, queue: Iterator[str]) -> None:
        for serial in queue:
            await self._one(serial)

    async def _one(self, serial: str) -> None:
        line = self.line
        try:
            signed = self._order(serial)
            written = await operations.send_settings(
                line.home.database,
                signed=signed,
                document=self.document,
                settings=line.head_end_settings,
                now=line.home.clock.now(),
            )
        except BijligharError as problem:
            if GateCode.STEP.value in str(problem):
                self.waiting.append(serial)
                return
            self.failed += 1
            print_line(f"meter {serial}: {problem} [{problem.code}]")
            return
        self.done += 1
        print_line(
            f"meter {serial}: {', '.join(written)} set" if written else f"meter {serial}: was so already"
        )

    def _order(self, serial: str) -> SignedOrder:
        line, document, now = self.line, self.document, self.line.now()
        sanctioned_w = feeder = None
        if document.may_interrupt:
            with line.home.database.read() as connection:
                facts = operations.supply_facts(connection, serial=serial, now=now)
                _refuse_while_halted(connection, office=facts.office)
            sanctioned_w, feeder = facts.sanctioned_w, facts.feeder
        return line.sign(
            ControlOrder(
                order_id=f"S-{serial}-{document.digest[:DIGEST_LETTERS]}",
                serial=serial,
                action=ControlAction.SUPPLY_SETTINGS if document.may_interrupt else ControlAction.SETTINGS,
                reason=ControlReason.REQUEST,
                feeder=feeder,
                issued_at=now,
                expires_at=now + VALID_FOR,
                issued_by=self.persons[0],
                approved_by=self.persons[1],
                detail=document.digest,
                sanctioned_w=sanctioned_w,
            )
        )


def _refuse_while_halted(connection: Connection, *, office: str | None) -> None:
    if arrears.is_halted(connection, office=office):
        raise RefusedSetting(
            "disconnections are halted, and what may cut supply is not set meanwhile; see resume"
        )


def _authorise(
    home: Home, document: SettingsDocument, meters: Sequence[str], persons: tuple[str, str]
) -> None:
    second_act = Act.APPROVE_LIST if document.may_interrupt else Act.MAINTAIN_METER
    with home.database.write() as connection:
        offices.authorise(connection, sign_in=persons[0], act=Act.MAINTAIN_METER, office=None)
        offices.authorise(connection, sign_in=persons[1], act=second_act, office=None)
        offices.record_act(
            connection,
            person=persons[0],
            act=Act.MAINTAIN_METER,
            subject=ControlAction.SETTINGS.value,
            detail={
                **{"document": document.name, "sha256": document.digest, "second": persons[1]},
                **{"count": len(meters), "meters": list(meters[:1_000])},
            },
            now=home.clock.now(),
        )


def _read(document: Path) -> SettingsDocument:
    return operations.read_document(read_text(document))


def _meters(serials: Sequence[str], listed: Path | None) -> list[str]:
    named = list(serials)
    if listed is not None:
        named += [line.strip() for line in read_text(listed).splitlines() if line.strip()]
    found = list(dict.fromkeys(named))
    if not found:
        raise click.UsageError("name a meter, or a file of them with --meters")
    if len(found) > METERS_MAX:
        raise BrokenDocument(f"the list names more than {METERS_MAX} meters; split it")
    return found


def _shown(cell: object) -> str:
    return "" if cell is None else cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
