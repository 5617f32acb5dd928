"""
What the gate sets on a meter under an order: it reads a document, chooses the octets itself, and reads back.

Whatever is asked, the meter is read first and only what differs is written; so an answer that was lost is never
followed by a second writing unread, and work that was broken off at any point goes on. What could cut supply by
another way than the document says (a load limit that watches something else, a billing date that runs another
script) is looked at on the meter before a word is written, and refused.
"""

from collections.abc import Mapping
from datetime import datetime

from bijlighar.dlms import axdr, clock, settings
from bijlighar.dlms.cosem import Attribute
from bijlighar.dlms.errors import DlmsError
from bijlighar.dlms.event import GetResult
from bijlighar.dlms.settings import INDIAN, Script
from bijlighar.headend import gate_store
from bijlighar.headend.errors import AccessRefused, BrokenDocument, RefusedSetting, WrongSetting
from bijlighar.headend.gate import SETTINGS
from bijlighar.headend.gate_keeper import METHOD_PARAMETER, GateKeeper, KeptSession, refusal
from bijlighar.headend.model import GateCode, MeterAddress
from bijlighar.headend.settings_document import SettingsDocument
from bijlighar.headend.settings_file import read_document
from bijlighar.headend.settings_reading import Wanted, read_form, waiting_calendar, wanted_of

WATT = 27
OBJECTS = INDIAN


async def send_settings(
    keeper: GateKeeper, *, order_id: str, serial: str, address: MeterAddress, text: str, now: datetime
) -> tuple[str, ...]:
    """
    Set a meter by a document and read back that it is so; return the names of what had to be written.

    :raises GateRefusal: if no order for this very document was admitted.
    :raises RefusedSetting: if the meter keeps something else where a setting belongs; nothing was written then.
    :raises WrongSetting: if the meter shows something else after all: nothing more is sent to others.
    :raises BijligharError: if the meter cannot be reached, is silent or refuses: the next try reads and goes on.
    """
    action = keeper.use(order_id=order_id, serial=serial, now=now)
    if action not in {setting.value for setting in SETTINGS}:
        keeper.log_refusal(order_id=order_id, serial=serial, code=GateCode.WRONG_ACTION, now=now)
        raise refusal(GateCode.WRONG_ACTION)
    document = _document(keeper, order_id=order_id, serial=serial, text=text, now=now)
    session = await keeper.open(serial=serial, address=address, now=now)
    try:
        wanted = wanted_of(document, OBJECTS)
        await _guard(session, document)
        written = [one.form.name for one in wanted if await _apply(session, one, document)]
        await session.release()
    except WrongSetting:
        _read_back(keeper, order_id=order_id, is_good=False)
        raise
    finally:
        session.close()
    _read_back(keeper, order_id=order_id, is_good=True)
    await keeper.close_order(order_id, now=now)
    return tuple(written)


def outcomes(keeper: GateKeeper, *, digest: str) -> Mapping[str, str]:
    """Return how the meters were read back that a document was let to, by serial."""
    with keeper.store.read() as connection:
        return gate_store.outcomes(connection, image=digest)


def _document(
    keeper: GateKeeper, *, order_id: str, serial: str, text: str, now: datetime
) -> SettingsDocument:
    with keeper.store.read() as connection:
        digest = gate_store.image_of(connection, order_id=order_id)
    try:
        document = read_document(text)
    except BrokenDocument:
        document = None
    if document is None or document.digest != digest:
        keeper.log_refusal(order_id=order_id, serial=serial, code=GateCode.WRONG_DOCUMENT, now=now)
        raise refusal(GateCode.WRONG_DOCUMENT)
    return document


def _read_back(keeper: GateKeeper, *, order_id: str, is_good: bool) -> None:
    with keeper.store.write() as connection:
        gate_store.mark_read_back(connection, order_id=order_id, is_good=is_good)


async def _guard(session: KeptSession, document: SettingsDocument) -> None:
    """Look at what would run beside the settings; :raises RefusedSetting: if it is not what belongs there."""
    if document.billing is not None:
        runs = settings.decode_scripts(await _octets(session, OBJECTS.billing_script))
        if [script.table for script in runs] != [OBJECTS.closing]:
            raise RefusedSetting("the meter's billing date runs another script than that which closes bills")
    if document.load_limit is not None:
        await _guard_limit(session)


