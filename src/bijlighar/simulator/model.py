"""The values of a town: who lives where, which meter hangs there, what is planned to happen, what was true."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from bijlighar.base.words import Language

Array = NDArray[np.int64]

INTERVAL_S = 1800
INTERVALS_PER_DAY = 48
TIME_ZONES = 8
PHASES = ("R", "Y", "B")


class Kind(StrEnum):
    """What a meter is, in the registry's words."""

    SINGLE_PHASE = "single-phase"
    THREE_PHASE = "three-phase"
    LT_CT = "lt-ct"
    TRANSFORMER = "transformer"
    FEEDER = "feeder"

    @property
    def has_relay(self) -> bool:
        """Return whether a smart meter of this kind has a load switch."""
        return self in (Kind.SINGLE_PHASE, Kind.THREE_PHASE)

    @property
    def phases(self) -> int:
        """Return the number of phases it measures."""
        return 1 if self is Kind.SINGLE_PHASE else 3


class Premises(StrEnum):
    """What a consumer does with the energy; decides the load curve."""

    HOME = "home"
    SHOP = "shop"
    WORKSHOP = "workshop"
    HOSPITAL = "hospital"
    WATERWORKS = "waterworks"


class Behaviour(StrEnum):
    """When a consumer pays."""

    PROMPT = "prompt"
    LATE = "late"
    AFTER_NOTICE = "after-notice"
    AFTER_WARNING = "after-warning"
    AFTER_CUT = "after-cut"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """
    When and how a consumer pays everything open: `days` after what the behaviour waits for, at `at` IST.

    home_on: the first day on which somebody is there to sign for a notice on paper; None: any day.
    """

    behaviour: Behaviour
    days: int
    at: time
    method: str
    home_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionPlan:
    """Why the supply of an account may not be cut for arrears."""

    kind: str
    certificate: str
    until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Bypass:
    """A theft: `share_pct` [%] of the load runs past the meter from the start of day `since`."""

    share_pct: int
    since: date


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadShape:
    """The appliances of a consumer, each as electrical power [W]."""

    base_w: int
    fan_w: int
    cooling_w: int
    morning_w: int
    evening_w: int
    working_w: int
    opens_half_hour: int
    closes_half_hour: int
    closed_weekday: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A consumer and the place of supply."""

    index: int
    account: str
    name: str
    premises: Premises
    category: str
    area: str
    sanctioned_w: int
    usage_point: str
    office: str
    phone: str
    language: Language
    email: str
    transformer: str
    feeder: str
    phase: str
    node: int
    power_factor_pct: int
    load: LoadShape
    payer: Payer
    protection: ProtectionPlan | None = None
    bypass: Bypass | None = None
    profile: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """
    A meter.

    `consumer` is the index of the consumer it hangs at (None for a transformer's or feeder's meter), `listens` the
    i of the port P+i (None: it does not communicate), `hung_from` the first moment it hangs (None: planned, in
    store until it is hung). `deviation_minutes` is what the meter writes into the deviation of its times.
    """

    index: int
    serial: str
    kind: Kind
    usage_point: str
    consumer: int | None
    transformer: str
    feeder: str
    smart: bool
    listens: int | None
    system_title: bytes
    encryption_key: bytes
    authentication_key: bytes
    reader_secret: bytes
    setting_key: bytes
    initial_wh: int
    made_in: int
    rated_amp: int
    deviation_minutes: int = -330
    register_scaler: int = 0
    hung_from: datetime | None = None
    in_store: bool = False

    @property
    def master_key(self) -> bytes:
        """Return the key under which the meter takes new keys; made from its others, no draw of a town is needed."""
        secret = self.encryption_key + self.authentication_key + self.setting_key
        return hashlib.sha256(b"master" + secret).digest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerPlan:
    """A distribution transformer, its losses and its line."""

    code: str
    feeder: str
    kva: int
    no_load_loss_w: int
    load_loss_w: int
    milliohm_per_span: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The days, both included, on which a meter resets every connection."""

    serial: str
    first: date
    last: date


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficePlan:
    """A row of the file for `office import`."""

    code: str
    name_en: str
    name_hi: str
    level: str
    parent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonPlan:
    """Someone who works with the system."""

    sign_in: str
    name: str
    office: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StockReceipt:
    """Meters that arrive in the store."""

    at: datetime
    kind: Kind
    serials: tuple[str, ...]
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An old meter that a fitter replaces by a smart one."""

    at: datetime
    account: str
    usage_point: str
    old_serial: str
    new_serial: str
    fitter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tamper:
    """An event at a meter; `restored_at` is None where the event has no end."""

    at: datetime
    serial: str
    code: int
    restored_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandReadingRound:
    """The day's start at which the registers of the old meters are read by hand."""

    at: datetime


