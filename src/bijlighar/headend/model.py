"""The head-end's values: settings, keys, control orders and their life cycles, sessions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.headend.quirks import NO_QUIRKS, Quirks

CLIENT_PUBLIC, CLIENT_READER, CLIENT_SETTING = 16, 32, 48
FAMILIES = 7  # event families of IS 15959: voltage, current, power, transaction, other, non-rollover, control


class ControlAction(StrEnum):
    """
    What an order does: to the relay, or to the meter's own keys, firmware and settings.

    Settings after which a meter may open its relay by itself have an action of their own: SUPPLY_SETTINGS.
    CHANGE_KEYS and CHANGE_SECRET are of client 48, whose keys the gate makes; READING_KEYS and READING_SECRET of
    client 32, whose keys and password the head-end makes.
    """

    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"
    CHANGE_KEYS = "change-keys"
    CHANGE_SECRET = "change-secret"  # noqa: S105 - the name of an action
    READING_KEYS = "reading-keys"
    READING_SECRET = "reading-secret"  # noqa: S105 - the name of an action
    FIRMWARE = "firmware"
    SETTINGS = "settings"
    SUPPLY_SETTINGS = "supply-settings"


class ControlReason(StrEnum):
    """Why a relay is opened or closed."""

    ARREARS = "arrears"
    THEFT = "theft"
    SAFETY = "safety"
    COURT = "court"
    REQUEST = "request"
    PERMIT = "permit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOrder:
    """
    The order to do one thing to one meter once, before it expires.

    `detail` of an order for firmware is the SHA-256 of the image in hex, of one for settings that of their document,
    of one for reading keys or the reading password the digest of the change; of the others there is none.
    `sanctioned_w` is the sanctioned load [W] below which no load limit may be set.
    """

    order_id: str
    serial: str
    action: ControlAction
    reason: ControlReason
    feeder: str | None
    issued_at: datetime
    expires_at: datetime
    issued_by: str
    approved_by: str | None
    detail: str | None = None
    sanctioned_w: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOrder:
    """An order and the Ed25519 signature of its canonical octets."""

    order: ControlOrder
    signature: bytes


class CommandState(Enum):
    """The states of a control command."""

    REQUESTED = "requested"
    SENT = "sent"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    VERIFIED = "verified"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class CommandEvent(Enum):
    """What happens to a control command."""

    SEND = "send"
    ACCEPT = "accept"
    VERIFY = "verify"
    FAIL = "fail"
    LOSE = "lose"
    PUT_BACK = "put back"
    REFUSE = "refuse"
    EXPIRE = "expire"
    CANCEL = "cancel"


#: A disconnection whose octets may have left is never sent again: it is lost, then read.
DISCONNECT_STEPS: LifeCycle[CommandState, CommandEvent] = MappingProxyType(
    {
        CommandState.REQUESTED: {
            CommandEvent.SEND: CommandState.SENT,
            CommandEvent.FAIL: CommandState.FAILED,
            CommandEvent.REFUSE: CommandState.REFUSED,
            CommandEvent.EXPIRE: CommandState.EXPIRED,
            CommandEvent.CANCEL: CommandState.CANCELLED,
        },
        CommandState.SENT: {
            CommandEvent.ACCEPT: CommandState.ACCEPTED,
            CommandEvent.VERIFY: CommandState.VERIFIED,
            CommandEvent.FAIL: CommandState.FAILED,
            CommandEvent.LOSE: CommandState.UNKNOWN,
        },
        CommandState.ACCEPTED: {
            CommandEvent.VERIFY: CommandState.VERIFIED,
            CommandEvent.FAIL: CommandState.FAILED,
            CommandEvent.LOSE: CommandState.UNKNOWN,
        },
        CommandState.UNKNOWN: {
            CommandEvent.VERIFY: CommandState.VERIFIED,
            CommandEvent.FAIL: CommandState.FAILED,
        },
        CommandState.VERIFIED: {},
        CommandState.FAILED: {},
        CommandState.REFUSED: {},
        CommandState.EXPIRED: {},
        CommandState.CANCELLED: {},
    }
)

#: A reconnection is done at least once: until it is verified it goes back to be sent again.
RECONNECT_STEPS: LifeCycle[CommandState, CommandEvent] = MappingProxyType(
    {
        CommandState.REQUESTED: {
            CommandEvent.SEND: CommandState.SENT,
            CommandEvent.FAIL: CommandState.FAILED,
            CommandEvent.REFUSE: CommandState.REFUSED,
            CommandEvent.EXPIRE: CommandState.EXPIRED,
            CommandEvent.CANCEL: CommandState.CANCELLED,
        },
        CommandState.SENT: {
            CommandEvent.ACCEPT: CommandState.ACCEPTED,
            CommandEvent.VERIFY: CommandState.VERIFIED,
            CommandEvent.PUT_BACK: CommandState.REQUESTED,
        },
        CommandState.ACCEPTED: {
            CommandEvent.VERIFY: CommandState.VERIFIED,
            CommandEvent.PUT_BACK: CommandState.REQUESTED,
        },
        CommandState.VERIFIED: {},
        CommandState.FAILED: {},
        CommandState.REFUSED: {},
        CommandState.EXPIRED: {},
        CommandState.CANCELLED: {},
    }
)

COMMAND_STEPS: Mapping[ControlAction, LifeCycle[CommandState, CommandEvent]] = MappingProxyType(
    {ControlAction.DISCONNECT: DISCONNECT_STEPS, ControlAction.RECONNECT: RECONNECT_STEPS}
)

#: The octets of the action may have left and nobody knows what the relay did.
DOUBTFUL = frozenset({CommandState.SENT, CommandState.ACCEPTED, CommandState.UNKNOWN})
#: Nothing follows.
FINAL = frozenset(state for state, steps in DISCONNECT_STEPS.items() if not steps)
#: States that are told to the rooms above, by the numbers of the sequence `headend.control`.
TOLD = (FINAL | {CommandState.UNKNOWN}) - {CommandState.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlCommand:
    """What became of one control order; `number` is that of the sequence `headend.control`, None until told."""

    order_id: str
    serial: str
    action: ControlAction
    reason: ControlReason
    state: CommandState
    requested_at: datetime
    sent_at: datetime | None = None
    finished_at: datetime | None
    output_state: bool | None
    control_state: int | None
    event_code: int | None
    reason_code: str
    reason_text: str
    attempts: int
    number: int | None


class GateCode(StrEnum):
    """What the gate decided; each refusal is told apart."""

    ADMITTED = "headend.gate-admitted"
    NO_VERIFY_KEY = "headend.gate-no-verify-key"
    UNSIGNED = "headend.gate-unsigned"
    ALTERED = "headend.gate-altered"
    WRONG_ORDER = "headend.gate-wrong-order"
    WRONG_SERIAL = "headend.gate-wrong-serial"
    WRONG_ACTION = "headend.gate-wrong-action"
    NOT_YET = "headend.gate-not-yet"
    EXPIRED = "headend.gate-expired"
    NOT_APPROVED = "headend.gate-not-approved"
    USED = "headend.gate-used"
    SUPERSEDED = "headend.gate-superseded"
    BROKEN_CEILINGS = "headend.gate-broken-ceilings"
    CEILING_HOUR = "headend.gate-ceiling-hour"
    CEILING_FEEDER = "headend.gate-ceiling-feeder"
    CEILING_DAY = "headend.gate-ceiling-day"
    BROKEN = "headend.gate-broken"
    NOT_GRANTED = "headend.gate-not-granted"
    STEP = "headend.gate-step"
    WRONG_IMAGE = "headend.gate-wrong-image"
    FACTORY_KEYS = "headend.gate-factory-keys"
    BROKEN_DOCUMENT = "headend.gate-broken-document"
    WRONG_DOCUMENT = "headend.gate-wrong-document"
    WRONG_KEYS = "headend.gate-wrong-keys"
    LATER_KEYS = "headend.gate-later-keys"
    MAY_INTERRUPT = "headend.gate-may-interrupt"
    LOAD_LIMIT = "headend.gate-load-limit"
    CEILING_SETTINGS = "headend.gate-ceiling-settings"
    AWAY = "headend.gate-away"
    NO_STORE = "headend.gate-no-store"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """
    A command that asks to pass the gate: what it claims to do, and the order that it shows.

    `feeder` is the meter's feeder as the registry knows it; the order's own word stands where it is None.
    `document` is the text of the settings that an order for settings names.
    """

    order_id: str
    serial: str
    action: ControlAction
    signed: SignedOrder
    feeder: str | None = None
    document: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """The gate's own ceilings of disconnections and of settings, whatever is ordered."""

    per_hour: int = 50
    per_feeder_hour: int = 20
    per_day: int = 300
    settings_per_hour: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedCounts:
    """
    How much the gate has admitted that cuts, or may cut, supply: last hour, on the feeder, last 24 hours.

    `settings_hour` is how many orders for settings of any kind, for reading keys and reading passwords it has
    admitted in the last hour.
    """

    hour: int
    feeder_hour: int
    day: int
    settings_hour: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCounts:
    """To how many meters an image, a document or keys were let, how many were read back well, and how many not."""

    sent: int
    good: int
    bad: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateEntry:
    """One line of the gate's log."""

    number: int
    at: datetime
    order_id: str
    serial: str
    action: str
    code: GateCode


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterKeys:
    """
    What opens one meter; secrets are kept out of every printed form.

    `setting_ek` and `setting_ak` are those of client 48 where the meter has a security setup of its own for it,
    `push_ek` and `push_ak` those of what it pushes, where they are not those of reading;
    `master` is the key under which new keys are wrapped; `factory` says that people outside the company know them.
    """

    serial: str
    system_title: bytes
    url: str | None = None
    ek: bytes = field(repr=False)
    ak: bytes = field(repr=False)
    lls: bytes | None = field(default=None, repr=False)
    hls: bytes | None = field(default=None, repr=False)
    setting_ek: bytes | None = field(default=None, repr=False)
    setting_ak: bytes | None = field(default=None, repr=False)
    push_ek: bytes | None = field(default=None, repr=False)
    push_ak: bytes | None = field(default=None, repr=False)
    master: bytes | None = field(default=None, repr=False)
    factory: bool = False


