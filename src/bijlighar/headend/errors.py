"""The errors of this room; the code of a failed session is the code of its error."""

from bijlighar.base.errors import BijligharError


class HeadEndError(BijligharError):
    """The root of the errors of this room."""

    code = "headend.error"


class BrokenUrl(HeadEndError):
    """A meter's URL cannot be understood."""

    code = "headend.broken-url"


class UnsupportedTransport(HeadEndError):
    """The URL names a way to the meter that needs a part which is not installed here."""

    code = "headend.unsupported-transport"


class MeterUnreachable(HeadEndError):
    """No connection to the meter could be made."""

    code = "headend.unreachable"


class MeterSilent(HeadEndError):
    """The meter did not answer in time."""

    code = "headend.no-answer"


class ConnectionLost(HeadEndError):
    """The meter closed the connection in the middle of a session."""

    code = "headend.connection-lost"


class GarbledAnswer(HeadEndError):
    """What the meter sent is no valid answer."""

    code = "headend.garbled"


class AssociationRefused(HeadEndError):
    """The meter refused the association: a wrong password, key, counter or client."""

    code = "headend.refused"
    #: The lowest invocation counter that would do, where the refusal tells it; nothing vouches for it.
    counter: int | None = None


class AccessRefused(HeadEndError):
    """The meter refused to read, write or do what was asked."""

    code = "headend.access-refused"


class CounterRefused(HeadEndError):
    """The meter's invocation counter cannot be believed or followed."""

    code = "headend.counter"


class UnexpectedLayout(HeadEndError):
    """A profile of the meter does not have the columns that are needed."""

    code = "headend.layout"


class UnknownMeterKeys(HeadEndError):
    """No keys are stored for the meter."""

    code = "headend.no-keys"


class SealedKeys(HeadEndError):
    """Stored keys cannot be opened: the key-encryption key is absent or another one."""

    code = "headend.sealed-keys"


class BrokenKeysFile(HeadEndError):
    """A keys file cannot be used."""

    code = "headend.broken-keys-file"


class BrokenOrder(HeadEndError):
    """A control order, or a file with a signed one, cannot be used."""

    code = "headend.broken-order"


class UnknownCommand(HeadEndError):
    """There is no control command of that order."""

    code = "headend.unknown-command"


class BrokenSettings(HeadEndError):
    """A setting of the head-end cannot be used."""

    code = "headend.broken-settings"


class ClockNotSet(HeadEndError):
    """A meter's clock was set and shows another time all the same."""

    code = "headend.clock-not-set"


class TooLate(HeadEndError):
    """A session did not come on before the time in which it was of use; nothing was sent."""

    code = "headend.too-late"


class BrokenContract(HeadEndError):
    """The contract with the operator of the meters cannot be used; the message names the place and what is wrong."""

    code = "headend.broken-contract"


class BrokenQuirk(HeadEndError):
    """A quirk file cannot be used; the message names file and field. Only the meters that it is of are not read."""

    code = "headend.broken-quirk"


class GateRefusal(HeadEndError):
    """The gate did not let an order pass."""

    code = "headend.gate-refused"


class RelayNotMoved(HeadEndError):
    """The relay did not do what was commanded."""

    code = "headend.relay-not-moved"


class NoRelay(HeadEndError):
    """The meter has no relay that can be reached."""

    code = "headend.no-relay"


class GateAway(HeadEndError):
    """The gate's process does not answer; nothing that needs it is done."""

    code = "headend.gate-away"


class ClosedGateStore(HeadEndError):
    """The gate cannot reach its own store; nothing passes."""

    code = "headend.gate-no-store"


class NotCalledIn(HeadEndError):
    """The modem before the meter has not called in; nothing was sent."""

    code = "headend.not-called-in"


class ModemBusy(HeadEndError):
    """The modem before the meter was spoken through by others for too long; nothing was sent."""

    code = "headend.modem-busy"


class CallInAway(HeadEndError):
    """The exchange of modems that call in does not run; no meter behind such a modem can be reached."""

    code = "headend.call-in-away"


class GateRuns(HeadEndError):
    """Another gate runs on the same folder."""

    code = "headend.gate-runs"


class WrongFirmware(HeadEndError):
    """A meter does not verify an image, or does not run it after all."""

    code = "headend.wrong-firmware"


class UpkeepIncomplete(HeadEndError):
    """New keys or firmware did not reach every meter that they were ordered for."""

    code = "headend.upkeep-incomplete"


class BrokenDocument(HeadEndError):
    """A document of settings cannot be used; the message names the place and what is wrong."""

    code = "headend.broken-document"


class RefusedSetting(HeadEndError):
    """A setting could cut somebody's supply, or the meter keeps something else in its place; nothing is written."""

    code = "headend.refused-setting"


class WrongSetting(HeadEndError):
    """A meter was set and shows something else all the same."""

    code = "headend.wrong-setting"


class KeysNotTaken(HeadEndError):
    """A meter did not take new keys or a new password."""

    code = "headend.keys-not-taken"


class KeyChangeOpen(HeadEndError):
    """Another change of the meter's keys was begun and must come to its end first."""

    code = "headend.key-change-open"