Action = StockReceipt | Installation | Tamper | HandReadingRound


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A town, planned from its seed; nothing in it changes while it runs."""

    seed: int
    months: int
    first_day: date
    last_day: date
    stand_alone: bool
    office: str
    control_centre: str
    consumers: tuple[Consumer, ...]
    devices: tuple[Device, ...]
    transformers: tuple[TransformerPlan, ...]
    feeders: tuple[str, ...]
    silences: tuple[Silence, ...]
    offices: tuple[OfficePlan, ...]
    persons: tuple[PersonPlan, ...]
    receipts: tuple[StockReceipt, ...]
    installations: tuple[Installation, ...]
    tampers: tuple[Tamper, ...]
    hand_readings: tuple[HandReadingRound, ...]

    @property
    def actions(self) -> tuple[Action, ...]:
        """Return everything the driver of a demo does in the town but payments, by time."""
        actions: list[Action] = [*self.receipts, *self.installations, *self.tampers, *self.hand_readings]
        return tuple(sorted(actions, key=lambda action: (action.at, type(action).__name__)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFile:
    """
    Load curves from a file: integer Wh per half-hour, rows in the order of `names`, from `first_day` IST on.

    A half-hour that the file does not have is `GAP`; a meter registers nothing then.
    """

    names: tuple[str, ...]
    first_day: date
    energy_wh: NDArray[np.int32]


GAP = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """
    What physically happened from `first` to `last`, in integer Wh per half-hour (columns, starts in epoch seconds).

    Rows: `registered_wh` and `present` by `serials`; `consumed_wh` (registered + stolen) and `stolen_wh` by
    `accounts`; `input_wh`, `line_loss_wh` and `own_loss_wh` by `transformers`; `feeder_input_wh` by `feeders`.
    """

    starts: Array
    serials: tuple[str, ...]
    registered_wh: Array
    present: NDArray[np.bool_]
    accounts: tuple[str, ...]
    consumed_wh: Array
    stolen_wh: Array
    transformers: tuple[str, ...]
    input_wh: Array
    line_loss_wh: Array
    own_loss_wh: Array
    feeders: tuple[str, ...]
    feeder_input_wh: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayAct:
    """One operation of a relay: what was asked, when in the town's time, by which client, and whether it moved."""

    serial: str
    action: str
    at: datetime
    client: int
    moved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayTruth:
    """Whether each relay lets current through, and every operation so far in order."""

    closed: dict[str, bool]
    acts: tuple[RelayAct, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushes:
    """How many alerts were taken by the listener, wait, or were given up."""

    sent: int
    pending: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """An exchange of meters as it happened; both registers [Wh] at the same moment."""

    usage_point: str
    account: str
    old_serial: str
    final_wh: int
    new_serial: str
    initial_wh: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TownStatus:
    """How the running town stands; `replayed` counts messages refused for their old counter, by serial."""

    now: datetime
    meters: int
    listening: int
    silent: tuple[str, ...]
    sessions: int
    relays_open: tuple[str, ...]
    feeders_failed: tuple[str, ...]
    pushes: Pushes
    replayed: dict[str, int]