class TransportKind(Enum):
    """The ways to a meter."""

    TCP = "tcp"
    HDLC_TCP = "hdlc+tcp"
    HDLC = "hdlc"
    CALL_IN = "callin"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterAddress:
    """
    Where a meter answers; of a serial line `host` is the device, and `port` is 0.

    Of a modem that calls in `host` is its name, and `server` the meter behind it.
    """

    kind: TransportKind
    host: str
    port: int
    server: int = 1
    physical: int | None = None
    baud: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadEndSettings:
    """
    Everything of the head-end that an operator may set.

    Times are seconds unless named otherwise. The two keys and the title are 32, 32 and 8 octets; without a
    key-encryption key no stored key can be opened, without a verify key the gate admits nothing. `gate_socket` is
    where the gate's process listens; None puts the gate into this process, for tests and benchmarks.
    `call_in_socket` is where the exchange of modems that call in is asked for one; None: there is none. Of its limits
    `call_in_per_source` counts the connections of one address, `call_in_first_s` is how long a modem may take to name
    itself, `call_in_idle_s` how long it may be silent. `quirks` are how
    models differ from what they should be.
    """

    worker: str = "head-end"
    system_title: bytes = b"BJLGHEAD"
    key_encryption_key: bytes | None = field(default=None, repr=False)
    verify_key: bytes | None = None
    collect_client: int = CLIENT_READER
    concurrency: int = 100
    gateway_concurrency: int = 4
    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 10.0
    session_timeout_s: float = 300.0
    collect_from_minutes: int = 15
    backfill_days: int = 45
    event_days: int = 7
    clock_from_s: int = 60
    clock_limit_s: int = 7_200
    retry_delays_s: tuple[int, ...] = (5 * 3600,)
    incomplete_tries: int = 2
    sessions_per_commit: int = 100
    control_concurrency: int = 10
    control_timeout_s: float = 90.0
    control_lease_s: int = 240
    control_retry_s: tuple[int, ...] = (60, 300, 900, 3600)
    verify_tries: int = 3
    verify_pause_s: float = 1.0
    ceilings: Ceilings | None = Ceilings()
    gate_socket: str | None = None
    quirks: Quirks = NO_QUIRKS
    push_connections: int = 256
    push_timeout_s: float = 30.0
    call_in_socket: str | None = None
    call_in_connections: int = 10_000
    call_in_per_source: int = 1_000
    call_in_first_s: float = 30.0
    call_in_idle_s: float = 900.0
    call_in_wait_s: float = 30.0


