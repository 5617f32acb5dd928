"""What stands on a meter where settings stand, in the words of a document; and whether it is what a document says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bijlighar.dlms import axdr, settings
from bijlighar.dlms.activity_calendar import Calendar
from bijlighar.dlms.cosem import Attribute
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.dlms.settings import SettingObjects
from bijlighar.headend import settings_document
from bijlighar.headend.settings_document import SettingsDocument

SECONDS = 60


class Reader(Protocol):
    """Whoever can read attributes of a meter."""

    async def get_if_any(self, attribute: Attribute) -> bytes | None:
        """Return the A-XDR octets of an attribute, None if the meter has no such thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One setting: the attributes in which it stands, and how its meaning comes out of them."""

    name: str
    attributes: tuple[Attribute, ...]
    decode: Callable[[Sequence[bytes]], Any]
    table: Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a document wants of one setting: its meaning, and the octets that say so."""

    form: Form
    value: Any
    octets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One setting of a document as the meter has it; `found` None: the meter has none, or one not understood."""

    name: str
    wanted: Any
    found: Any

    @property
    def is_equal(self) -> bool:
        """Return whether the meter has what is wanted."""
        return bool(self.wanted == self.found)


def forms(objects: SettingObjects = settings.INDIAN) -> Mapping[str, Form]:
    """Return every setting that can be read, by name."""
    payment = {number: name for name, number in objects.payment.items()}
    metering = {number: name for name, number in objects.metering.items()}
    found = (
        Form(
            name="calendar",
            attributes=objects.calendar_parts(passive=False),
            decode=objects.decode_calendar,
            table=settings_document.calendar_table,
        ),
        Form(
            name="load_limit",
            attributes=objects.limit_parts,
            decode=settings.decode_limit,
            table=settings_document.limit_table,
        ),
        Form(
            name="capture_minutes",
            attributes=(objects.period,),
            decode=lambda parts: settings.decode_number(parts[0]) / SECONDS,
            table=lambda minutes: int(minutes) if minutes == int(minutes) else minutes,
        ),
        Form(
            name="billing",
            attributes=(objects.billing_times,),
            decode=lambda parts: settings.decode_billing(parts[0]),
            table=settings_document.billing_table,
        ),
        *(
            Form(
                name=f"push.{name}",
                attributes=objects.push_parts(name),
                decode=settings.decode_push,
                table=settings_document.push_table,
            )
            for name in objects.push
        ),
        Form(
            name="events",
            attributes=(objects.plain(objects.event_filter),),
            decode=lambda parts: settings.decode_filter(parts[0]),
            table=lambda bits: {"bits": sorted(bits)},
        ),
        Form(
            name="mode.payment",
            attributes=(objects.plain(objects.payment_mode),),
            decode=lambda parts: _named(settings.decode_number(parts[0]), payment),
            table=str,
        ),
        Form(
            name="mode.metering",
            attributes=(objects.plain(objects.metering_mode),),
            decode=lambda parts: _named(settings.decode_number(parts[0]), metering),
            table=str,
        ),
    )
    return {form.name: form for form in found}


def wanted_of(document: SettingsDocument, objects: SettingObjects = settings.INDIAN) -> tuple[Wanted, ...]:
    """Return what a document wants, in the order in which it is set: what may cut supply comes last."""
    known = forms(objects)
    found: list[tuple[str, Any, tuple[bytes, ...]]] = []
    if document.calendar is not None:
        found.append(("calendar", document.calendar, objects.encode_calendar(document.calendar)))
    if document.billing is not None:
        found.append(("billing", document.billing, (document.billing.encode(),)))
    if document.event_filter is not None:
        found.append(("events", document.event_filter, (settings.encode_filter(document.event_filter),)))
    found.extend((f"push.{name}", setup, setup.encode()) for name, setup in document.push)
    if document.metering is not None:
        octets = axdr.unsigned(objects.metering[document.metering])
        found.append(("mode.metering", document.metering, (octets,)))
    if document.capture_min is not None:
        octets = axdr.double_long_unsigned(document.capture_min * SECONDS)
        found.append(("capture_minutes", document.capture_min, (octets,)))
    if document.payment is not None:
        octets = axdr.unsigned(objects.payment[document.payment])
        found.append(("mode.payment", document.payment, (octets,)))
    if document.load_limit is not None:
        found.append(("load_limit", document.load_limit, document.load_limit.encode()))
    return tuple(Wanted(form=known[name], value=value, octets=octets) for name, value, octets in found)


async def read_form(reader: Reader, form: Form) -> Any:  # noqa: ANN401 - whatever the setting means
    """
    Return what a setting means on a meter, None if the meter has none, or one that is not understood.

    :raises BijligharError: if the meter cannot be reached, is silent or refuses.
    """
    parts = [await reader.get_if_any(attribute) for attribute in form.attributes]
    if any(part is None for part in parts):
        return None
    try:
        return form.decode([part for part in parts if part is not None])
    except RemoteProtocolError:
        return None


async def read_all(reader: Reader, objects: SettingObjects = settings.INDIAN) -> dict[str, Any]:
    """
    Return everything that stands on a meter as a document writes it, by name; None where nothing is understood.

    :raises BijligharError: if the meter cannot be reached, is silent or refuses.
    """
    found: dict[str, Any] = {}
    for name, form in forms(objects).items():
        value = await read_form(reader, form)
        found[name] = None if value is None else form.table(value)
    return found


async def differences(
    reader: Reader, document: SettingsDocument, objects: SettingObjects = settings.INDIAN
) -> tuple[Difference, ...]:
    """
    Return what a document wants and what the meter has, setting by setting.

    :raises BijligharError: if the meter cannot be reached, is silent or refuses.
    """
    found = []
    for wanted in wanted_of(document, objects):
        value = await read_form(reader, wanted.form)
        table = None if value is None else wanted.form.table(value)
        found.append(Difference(name=wanted.form.name, wanted=wanted.form.table(wanted.value), found=table))
    return tuple(found)


async def waiting_calendar(
    reader: Reader, objects: SettingObjects = settings.INDIAN
) -> tuple[Calendar | None, bytes | None]:
    """
    Return the calendar that waits on a meter, and when it becomes active as the meter tells it.

    :raises BijligharError: if the meter cannot be reached, is silent or refuses.
    """
    active = forms(objects)["calendar"]
    passive = Form(
        name=active.name,
        attributes=objects.calendar_parts(passive=True),
        decode=active.decode,
        table=active.table,
    )
    return await read_form(reader, passive), await reader.get_if_any(objects.activation)


def _named(number: int, names: Mapping[int, str]) -> str:
    return names.get(number, f"mode {number}")
