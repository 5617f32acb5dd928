"""The errors of this room."""

from bijlighar.base.errors import BijligharError


class RegistryError(BijligharError):
    """The root of the errors of this room."""

    code = "registry.error"


class RefusedFile(RegistryError):
    """A registry or network file is wrong; nothing of it was stored."""

    code = "registry.refused-file"


class UnknownAccount(RegistryError):
    """No account has this number."""

    code = "registry.unknown-account"


class UnknownEndDevice(RegistryError):
    """No meter has this serial number."""

    code = "registry.unknown-end-device"


class UnknownUsagePoint(RegistryError):
    """No place of supply has this code."""

    code = "registry.unknown-usage-point"


class CannotHang(RegistryError):
    """The meter cannot hang there then."""

    code = "registry.cannot-hang"


class CannotTakeDown(RegistryError):
    """The meter does not hang there then."""

    code = "registry.cannot-take-down"


class UnusableProtection(RegistryError):
    """A protection cannot be recorded as given."""

    code = "registry.unusable-protection"
