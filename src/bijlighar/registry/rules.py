"""
Decide what a registry file changes: nothing, or accounts, meters and dated rows of who hangs where.

The planner works on plain values: what the file says and what is known. It writes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise

from bijlighar.base.period import local_date
from bijlighar.base.words import LANGUAGES
from bijlighar.registry.import_plan import Known, Plan
from bijlighar.registry.model import (
    SINCE_EVER,
    CustomerAccount,
    EndDevice,
    Installation,
    Protection,
    Transformer,
    UsagePoint,
)
from bijlighar.registry.registry_file import SERIAL_MAX as SERIAL_MAX
from bijlighar.registry.registry_file import Issue, RegistryRow, refuse
from bijlighar.registry.registry_file import url_key as url_key

#: The facts of a hanging that a later file may contradict only with a day in `from`.
_HANGING_FACTS = ("account", "multiplier", "minutes", "transformer", "feeder", "phase", "office")
WARNINGS_SHOWN = 20


def plan_import(rows: Sequence[RegistryRow], *, known: Known, today: date) -> Plan:
    """
    Return what a registry file changes.

    :raises RefusedFile: if the file contradicts itself or what is known.
    """
    planner = _Planner(known)
    ordered = sorted(rows, key=lambda row: row.from_at or SINCE_EVER)
    planner.check_repeats(rows)
    for row in ordered:
        planner.take_offices(row)
        planner.take_transformer(row)
        planner.take_account(row)
        planner.take_device(row)
        planner.take_hanging(row)
        planner.take_protections(row, today=today)
    planner.check_hanging(rows)
    if planner.issues:
        raise refuse(sorted(planner.issues, key=lambda issue: issue.line))
    return planner.plan()


class _Planner:
    """The state of the registry while the rows of a file are taken in, one after the other."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.issues: list[Issue] = []
        self.accounts: dict[str, CustomerAccount] = {}
        self.devices: dict[str, EndDevice] = {}
        self.usage_points: dict[str, UsagePoint] = {}
        self.transformers: dict[str, Transformer] = {}
        self.hanging: dict[str, list[Installation]] = {}
        self.protections: dict[tuple[str, str, str, date | None], Protection] = {}
        self.offices: dict[str, None] = {}
        self.warnings: dict[str, None] = {}

    def object_to(self, row: RegistryRow, column: str, what: str) -> None:
        """Add an issue."""
        self.issues.append(Issue(line=row.line, column=column, what=what))

    def check_repeats(self, rows: Iterable[RegistryRow]) -> None:
        """Find serial numbers and places that stand on two lines and are not the history of one place."""
        by_serial: dict[str, RegistryRow] = {}
        by_place: dict[tuple[str, datetime | None], RegistryRow] = {}
        for row in rows:
            if row.meter is None:
                continue
            earlier = by_serial.setdefault(row.meter, row)
            same_place = earlier.usage_point == row.usage_point and earlier.from_at != row.from_at
            if earlier is not row and not same_place:
                self.object_to(
                    row,
                    "meter",
                    f"serial number {row.meter} stands on line {earlier.line} too; each meter hangs once",
                )
            place = by_place.setdefault((row.usage_point, row.from_at), row)
            if place is not row and place.meter != row.meter:
                self.object_to(
                    row,
                    "usage_point",
                    f"{row.usage_point} has meter {place.meter} on line {place.line}; "
                    "for an exchange give each its day in the column `from`",
                )

    def take_offices(self, row: RegistryRow) -> None:
        """Check the office; without a tree of offices it is added, and reported."""
        office = row.office
        if office is None:
            if row.account is not None and row.account not in self.known.accounts:
                self.warnings[
                    "accounts without an office are on no town's list; give the column `office`"
                ] = None
            return
        if office in self.known.offices or office in self.offices:
            return
        if self.known.has_tree_of_offices:
            self.object_to(row, "office", f"{office} is unknown; import it with `bijlighar office import`")
            return
        self.offices[office] = None
        self.warnings[
            f"office {office} was unknown and is now a town office without one above it; "
            "give its place with `bijlighar office import`"
        ] = None

    def take_transformer(self, row: RegistryRow) -> None:
        """Take the transformer and its feeder; a transformer stands on one feeder."""
        if row.transformer is None:
            return
        present = self.transformers.get(row.transformer) or self.known.transformers.get(row.transformer)
        if present is None:
            self.transformers[row.transformer] = Transformer(code=row.transformer, feeder=row.feeder)
        elif present.feeder is None and row.feeder is not None:
            self.transformers[row.transformer] = replace(present, feeder=row.feeder)
        elif row.feeder is not None and row.feeder != present.feeder:
            self.object_to(
                row,
                "feeder",
                f"transformer {row.transformer} stands on feeder {present.feeder}, not {row.feeder}; "
                "correct one of them (`bijlighar registry network` moves a transformer)",
            )

    def take_account(self, row: RegistryRow) -> None:
        """Take the account and the place of supply."""
        self._take_usage_point(row)
        if row.account is None:
            return
        present = self.accounts.get(row.account) or self.known.accounts.get(row.account)
        if present is None:
            present = CustomerAccount(
                number=row.account,
                name="",
                category="",
                area="",
                sanctioned_w=None,
                usage_point=row.usage_point,
                office=None,
                language=LANGUAGES[0],
            )
        elif present.usage_point != row.usage_point:
            self.object_to(
                row,
                "usage_point",
                f"account {row.account} belongs to usage point {present.usage_point}, not {row.usage_point}; "
                "an account has one usage point",
            )
            return
        names = ("name", "category", "area", "sanctioned_w", "office", "phone", "language", "email")
        given = {name: getattr(row, name) for name in names if getattr(row, name) is not None}
        self.accounts[row.account] = replace(present, **given)

    def _take_usage_point(self, row: RegistryRow) -> None:
        present = self.usage_points.get(row.usage_point) or self.known.usage_points.get(row.usage_point)
        if present is None:
            present = UsagePoint(code=row.usage_point)
        if row.account is not None and present.account not in (None, row.account):
            self.object_to(
                row,
                "account",
                f"usage point {row.usage_point} belongs to account {present.account}, not {row.account}; "
                "give the other account a usage point of its own",
            )
            return
        feeder = row.feeder
        if feeder is None and row.transformer is not None:
            feeder = (
                self.transformers.get(row.transformer) or self.known.transformers[row.transformer]
            ).feeder
        given = {
            "account": row.account,
            "transformer": row.transformer,
            "feeder": feeder,
            "phase": row.phase,
            "office": row.office,
        }
        self.usage_points[row.usage_point] = replace(
            present, **{name: value for name, value in given.items() if value is not None}
        )

    def take_device(self, row: RegistryRow) -> None:
        """Take the meter."""
        if row.meter is None:
            return
        present = self.devices.get(row.meter) or self.known.devices.get(row.meter)
        if present is None:
            if row.meter_type is None:
                self.object_to(
                    row, "meter_type", "empty; give single-phase, three-phase, lt-ct, transformer or feeder"
                )
                return
            present = EndDevice(serial=row.meter, meter_type=row.meter_type)
        elif row.meter_type not in (None, present.meter_type):
            self.object_to(
                row,
                "meter_type",
                f"meter {row.meter} is a {present.meter_type} meter, not {row.meter_type}; correct it",
            )
            return
        names = ("url", "minutes", "multiplier", "gateway")
        given = {name: getattr(row, name) for name in names if getattr(row, name) is not None}
        self.devices[row.meter] = replace(present, **given)

    def take_hanging(self, row: RegistryRow) -> None:
        """Take who hangs where: the same as known, a fact filled in, a move, an exchange, or a first hanging."""
        if row.meter is None or row.meter not in self.devices or row.usage_point not in self.usage_points:
            return
        history = self.hanging.setdefault(
            row.usage_point, list(self.known.installations.get(row.usage_point, ()))
        )
        wanted = self._wanted(row)
        place = _place_of(history, row)
        if place is not None:
            self._compare(row, history, place, wanted)
        elif not history:
            history.append(wanted)
        elif row.from_at is None:
            self.object_to(
                row,
                "meter",
                f"usage point {row.usage_point} has meter {history[-1].meter}; "
                "for an exchange give the day in the column `from`",
            )
        else:
            self._follow(row, history, wanted)

    def _wanted(self, row: RegistryRow) -> Installation:
        device, point = self.devices[row.meter or ""], self.usage_points[row.usage_point]
        return Installation(
            usage_point=point.code,
            account=point.account,
            meter=device.serial,
            meter_type=device.meter_type,
            multiplier=device.multiplier,
            minutes=device.minutes,
            transformer=point.transformer,
            feeder=point.feeder,
            phase=point.phase,
            office=point.office,
            from_at=row.from_at or SINCE_EVER,
        )

    def _compare(
        self, row: RegistryRow, history: list[Installation], place: int, wanted: Installation
    ) -> None:
        """Compare with the same hanging: fill in what was unknown, object to what differs."""
        present = history[place]
        filled = {}
        for name in _HANGING_FACTS:
            said, stands = getattr(wanted, name), getattr(present, name)
            if getattr(row, name) is None and name != "feeder":
                continue  # the file does not speak of it; a feeder may follow from the transformer
            if said is None or said == stands:
                continue
            if stands is None:
                filled[name] = said
            elif getattr(row, name) is not None:
                self.object_to(
                    row,
                    name,
                    f"meter {present.meter} hangs with {name} {stands}, not {said}; "
                    "for a change give its day in the column `from`",
                )
        history[place] = replace(present, **filled)

    def _follow(self, row: RegistryRow, history: list[Installation], wanted: Installation) -> None:
        """Put the hanging after the last one, which ends where this begins, if it has not ended before."""
        last = history[-1]
        if wanted.from_at <= last.from_at or (last.to_at is not None and wanted.from_at < last.to_at):
            since = local_date(last.from_at)
            what = f"usage point {row.usage_point} had meter {last.meter} from {since}; give a later day"
            self.object_to(row, "from", what)
            return
        if last.to_at is None:
            if replace(wanted, from_at=last.from_at) == last:
                return
            history[-1] = replace(last, to_at=wanted.from_at)
        history.append(wanted)

    def take_protections(self, row: RegistryRow, *, today: date) -> None:
        """Take the protections of the row's account."""
        for cell in row.protections:
            key = (row.account or "", cell.kind, cell.certificate, cell.until)
            if key in self.known.protections:
                continue
            self.protections[key] = Protection(
                account=key[0], kind=cell.kind, certificate=cell.certificate, until=cell.until, since=today
            )

    def check_hanging(self, rows: Iterable[RegistryRow]) -> None:
        """Find meters that would hang at two places at once and two meters that would answer at one URL."""
        history = dict(self.known.installations) | self.hanging
        spans: dict[str, list[Installation]] = {}
        for places in history.values():
            for installation in places:
                spans.setdefault(installation.meter, []).append(installation)
        urls: dict[str, str] = {}
        devices = dict(self.known.devices) | self.devices
        hung = {serial for serial, places in spans.items() if any(place.to_at is None for place in places)}
        line_of = {row.meter: row for row in rows if row.meter is not None}
        # What the file does not speak of comes first, so that the issue stands at a line of the file.
        for serial in sorted(hung, key=lambda serial: line_of[serial].line if serial in line_of else 0):
            url = devices[serial].url
            if url is None:
                continue
            other = urls.setdefault(url_key(url), serial)
            if other != serial and serial in line_of:
                self.object_to(
                    line_of[serial], "url", f"{url} is the address of meter {other} too; each needs its own"
                )
        for serial, row in line_of.items():
            self._check_one_place(row, spans.get(serial, []))

    def _check_one_place(self, row: RegistryRow, places: list[Installation]) -> None:
        ordered = sorted(places, key=lambda place: place.from_at)
        for earlier, later in pairwise(ordered):
            if earlier.to_at is None or earlier.to_at > later.from_at:
                self.object_to(
                    row,
                    "meter",
                    f"{row.meter} hangs at usage point {earlier.usage_point}; take it down there before it hangs at "
                    f"{later.usage_point}",
                )

    def plan(self) -> Plan:
        """Return what is new or differs from what is known."""
        known = self.known
        new: list[Installation] = []
        changed: list[Installation] = []
        moments: list[datetime] = []
        ended = 0
        for code, places in self.hanging.items():
            before = {place.from_at: place for place in known.installations.get(code, ())}
            for place in places:
                earlier = before.get(place.from_at)
                if earlier is None:
                    new.append(place)
                    moments.append(place.from_at)
                elif earlier != place:
                    changed.append(place)
                    only_ended = replace(earlier, to_at=place.to_at) == place
                    moments.append(place.to_at if only_ended and place.to_at else place.from_at)
                    ended += earlier.to_at != place.to_at
        self._let_the_last_hanging_count()
        accounts = [
            account for account in self.accounts.values() if known.accounts.get(account.number) != account
        ]
        devices = [device for device in self.devices.values() if known.devices.get(device.serial) != device]
        return Plan(
            accounts_new=tuple(account for account in accounts if account.number not in known.accounts),
            accounts_changed=tuple(account for account in accounts if account.number in known.accounts),
            devices_new=tuple(device for device in devices if device.serial not in known.devices),
            devices_changed=tuple(device for device in devices if device.serial in known.devices),
            usage_points=tuple(
                point for point in self.usage_points.values() if known.usage_points.get(point.code) != point
            ),
            installations_new=tuple(new),
            installations_changed=tuple(changed),
            installations_ended=ended,
            transformers=tuple(self.transformers.values()),
            protections=tuple(self.protections.values()),
            offices=tuple(self.offices),
            warnings=tuple(self.warnings)[:WARNINGS_SHOWN],
            network_since=min(moments, default=None),
        )

    def _let_the_last_hanging_count(self) -> None:
        """Let places and meters stand as their last hanging has them: a file may tell of earlier ones only."""
        names = ("transformer", "feeder", "phase", "office")
        for code, places in self.hanging.items():
            last = places[-1]
            stands = {name: getattr(last, name) for name in names if getattr(last, name) is not None}
            self.usage_points[code] = replace(self.usage_points[code], **stands)
            device = self.devices.get(last.meter)
            if device is not None:
                self.devices[last.meter] = replace(device, multiplier=last.multiplier, minutes=last.minutes)


def _place_of(history: Sequence[Installation], row: RegistryRow) -> int | None:
    """Return the index of the hanging that the row speaks of, None if it is another."""
    for index in reversed(range(len(history))):
        place = history[index]
        if place.meter == row.meter and row.from_at in (None, place.from_at):
            return index
    return None
