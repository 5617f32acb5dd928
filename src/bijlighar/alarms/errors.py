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


class NothingToTakeBack(AlarmError):
    """Only the person who has just acknowledged an alarm may take that back, and only for a few seconds."""

    code = "alarms.nothing-to-take-back"


class NothingToSilence(AlarmError):
    """The siren is not called for."""

    code = "alarms.nothing-to-silence"


class NoConsumer(AlarmError):
    """The meter of the alarm supplies no consumer who could be cut or told anything."""

    code = "alarms.no-consumer"


class AlreadyProposed(AlarmError):
    """A proposal to cut stands for this alarm already."""

    code = "alarms.already-proposed"


class UnknownProposal(AlarmError):
    """There is no proposal of that number."""

    code = "alarms.unknown-proposal"


class AlreadyDecided(AlarmError):
    """Another person has decided on the proposal."""

    code = "alarms.already-decided"


class ImplausibleBeat(AlarmError):
    """What a console tells about itself cannot be."""

    code = "alarms.implausible-beat"
