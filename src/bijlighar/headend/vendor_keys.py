"""Vendors' key files through their adapters: octets in, keys of meters out; no message ever holds a key."""

import base64
import binascii
from dataclasses import dataclass
from importlib import resources

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from bijlighar.base.adapters import Adapter, Encoding, adapted_rows, load_adapter
from bijlighar.base.errors import InvalidValue
from bijlighar.base.tables import BrokenTable, CsvRow
from bijlighar.base.text import CODE_MAX, NOTE_MAX, check_text
from bijlighar.headend.errors import BrokenKeysFile
from bijlighar.headend.keys import KEY_OCTETS, METERS_LIMIT, TITLE_OCTETS
from bijlighar.headend.model import MeterKeys

#: A key-encryption key of RFC 3394 [octets].
WRAPPING_OCTETS = (16, 24, 32)
PASSWORD_OCTETS_MAX = 64
NEEDED = ("serial", "system_title", "ek", "ak")
FIELDS = frozenset((*NEEDED, "lls", "hls", "setting_ek", "setting_ak", "master", "url"))


def shipped_key_adapters() -> dict[str, str]:
    """Return the texts of the adapters for key files that are shipped with the package, by name."""
    folder = resources.files("bijlighar.headend") / "adapters"
    files = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in files}


def key_adapter(text: str, *, name: str) -> Adapter:
    """
    Return the adapter for key files written in `text`.

    :raises BrokenAdapter: if it cannot be used.
    """
    return load_adapter(text, name=name, holds="keys", fields=FIELDS)


def read_wrapping_key(text: str) -> bytes:
    """
    Return the vendor's key-encryption key from the text of its file: 32, 48 or 64 hex digits.

    :raises BrokenKeysFile: if it is none.
    """
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        octets = b""
    if len(octets) not in WRAPPING_OCTETS:
        raise BrokenKeysFile(
            "the file of the key-encryption key must hold 32, 48 or 64 hex digits and nothing else"
        )
    return octets


def read_vendor_keys(
    octets: bytes, *, adapter: Adapter, file: str, wrapping_key: bytes | None
) -> tuple[MeterKeys, ...]:
    """
    Return the keys of the meters of a vendor's key file; `file` names it in messages.

    :raises BrokenKeysFile: if the file is not as its adapter says, or a key cannot be used or unwrapped.
    """
    try:
        rows = adapted_rows(octets, adapter=adapter)
        if len(rows) > METERS_LIMIT:
            raise BrokenTable(f"more than {METERS_LIMIT} meters; split the file")
        keys = tuple(_Entry(row=row, adapter=adapter, wrapping_key=wrapping_key).keys() for row in rows)
        for what in ("serial", "system_title"):
            lines: dict[object, int] = {}
            for row, meter in zip(rows, keys, strict=True):
                value = getattr(meter, what)
                if value in lines:
                    raise BrokenTable(
                        f"line {row.line}: its {what} stands on line {lines[value]} too; leave one"
                    )
                lines[value] = row.line
    except BrokenTable as problem:
        raise BrokenKeysFile(f"nothing was stored: {file}: {problem}") from None
    return keys


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    row: CsvRow
    adapter: Adapter
    wrapping_key: bytes | None

    def keys(self) -> MeterKeys:
        return MeterKeys(
            serial=self._text("serial", letters_max=CODE_MAX),
            system_title=self._octets("system_title", TITLE_OCTETS),
            url=self._text("url", letters_max=NOTE_MAX) or None,
            ek=self._octets("ek", *KEY_OCTETS),
            ak=self._octets("ak", *KEY_OCTETS),
            lls=self._password("lls"),
            hls=self._password("hls"),
            setting_ek=self._key_if_any("setting_ek"),
            setting_ak=self._key_if_any("setting_ak"),
            master=self._key_if_any("master"),
            factory=self.adapter.factory,
        )

    def _text(self, field: str, *, letters_max: int) -> str:
        try:
            text = check_text(self.row[field], what=field, letters_max=letters_max)
        except InvalidValue as problem:
            raise BrokenTable(f"line {self.row.line}: {problem}") from None
        if not text and field in NEEDED:
            raise self._wrong(field, "is missing; ask the vendor for it")
        return text

    def _key_if_any(self, field: str) -> bytes | None:
        return self._octets(field, *KEY_OCTETS) if self.row[field] else None

    def _octets(self, field: str, *lengths: int) -> bytes:
        octets = self._decoded(field)
        if len(octets) not in lengths:
            wanted = " or ".join(str(length) for length in lengths)
            raise self._wrong(
                field, f"has {len(octets)} octets, not {wanted}; ask the vendor for the right one"
            )
        return octets

    def _password(self, field: str) -> bytes | None:
        if not self.row[field]:
            return None
        octets = self._decoded(field)
        try:
            octets.decode()
        except UnicodeDecodeError:
            raise self._wrong(field, "is no text in UTF-8; check the adapter's `as` and `wrapped`") from None
        if not 0 < len(octets) <= PASSWORD_OCTETS_MAX:
            raise self._wrong(field, f"has not 1 to {PASSWORD_OCTETS_MAX} octets; ask the vendor")
        return octets

    def _decoded(self, field: str) -> bytes:
        cell, source = self.row[field], self.adapter.fields.get(field)
        encoding = source.encoding if source is not None else Encoding.TEXT
        try:
            if encoding is Encoding.HEX:
                octets = bytes.fromhex(cell)
            elif encoding is Encoding.BASE64:
                octets = base64.b64decode(cell, validate=True)
            else:
                octets = cell.encode()
        except (ValueError, binascii.Error):
            raise self._wrong(field, f"is not {encoding}; check the file, or the adapter's `as`") from None
        if source is None or not source.wrapped:
            return octets
        if self.wrapping_key is None:
            raise self._wrong(field, "is wrapped; give the vendor's key-encryption key with --kek FILE")
        try:
            return aes_key_unwrap(self.wrapping_key, octets)
        except (InvalidUnwrap, ValueError):
            raise self._wrong(
                field, "does not unwrap: another key-encryption key, or it was damaged; ask the vendor"
            ) from None

    def _wrong(self, field: str, why: str) -> BrokenTable:
        return BrokenTable(f"line {self.row.line}: {field} {why}")
