"""What an operator of the alarms room can act on."""

from bijlighar.base.errors import BijligharError


class AlarmError(BijligharError):
    """The root of the room's errors."""

    code = "alarms.error"


class BrokenTable(AlarmError):
    """The table of what raises an alarm cannot be used."""

    code = "alarms.broken-table"


class UnknownAlarm(AlarmError):
    """There is no alarm of that number."""

    code = "alarms.unknown-alarm"


class AlreadyAcknowledged(AlarmError):
    """Another person was first."""

    code = "alarms.already-acknowledged"


class SirenUnreachable(AlarmError):
    """The siren's broker does not take what it is told."""

    code = "alarms.siren-unreachable"
