"""What the gate does to a meter's firmware: it goes on where it was broken off, as the meter's own bitmap tells."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bijlighar.dlms import axdr, upkeep
from bijlighar.dlms.axdr import BitString
from bijlighar.dlms.cosem import ActionOutcome, Attribute, Method, result_name
from bijlighar.dlms.event import GetResult
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.upkeep import ImageName, ImageStatus
from bijlighar.headend import gate_store
from bijlighar.headend.errors import AccessRefused, GarbledAnswer, WrongFirmware
from bijlighar.headend.gate_keeper import GateKeeper, KeptSession, refusal
from bijlighar.headend.model import ControlAction, GateCode, MeterAddress

FIRMWARE_VERSION = Attribute(class_id=1, obis=Obis.parse("1.0.0.2.0.255"), index=2)
#: How often the bitmap of blocks is read before a meter is given up that keeps losing them.
ROUNDS_MAX = 3
#: A meter that verifies or activates is asked so often, with so long a pause [s] between.
LOOKS_MAX = 30
LOOK_PAUSE_S = 1.0
BLOCK_OCTETS_MAX = 60_000
IMAGE_OCTETS_MAX = 16 * 1024 * 1024


class GaveWay(Exception):
    """Somebody else wants the meter: the transfer of an image stops between two blocks, and goes on there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """An image and the version that a meter shows once it runs."""

    version: str
    octets: bytes

    @property
    def digest(self) -> str:
        """Return the SHA-256 that an order for it names, in hex."""
        return hashlib.sha256(self.octets).hexdigest()


async def send_firmware(
    keeper: GateKeeper,
    *,
    order_id: str,
    serial: str,
    address: MeterAddress,
    firmware: Firmware,
    now: datetime,
    is_wanted: Callable[[], bool] = lambda: False,
) -> None:
    """
    Send an image to a meter, have it verified and activated, and read back that it runs.

    :raises GaveWay: if `is_wanted` says between two blocks that somebody else waits for the meter.
    :raises GateRefusal: if no order for this very image was admitted.
    :raises WrongFirmware: if the meter runs another version after all, or does not verify the image.
    :raises BijligharError: if the meter cannot be reached, is silent or refuses: it goes on with the next try.
    """
    _use(keeper, ControlAction.FIRMWARE, order_id=order_id, serial=serial, now=now)
    with keeper.store.read() as connection:
        image = gate_store.image_of(connection, order_id=order_id)
    if image != firmware.digest:
        keeper.log_refusal(order_id=order_id, serial=serial, code=GateCode.WRONG_IMAGE, now=now)
        raise refusal(GateCode.WRONG_IMAGE)
    session = await keeper.open(serial=serial, address=address, now=now)
    try:
        runs = await _version(session) == firmware.version
        if not runs:
            await _transfer(keeper, session, order_id=order_id, firmware=firmware, is_wanted=is_wanted)
            await _finish(session, firmware)
    except WrongFirmware:
        _read_back(keeper, order_id=order_id, is_good=False)
        raise
    finally:
        session.close()
    if not runs:
        await _look_at_version(keeper, order_id, serial, address, firmware, now)
    _read_back(keeper, order_id=order_id, is_good=True)
    await keeper.close_order(order_id, now=now)