async def _guard_limit(session: KeptSession) -> None:
    """Let a load limit pass only where it counts imported watts and gives supply back by itself."""
    watched = settings.decode_watched(await _octets(session, OBJECTS.limit(2)))
    if watched.obis not in OBJECTS.monitored or (watched.class_id, watched.index) != (settings.REGISTER, 2):
        raise RefusedSetting(f"the meter's load limit watches {watched.obis}, which is not its active power")
    scaler = Attribute(class_id=watched.class_id, obis=watched.obis, index=3)
    if GetResult(data=await _octets(session, scaler)).value != (0, WATT):
        raise RefusedSetting("the meter's load limit does not count whole watts")
    does = settings.decode_scripts(await _octets(session, OBJECTS.limit(11)))
    opens = Script(table=OBJECTS.relay, entry=OBJECTS.relay_opens)
    closes = Script(table=OBJECTS.relay, entry=OBJECTS.relay_closes)
    if does != (opens, closes):
        raise RefusedSetting(
            "the meter's load limit does something else than to open the relay and to close it again by itself"
        )


async def _apply(session: KeptSession, wanted: Wanted, document: SettingsDocument) -> bool:
    """Write one setting where the meter has another, read it back, and return whether it had to be written."""
    found = await read_form(session, wanted.form)
    if found == wanted.value:
        return False
    if wanted.form.name == "calendar":
        return await _apply_calendar(session, wanted, document)
    for attribute, octets in zip(wanted.form.attributes, wanted.octets, strict=True):
        if await session.get_if_any(attribute) != octets:
            await session.put(attribute, octets)
    found = await read_form(session, wanted.form)
    if found != wanted.value:
        raise _wrong(wanted, found)
    return True


async def _apply_calendar(session: KeptSession, wanted: Wanted, document: SettingsDocument) -> bool:
    """Write the passive calendar, read it back, and only then let it become the active one."""
    waiting, told = await waiting_calendar(session, OBJECTS)
    at = document.activate_at
    activation = axdr.octet_string(clock.UNDEFINED if at is None else clock.encode(at))
    is_written = bool(waiting != wanted.value)
    if is_written:
        # A time that stands there already must not make a half-written calendar the active one.
        if not _is_same_time(told, axdr.octet_string(clock.UNDEFINED)):
            await session.put(OBJECTS.activation, axdr.octet_string(clock.UNDEFINED))
        for attribute, octets in zip(OBJECTS.calendar_parts(passive=True), wanted.octets, strict=True):
            await session.put(attribute, octets)
        waiting, told = await waiting_calendar(session, OBJECTS)
        if waiting != wanted.value:
            raise _wrong(wanted, waiting)
    if at is not None:
        if not _is_same_time(told, activation):
            await session.put(OBJECTS.activation, activation)
            is_written = True
            _, told = await waiting_calendar(session, OBJECTS)
            if not _is_same_time(told, activation):
                raise WrongSetting("the meter does not keep when its new calendar becomes active")
        return is_written
    result = await session.perform(OBJECTS.activate, METHOD_PARAMETER)
    if result:
        raise AccessRefused(f"the meter does not activate its calendar (result {result}); try again later")
    found = await read_form(session, wanted.form)
    if found != wanted.value:
        raise _wrong(wanted, found)
    return True


async def _octets(session: KeptSession, attribute: Attribute) -> bytes:
    data = await session.get_if_any(attribute)
    if data is None:
        raise RefusedSetting(
            f"the meter does not show {attribute.obis} attribute {attribute.index}, which tells what would happen"
        )
    return data


def _is_same_time(told: bytes | None, wanted: bytes) -> bool:
    """Return whether both name one moment, whatever their deviation is written as."""
    try:
        moments = [clock.decode(octets[2:]) for octets in (told or b"", wanted)]
    except DlmsError:
        return False
    first, second = moments
    return first == second


def _wrong(wanted: Wanted, found: object) -> WrongSetting:
    shown = "nothing that is understood" if found is None else repr(wanted.form.table(found))
    return WrongSetting(
        f"the meter shows {shown} after its {wanted.form.name} was set; look at it before others"
    )
