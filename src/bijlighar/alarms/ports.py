"""What alarms ask of a siren."""

from typing import Protocol


class SirenOutput(Protocol):
    """A siren: `mqtt.MqttSiren`, `mqtt.NoSiren`, and the tests' own."""

    async def set(self, *, on: bool, level: str, reason: str, lease_s: int) -> None:
        """
        Sound, or be still; "on" ends by itself after `lease_s` [s] unless it is said again.

        :raises SirenUnreachable: if the siren cannot be told.
        """
        ...

    async def probe(self) -> bool:
        """Return whether the siren's way can be used now."""
        ...

    async def close(self) -> None:
        """Let go of the siren; what it sounds ends with its lease."""
        ...