async def _transfer(
    keeper: GateKeeper,
    session: KeptSession,
    *,
    order_id: str,
    firmware: Firmware,
    is_wanted: Callable[[], bool],
) -> None:
    size = await _number(session, upkeep.BLOCK_SIZE)
    if not 0 < size <= BLOCK_OCTETS_MAX:
        raise GarbledAnswer(f"the meter says that blocks of an image have {size} octets; read it again")
    count = -(-len(firmware.octets) // size)
    status = await _number(session, upkeep.IMAGE_STATUS)
    with keeper.store.read() as connection:
        begun = gate_store.is_image_begun(connection, order_id=order_id)
    if begun and status in (ImageStatus.VERIFYING, ImageStatus.VERIFIED):
        return
    if not begun or status is not ImageStatus.INITIATED:
        name = ImageName(identifier=firmware.version.encode(), size=len(firmware.octets))
        await _act(session, upkeep.INITIATE, name.encode())
        with keeper.store.write() as connection:
            gate_store.begin_image(connection, order_id=order_id)
    for _ in range(ROUNDS_MAX):
        missing = upkeep.missing_blocks(await _bits(session), count=count)
        if not missing:
            return
        for number in missing:
            if is_wanted():
                await session.release()
                raise GaveWay
            block = firmware.octets[number * size : (number + 1) * size]
            await _act(session, upkeep.TRANSFER_BLOCK, upkeep.encode_block(number, block))
    if upkeep.missing_blocks(await _bits(session), count=count):
        raise AccessRefused("the meter keeps losing blocks of the image; try again later")


async def _finish(session: KeptSession, firmware: Firmware) -> None:
    status = await _number(session, upkeep.IMAGE_STATUS)
    if status not in (ImageStatus.VERIFYING, ImageStatus.VERIFIED):
        await _act(session, upkeep.VERIFY, axdr.integer(0), may_last=True)
    for _ in range(LOOKS_MAX):
        status = await _number(session, upkeep.IMAGE_STATUS)
        if status is not ImageStatus.VERIFYING:
            break
        await asyncio.sleep(LOOK_PAUSE_S)
    if status is not ImageStatus.VERIFIED:
        raise WrongFirmware(
            f"the meter does not verify the image {firmware.version} (status {status}); look at the image"
        )
    await _act(session, upkeep.ACTIVATE, axdr.integer(0), may_last=True)
    await session.release()


async def _look_at_version(
    keeper: GateKeeper,
    order_id: str,
    serial: str,
    address: MeterAddress,
    firmware: Firmware,
    now: datetime,
) -> None:
    session = await keeper.open(serial=serial, address=address, now=now)
    try:
        found = await _version(session)
        await session.release()
    finally:
        session.close()
    if found != firmware.version:
        _read_back(keeper, order_id=order_id, is_good=False)
        raise WrongFirmware(
            f"meter {serial} runs {found!r} after {firmware.version!r} was activated; nothing more is sent"
        )


def _use(keeper: GateKeeper, action: ControlAction, *, order_id: str, serial: str, now: datetime) -> None:
    if keeper.use(order_id=order_id, serial=serial, now=now) != action.value:
        keeper.log_refusal(order_id=order_id, serial=serial, code=GateCode.WRONG_ACTION, now=now)
        raise refusal(GateCode.WRONG_ACTION)


def _read_back(keeper: GateKeeper, *, order_id: str, is_good: bool) -> None:
    with keeper.store.write() as connection:
        gate_store.mark_read_back(connection, order_id=order_id, is_good=is_good)


async def _act(session: KeptSession, method: Method, parameters: bytes, *, may_last: bool = False) -> None:
    result = await session.perform(method, parameters)
    if result and not (may_last and result == ActionOutcome.TEMPORARY_FAILURE):
        raise AccessRefused(
            f"the meter refuses method {method.index} of {method.obis}: {result_name(result)}; try again later"
        )


async def _number(session: KeptSession, attribute: Attribute) -> int:
    value = await _value(session, attribute)
    if not isinstance(value, int) or isinstance(value, bool):
        raise GarbledAnswer(f"{attribute.obis} attribute {attribute.index} is {value!r} and no number")
    return ImageStatus(value) if attribute == upkeep.IMAGE_STATUS and value in set(ImageStatus) else value


async def _bits(session: KeptSession) -> BitString:
    value = await _value(session, upkeep.BLOCKS_STATUS)
    if not isinstance(value, BitString):
        raise GarbledAnswer(f"the meter's bitmap of blocks is {value!r}")
    return value


async def _version(session: KeptSession) -> str:
    value = await _value(session, FIRMWARE_VERSION)
    return value.decode("ascii", errors="replace") if isinstance(value, bytes) else str(value)


async def _value(session: KeptSession, attribute: Attribute) -> object:
    data = await session.get_if_any(attribute)
    if data is None:
        raise AccessRefused(
            f"the meter has no {attribute.obis} attribute {attribute.index}; it is not for it"
        )
    return GetResult(data=data).value
