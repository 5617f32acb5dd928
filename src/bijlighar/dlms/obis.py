"""OBIS codes: six numbers that name what a meter holds."""

from dataclasses import dataclass

from bijlighar.dlms.errors import LocalProtocolError


class InvalidObis(LocalProtocolError):
    """A text or octet string is not an OBIS code."""

    code = "dlms.invalid-obis"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Obis:
    """
    An OBIS code (the logical name of an object), as its six octets A to F.

    >>> str(Obis(octets=bytes((1, 0, 1, 8, 0, 255))))
    '1.0.1.8.0.255'
    """

    octets: bytes

    def __post_init__(self) -> None:
        if len(self.octets) != 6:
            raise InvalidObis(f"an OBIS code has 6 octets, not {len(self.octets)} ({self.octets.hex()})")

    @classmethod
    def parse(cls, text: str) -> "Obis":
        """
        Return the code written as exactly six decimal numbers 0..255 with dots.

        >>> Obis.parse("0.0.43.1.3.255").octets.hex()
        '00002b0103ff'

        :raises InvalidObis: if it is anything else.
        """
        parts = text.split(".")
        if len(parts) == 6 and all(_is_octet(part) for part in parts):
            return cls(octets=bytes(int(part) for part in parts))
        raise InvalidObis(f"{text!r} is not an OBIS code; write six numbers 0..255 like 1.0.1.8.0.255")

    @classmethod
    def from_octets(cls, octets: bytes) -> "Obis":
        """
        Return the code of six octets.

        :raises InvalidObis: if there are not six.
        """
        return cls(octets=bytes(octets))

    def __str__(self) -> str:
        """Return the code as six numbers with dots."""
        return ".".join(map(str, self.octets))


def _is_octet(text: str) -> bool:
    """Return whether `text` is a decimal number 0..255 without sign, space or leading zero."""
    return (
        text.isascii() and text.isdigit() and len(text) <= 3 and str(int(text)) == text and int(text) <= 255
    )
