"""What the meters remember of new keys, passwords and firmware that were sent; on disk before it is answered."""

import hashlib
import json
from dataclasses import dataclass

from bijlighar.dlms import axdr, is15959, upkeep
from bijlighar.dlms.axdr import BitString
from bijlighar.dlms.cosem import ActionOutcome, Attribute, DataAccess, Method
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.dlms.security import KEY_OCTETS, unwrap_key
from bijlighar.dlms.upkeep import ImageStatus, KeyId
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.makers import FIRMWARE
from bijlighar.simulator.model import Device

BLOCK_OCTETS = 200
IMAGE_OCTETS_MAX = 4 * 1024 * 1024
#: An image ends with the SHA-256 of what stands before.
SEAL_OCTETS = 32
_KEYS, _SECRETS, _FIRMWARE, _IMAGE = "new_keys", "new_secrets", "firmware", "image:"
#: What stands in a meter's log: the password of the reading client, that of the setting client, or keys were changed.
READER_SECRET_CHANGED, SETTING_SECRET_CHANGED, KEYS_CHANGED = 161, 162, 164


@dataclass(slots=True)
class Image:
    """An image on its way into a meter."""

    name: str
    size: int
    status: ImageStatus
    octets: bytearray
    got: bytearray

    @property
    def count(self) -> int:
        """Return how many blocks the image has."""
        return -(-self.size // BLOCK_OCTETS)

    def packed(self) -> bytes:
        """Return the image as it is remembered."""
        head = json.dumps({"name": self.name, "size": self.size, "status": int(self.status)}).encode()
        return len(head).to_bytes(4, "big") + head + bytes(self.got) + bytes(self.octets)


def _unpacked(stored: bytes) -> Image:
    length = int.from_bytes(stored[:4], "big")
    head = json.loads(stored[4 : 4 + length])
    rest = stored[4 + length :]
    count = -(-head["size"] // BLOCK_OCTETS)
    return Image(
        name=head["name"],
        size=head["size"],
        status=ImageStatus(head["status"]),
        got=bytearray(rest[:count]),
        octets=bytearray(rest[count:]),
    )


class Upkeep:
    """Keys, passwords and firmware of all meters of a town."""

    def __init__(self, live: LiveTown) -> None:
        """Take up what is remembered."""
        self._live = live
        stored = live.memory.state()
        self._keys: dict[str, list[str]] = json.loads(stored.get(_KEYS, b"{}"))
        self._secrets: dict[str, str] = json.loads(stored.get(_SECRETS, b"{}"))
        self._firmware: dict[str, str] = json.loads(stored.get(_FIRMWARE, b"{}"))
        self._images = {
            int(name.removeprefix(_IMAGE)): _unpacked(octets)
            for name, octets in stored.items()
            if name.startswith(_IMAGE)
        }

    def keys(self, device: Device, client: int) -> tuple[bytes, bytes]:
        """Return EK and AK of a client's security setup: those of the factory until they are changed."""
        changed = self._keys.get(f"{device.index}/{client}")
        if changed is None:
            return device.encryption_key, device.authentication_key
        return bytes.fromhex(changed[0]), bytes.fromhex(changed[1])

    def secret(self, device: Device, client: int) -> bytes:
        """Return the password of a client: that of the factory until it is changed."""
        changed = self._secrets.get(f"{device.index}/{client}")
        if changed is not None:
            return bytes.fromhex(changed)
        return device.reader_secret if client == is15959.METER_READER else device.setting_key

    def firmware(self, device: Device) -> str:
        """Return the version that runs."""
        return self._firmware.get(str(device.index), FIRMWARE)

    def act(self, device: Device, method: Method, parameters: bytes | None) -> ActionOutcome:
        """Return the answer to a method of these objects."""
        try:
            if method.class_id == upkeep.SECURITY_SETUP:
                return self._take_keys(device, method, parameters or b"")
            if method.class_id == upkeep.ASSOCIATION:
                if method != upkeep.change_secret(is15959.UTILITY):
                    return ActionOutcome.OBJECT_UNDEFINED
                self._take_secret(device, is15959.UTILITY, parameters or b"")
                return ActionOutcome.SUCCESS
            return self._take_image(device, method, parameters or b"")
        except RemoteProtocolError:
            return ActionOutcome.OTHER_REASON

    def write_secret(self, device: Device, attribute: Attribute, data: bytes) -> DataAccess:
        """Return the answer to the writing of an attribute of an association object."""
        if attribute != upkeep.secret_of(is15959.METER_READER):
            return DataAccess.READ_WRITE_DENIED
        try:
            self._take_secret(device, is15959.METER_READER, data)
        except RemoteProtocolError:
            return DataAccess.TYPE_UNMATCHED
        return DataAccess.SUCCESS

    def image_attribute(self, device: Device, index: int) -> bytes | None:
        """Return an attribute of the image transfer."""
        image = self._images.get(device.index)
        got = bytes(image.got) if image else b""
        bits = "".join(map(str, got)).ljust(-(-len(got) // 8) * 8, "0")
        values = {
            1: b"",
            2: axdr.double_long_unsigned(BLOCK_OCTETS),
            3: axdr.bit_string(
                BitString(octets=int(bits or "0", 2).to_bytes(len(bits) // 8, "big"), bits=len(got))
            ),
            4: axdr.double_long_unsigned(got.index(0) if 0 in got else len(got)),
            5: axdr.boolean(True),  # noqa: FBT003 - the value itself
            6: axdr.enum(image.status if image else ImageStatus.NONE),
        }
        return values.get(index)

    def _take_keys(self, device: Device, method: Method, parameters: bytes) -> ActionOutcome:
        clients = {upkeep.key_transfer(client): client for client in (is15959.METER_READER, is15959.UTILITY)}
        client = clients.get(method)
        if client is None:
            return ActionOutcome.OBJECT_UNDEFINED
        given = upkeep.decode_keys(parameters)
        ek, ak = self.keys(device, client)
        new = {key: unwrap_key(kek=device.master_key, wrapped=octets) for key, octets in given.items()}
        if set(new) - {KeyId.UNICAST, KeyId.AUTHENTICATION} or any(
            len(octets) != KEY_OCTETS for octets in new.values()
        ):
            return ActionOutcome.OTHER_REASON
        ek, ak = new.get(KeyId.UNICAST, ek), new.get(KeyId.AUTHENTICATION, ak)
        self._keys[f"{device.index}/{client}"] = [ek.hex(), ak.hex()]
        self._save({_KEYS: json.dumps(self._keys).encode()}, device=device, code=KEYS_CHANGED)
        return ActionOutcome.SUCCESS

    def _take_secret(self, device: Device, client: int, data: bytes) -> None:
        secret = upkeep.decode_secret(data)
        self._secrets[f"{device.index}/{client}"] = secret.hex()
        code = READER_SECRET_CHANGED if client == is15959.METER_READER else SETTING_SECRET_CHANGED
        self._save({_SECRETS: json.dumps(self._secrets).encode()}, device=device, code=code)

    def _take_image(self, device: Device, method: Method, parameters: bytes) -> ActionOutcome:
        if method == upkeep.INITIATE:
            name = upkeep.decode_image_name(parameters)
            if not 0 < name.size <= IMAGE_OCTETS_MAX:
                return ActionOutcome.OTHER_REASON
            image = Image(
                name=name.identifier.decode("ascii", errors="replace"),
                size=name.size,
                status=ImageStatus.INITIATED,
                octets=bytearray(name.size),
                got=bytearray(-(-name.size // BLOCK_OCTETS)),
            )
            self._images[device.index] = image
        else:
            known = self._images.get(device.index)
            if known is None:
                return ActionOutcome.OBJECT_UNAVAILABLE
            image = known
            outcome = self._go_on(device, image, method, parameters)
            if outcome is not ActionOutcome.SUCCESS:
                return outcome
        self._save({f"{_IMAGE}{device.index}": image.packed()})
        return ActionOutcome.SUCCESS

    def _go_on(self, device: Device, image: Image, method: Method, parameters: bytes) -> ActionOutcome:
        if method == upkeep.TRANSFER_BLOCK:
            number, octets = upkeep.decode_block(parameters)
            first = number * BLOCK_OCTETS
            if image.status is not ImageStatus.INITIATED or not 0 <= number < image.count:
                return ActionOutcome.OBJECT_UNAVAILABLE
            if len(octets) != min(BLOCK_OCTETS, image.size - first):
                return ActionOutcome.OTHER_REASON
            image.octets[first : first + len(octets)] = octets
            image.got[number] = 1
        elif method == upkeep.VERIFY:
            body, seal = image.octets[:-SEAL_OCTETS], image.octets[-SEAL_OCTETS:]
            holds = 0 not in image.got and hashlib.sha256(body).digest() == seal
            image.status = ImageStatus.VERIFIED if holds else ImageStatus.VERIFY_FAILED
        elif method == upkeep.ACTIVATE:
            if image.status is not ImageStatus.VERIFIED:
                return ActionOutcome.OBJECT_UNAVAILABLE
            image.status = ImageStatus.ACTIVATED
            self._firmware[str(device.index)] = image.name
            self._save({_FIRMWARE: json.dumps(self._firmware).encode()})
        else:
            return ActionOutcome.OBJECT_UNDEFINED
        return ActionOutcome.SUCCESS

    def _save(
        self, named: dict[str, bytes], *, device: Device | None = None, code: int | None = None
    ) -> None:
        with self._live.saving():
            self._live.memory.save_state(named)
            if device is not None and code is not None:
                self._live.note(device.index, code)
