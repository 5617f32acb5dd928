"""The registry file and the network file: CSV text into typed rows, every wrong cell named by line and column."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qsl, urlencode, urlsplit

from bijlighar.base.errors import InvalidValue
from bijlighar.base.money import round_half_up
from bijlighar.base.period import local_midnight, parse_day, parse_moment
from bijlighar.base.tables import BrokenTable, CsvRow, csv_rows
from bijlighar.base.text import CODE_MAX, NAME_MAX
from bijlighar.base.words import LANGUAGES
from bijlighar.offices.rules import OFFICE_CODE_MAX
from bijlighar.registry.errors import RefusedFile
from bijlighar.registry.model import MINUTES, MeterType, Transformer

REGISTRY_COLUMNS = (
    "account",
    "name",
    "category",
    "area",
    "sanctioned_w",
    "usage_point",
    "meter",
    "meter_type",
    "url",
    "transformer",
    "feeder",
    "phase",
    "office",
)
OPTIONAL_COLUMNS = ("phone", "language", "email", "multiplier", "minutes", "gateway", "from", "protected")
NETWORK_COLUMNS = ("transformer", "feeder")
NETWORK_OPTIONAL_COLUMNS = ("kva", "no_load_loss_w", "load_loss_w", "side")

AREAS = ("urban", "rural")
SIDES = ("lv", "hv")
URL_SCHEMES = ("tcp", "hdlc+tcp", "hdlc", "callin")
#: The name of a modem that calls in, as it stands in a URL.
_MODEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
ISSUES_SHOWN = 3
#: As long as account and office may be wherever they are stored: a message's row is the narrowest.
ACCOUNT_MAX = 32
SERIAL_MAX = 32
SANCTIONED_W_MAX = 100_000_000
MULTIPLIER_MAX = 1_000_000
LOSS_W_MAX = 10_000_000
KVA_MAX = 1_000_000
_PHONE = re.compile(r"\+?[0-9]{10,15}")
_KIND = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What is wrong on one line of a file, and what to do about it."""

    line: int
    column: str
    what: str

    def __str__(self) -> str:
        """Return the issue as a person reads it."""
        return f"line {self.line}, column {self.column}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionCell:
    """One protection named in the column `protected`."""

    kind: str
    certificate: str
    until: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryRow:
    """A row of the registry file; what is unknown is None."""

    line: int
    account: str | None
    name: str | None
    category: str | None
    area: str | None
    sanctioned_w: int | None
    usage_point: str
    meter: str | None
    meter_type: MeterType | None
    url: str | None
    transformer: str | None
    feeder: str | None
    phase: str | None
    office: str | None
    phone: str | None
    language: str | None
    email: str | None
    multiplier: int | None
    minutes: int | None
    gateway: str | None
    from_at: datetime | None
    protections: tuple[ProtectionCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow:
    """A row of the network file; what is unknown is None."""

    transformer: str
    feeder: str | None
    rated_va: int | None
    no_load_loss_w: int | None
    load_loss_w: int | None
    side: str | None

    def applied_to(self, present: Transformer) -> Transformer:
        """Return the transformer with what the row states; an empty cell leaves what is known."""
        names = ("feeder", "rated_va", "no_load_loss_w", "load_loss_w", "side")
        stated = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(present, **stated)


def refuse(issues: Sequence[Issue]) -> RefusedFile:
    """Return the error for a file with these issues: the first few in words, the others counted."""
    shown = "; ".join(str(issue) for issue in issues[:ISSUES_SHOWN])
    more = len(issues) - ISSUES_SHOWN
    rest = f"; and {more} more" if more > 0 else ""
    return RefusedFile(f"nothing was stored: {shown}{rest}")


def parse_registry(text: str) -> tuple[RegistryRow, ...]:
    """
    Return the rows of a registry file.

    :raises RefusedFile: if a cell cannot be understood.
    """
    issues: list[Issue] = []
    rows = tuple(
        _registry_row(_Cells(row, issues))
        for row in _rows(text, required=REGISTRY_COLUMNS, optional=OPTIONAL_COLUMNS)
    )
    if issues:
        raise refuse(issues)
    return rows


def parse_network(text: str) -> tuple[NetworkRow, ...]:
    """
    Return the rows of a network file.

    :raises RefusedFile: if a cell cannot be understood, or a transformer stands there twice.
    """
    issues: list[Issue] = []
    found: dict[str, NetworkRow] = {}
    for row in _rows(text, required=NETWORK_COLUMNS, optional=NETWORK_OPTIONAL_COLUMNS):
        cells = _Cells(row, issues)
        code = cells.code("transformer")
        if code is None:
            cells.object_to("transformer", "empty; give the transformer's code")
            continue
        if code in found:
            cells.object_to("transformer", f"{code} stands on an earlier line too; leave one")
        kva = cells.decimal("kva", maximum=KVA_MAX)
        found[code] = NetworkRow(
            transformer=code,
            feeder=cells.code("feeder"),
            rated_va=None if kva is None else round_half_up(kva * 1000),
            no_load_loss_w=_whole(cells.decimal("no_load_loss_w", maximum=LOSS_W_MAX)),
            load_loss_w=_whole(cells.decimal("load_loss_w", maximum=LOSS_W_MAX)),
            side=cells.choice("side", SIDES),
        )
    if issues:
        raise refuse(issues)
    return tuple(found.values())


def url_key(url: str) -> str:
    """
    Return a URL in one spelling, by which two meters at the same address are found.

    >>> url_key("TCP://Gateway:4059?server=1") == url_key("tcp://gateway:4059")
    True

    :raises InvalidValue: if it is no meter's URL.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise InvalidValue(f"{url!r} is no URL; write it like tcp://10.0.0.1:4059") from None
    if parts.scheme not in URL_SCHEMES:
        raise InvalidValue(f"{url!r} is no meter's URL; write it like tcp://10.0.0.1:4059")
    if parts.scheme == "hdlc":
        if not parts.path.strip("/"):
            raise InvalidValue(f"{url!r} names no serial line; write it like hdlc:///dev/ttyUSB0")
    elif parts.scheme == "callin":
        host, port = parts.netloc, None  # a name of the company's own: no host, and no other spelling
        if not _MODEM.fullmatch(host) or parts.path.strip("/"):
            raise InvalidValue(f"{url!r} names no modem; write it like callin://GW-00001?server=2")
    elif not host or not port:
        raise InvalidValue(f"{url!r} needs host and port; write it like tcp://10.0.0.1:4059")
    query = sorted((key, value) for key, value in parse_qsl(parts.query) if (key, value) != ("server", "1"))
    return f"{parts.scheme}://{host or ''}:{port or ''}{parts.path.rstrip('/')}?{urlencode(query)}"


def _rows(text: str, *, required: Sequence[str], optional: Sequence[str]) -> tuple[CsvRow, ...]:
    try:
        return csv_rows(text, required=required, optional=optional)
    except BrokenTable as problem:
        raise RefusedFile(f"nothing was stored: {problem}") from None


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else round_half_up(value)


class _Cells:
    """The cells of one row, read column by column; what is wrong is added to the issues."""

    def __init__(self, row: CsvRow, issues: list[Issue]) -> None:
        self.row = row
        self.issues = issues

    def object_to(self, column: str, what: str) -> None:
        """Add an issue."""
        self.issues.append(Issue(line=self.row.line, column=column, what=what))

    def text(self, column: str) -> str | None:
        """Return the cell, None if empty."""
        return self.row[column] or None

    def code(self, column: str, *, length_max: int = CODE_MAX) -> str | None:
        """Return an identifier, or a short text."""
        cell = self.text(column)
        if cell is not None and len(cell) > length_max:
            self.object_to(column, f"longer than {length_max} letters; shorten it")
        return cell

    def whole(self, column: str, *, minimum: int, maximum: int) -> int | None:
        """Return a whole number."""
        cell = self.text(column)
        if cell is None:
            return None
        if not cell.isascii() or not cell.isdigit() or not minimum <= int(cell) <= maximum:
            self.object_to(column, f"{cell!r} is no whole number from {minimum} to {maximum}; correct it")
            return None
        return int(cell)

    def decimal(self, column: str, *, maximum: int) -> Decimal | None:
        """Return a number that may have decimals."""
        cell = self.text(column)
        if cell is None:
            return None
        try:
            value = Decimal(cell)
        except InvalidOperation:
            value = Decimal(-1)
        if not value.is_finite() or not 0 <= value <= maximum:
            self.object_to(column, f"{cell!r} is no number from 0 to {maximum}; correct it")
            return None
        return value

    def choice(self, column: str, allowed: Iterable[str]) -> str | None:
        """Return one of the allowed words."""
        cell = self.text(column)
        if cell is None:
            return None
        word = cell.lower()
        if word not in tuple(allowed):
            self.object_to(column, f"{cell!r} is unknown; use one of {', '.join(allowed)}")
            return None
        return word

    def parsed(self, column: str, parse: Callable[[str], datetime]) -> datetime | None:
        """Return the cell as `parse` understands it."""
        cell = self.text(column)
        if cell is None:
            return None
        try:
            return parse(cell)
        except InvalidValue as problem:
            self.object_to(column, str(problem))
            return None


def _registry_row(cells: _Cells) -> RegistryRow:
    meter_type = cells.choice("meter_type", tuple(MeterType))
    account, meter = cells.code("account", length_max=ACCOUNT_MAX), cells.code("meter", length_max=SERIAL_MAX)
    row = RegistryRow(
        line=cells.row.line,
        account=account,
        name=cells.code("name", length_max=NAME_MAX),
        category=cells.code("category"),
        area=cells.choice("area", AREAS),
        sanctioned_w=cells.whole("sanctioned_w", minimum=0, maximum=SANCTIONED_W_MAX),
        usage_point=cells.code("usage_point") or _usage_point_of(cells, meter_type),
        meter=meter,
        meter_type=None if meter_type is None else MeterType(meter_type),
        url=_url(cells),
        transformer=cells.code("transformer"),
        feeder=cells.code("feeder"),
        phase=cells.code("phase"),
        office=cells.code("office", length_max=OFFICE_CODE_MAX),
        phone=_phone(cells),
        language=cells.choice("language", LANGUAGES),
        email=_email(cells),
        multiplier=cells.whole("multiplier", minimum=1, maximum=MULTIPLIER_MAX),
        minutes=_minutes(cells),
        gateway=cells.code("gateway"),
        from_at=cells.parsed("from", _from),
        protections=_protections(cells),
    )
    _check_row(cells, row)
    return row


def _usage_point_of(cells: _Cells, meter_type: str | None) -> str:
    """Return a code for a place that the file gives none: named after what is measured there."""
    if meter_type in (MeterType.TRANSFORMER, MeterType.FEEDER):
        return f"{meter_type} {cells.row[meter_type]}"
    return f"account {cells.row['account']}" if cells.row["account"] else ""


def _check_row(cells: _Cells, row: RegistryRow) -> None:
    if not row.usage_point:
        cells.object_to("usage_point", "empty, and no account either; give one of them")
    elif len(row.usage_point) > CODE_MAX:
        cells.object_to("usage_point", "empty, and no name can be made for the place; give one")
    if row.meter is None and (row.meter_type or row.url):
        cells.object_to("meter", "empty; give the meter's serial number")
    if row.meter_type is None or row.meter_type.is_of_consumer:
        if row.protections and row.account is None:
            cells.object_to("account", "empty; a protection belongs to an account")
        return
    measured = str(row.meter_type)
    if row.account is not None:
        cells.object_to("account", f"a {measured} meter has no account; leave the cell empty")
    if not cells.row[measured]:
        cells.object_to(measured, f"empty; name the {measured} that the meter measures")


def _url(cells: _Cells) -> str | None:
    cell = cells.text("url")
    if cell is not None:
        try:
            url_key(cell)
        except InvalidValue as problem:
            cells.object_to("url", str(problem))
    return cell


def _phone(cells: _Cells) -> str | None:
    cell = cells.text("phone")
    if cell is None:
        return None
    digits = re.sub(r"[ ()-]", "", cell)
    if not _PHONE.fullmatch(digits):
        cells.object_to(
            "phone", f"{cell!r} is no telephone number of 10 to 15 digits; correct it or leave it empty"
        )
    return digits


def _email(cells: _Cells) -> str | None:
    cell = cells.text("email")
    if cell is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+", cell):
        cells.object_to("email", f"{cell!r} is no e-mail address; correct it or leave it empty")
    return cell


def _minutes(cells: _Cells) -> int | None:
    cell = cells.choice("minutes", tuple(str(minutes) for minutes in MINUTES))
    return None if cell is None else int(cell)


def _from(cell: str) -> datetime:
    return parse_moment(cell) if "T" in cell else local_midnight(parse_day(cell))


def _protections(cells: _Cells) -> tuple[ProtectionCell, ...]:
    """Return the protections of a cell like `life_support:CERT-12:2026-12-31;court`."""
    found: list[ProtectionCell] = []
    for part in (cells.text("protected") or "").split(";"):
        if not part.strip():
            continue
        kind, _, rest = part.strip().partition(":")
        certificate, _, day = rest.partition(":")
        until: date | None = None
        if len(kind) > CODE_MAX or len(certificate) > NAME_MAX:
            cells.object_to(
                "protected", f"a kind of over {CODE_MAX} or a paper of over {NAME_MAX} letters; shorten it"
            )
        elif not _KIND.fullmatch(kind.strip()):
            cells.object_to(
                "protected", f"{part!r} is no protection; write it like life_support:CERT-12:2026-12-31"
            )
        if day.strip():
            try:
                until = parse_day(day.strip())
            except InvalidValue as problem:
                cells.object_to("protected", str(problem))
        found.append(ProtectionCell(kind=kind.strip(), certificate=certificate.strip(), until=until))
    return tuple(found)