class Lane(IntEnum):
    """Whose session goes first."""

    RELAY = 0
    ON_DEMAND = 1
    SCHEDULED = 2
    BULK = 3


class SessionPurpose(StrEnum):
    """What a session was for."""

    COLLECT = "collect"
    CONTROL = "control"
    COUNTER = "counter"
    CLOCK = "clock"


class ClockDeed(StrEnum):
    """What was done about a meter's clock."""

    LEAVE = "headend.clock-right"
    SET = "headend.clock-set"
    WAIT = "headend.clock-waits"
    SET_ACROSS = "headend.clock-set-across"
    TOO_FAR = "headend.clock-too-far"


SESSION_OK = "headend.ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One session with one meter as it is logged; `outcome` is a code, `headend.ok` if all went well."""

    meter: str
    purpose: SessionPurpose
    started_at: datetime
    duration_ms: int
    outcome: str
    note: str = ""
    octets_in: int = 0
    octets_out: int = 0
    drift_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentMeter:
    """A meter whose last session failed."""

    meter: str
    failures: int
    since: datetime | None
    last_code: str
    next_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectReport:
    """What one run of the collection brought."""

    sessions: int = 0
    failed: int = 0
    meter_days: int = 0
    intervals: int = 0
    registers: int = 0
    events: int = 0

    def __add__(self, other: "CollectReport") -> "CollectReport":
        """Return the two runs together."""
        return CollectReport(
            sessions=self.sessions + other.sessions,
            failed=self.failed + other.failed,
            meter_days=self.meter_days + other.meter_days,
            intervals=self.intervals + other.intervals,
            registers=self.registers + other.registers,
            events=self.events + other.events,
        )


class RelayState(IntEnum):
    """The control state of a disconnect control object (class 70, attribute 3)."""

    DISCONNECTED = 0
    CONNECTED = 1
    READY_FOR_RECONNECTION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayReading:
    """The three attributes of a relay as read from the meter."""

    output_state: bool
    control_state: int
    control_mode: int

    @property
    def is_open(self) -> bool:
        """Return whether supply is off and nobody at the meter can put it on."""
        return not self.output_state and self.control_state == RelayState.DISCONNECTED

    @property
    def is_closed(self) -> bool:
        """Return whether supply is on."""
        return self.output_state and self.control_state == RelayState.CONNECTED

    def has_done(self, action: ControlAction) -> bool:
        """Return whether the relay is where `action` wants it."""
        return self.is_open if action is ControlAction.DISCONNECT else self.is_closed
