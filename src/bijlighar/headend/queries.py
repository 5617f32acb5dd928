"""What other rooms may ask: what is due, what became of commands, who was heard, what is believed of relays."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from bijlighar.base.period import Period
from bijlighar.headend import (
    control_store,
    gate_store,
    keys_store,
    meter_fact_store,
    modem_store,
    on_demand_store,
    push_kinds_store,
    push_store,
    schedule,
    session_store,
)
from bijlighar.headend.control_queue import CONTROL_KINDS
from bijlighar.headend.errors import SealedKeys
from bijlighar.headend.meter_facts import FactOrigin as FactOrigin
from bijlighar.headend.meter_facts import MeterFact as MeterFact
from bijlighar.headend.meter_facts import MeterFactKind as MeterFactKind
from bijlighar.headend.model import (
    SESSION_OK,
    ControlCommand,
    GateEntry,
    HeadEndSettings,
    RelayReading,
    SessionRow,
    SilentMeter,
)
from bijlighar.headend.modem_store import Modem as Modem
from bijlighar.headend.on_demand import KIND as READ_NOW
from bijlighar.headend.on_demand_store import AskedReading
from bijlighar.headend.push_kinds_store import KindCount as KindCount
from bijlighar.headend.push_store import Quarantined as Quarantined
from bijlighar.headend.service_report import ServiceReport as ServiceReport
from bijlighar.headend.service_report import service_document as service_document
from bijlighar.headend.service_report import service_report as service_report
from bijlighar.headend.supply import GASP_BELIEVED, SUPPLY_BACK, SUPPLY_FAILED, MeterSigns, judge_supply
from bijlighar.headend.supply import SILENT_PCT_MAX as SILENT_PCT_MAX
from bijlighar.headend.supply import TransformerSupply as TransformerSupply
from bijlighar.readings import queries as readings
from bijlighar.registry import queries as registry
from bijlighar.storage import jobs

DEFAULT_LIMIT = 1_000


def pending_collect(connection: Connection, *, now: datetime, settings: HeadEndSettings | None = None) -> int:
    """Return how many meters owe days and may be asked at `now`; 0 once everything due was tried."""
    return schedule.count_due(connection, now=now, settings=settings or HeadEndSettings())


def pending_control(connection: Connection, *, now: datetime) -> int:
    """Return how many control commands, or readings of doubtful relays, are due or running at `now`."""
    return jobs.pending(connection, kinds=CONTROL_KINDS, now=now)


def pending_asked(connection: Connection, *, now: datetime) -> int:
    """Return how many readings that people asked for are due or running at `now`."""
    return jobs.pending(connection, kinds=(READ_NOW,), now=now)


def asked_reading(connection: Connection, *, number: int) -> AskedReading:
    """
    Return a reading that a person asked for.

    :raises UnknownReading: if nobody asked for one of that number.
    """
    return on_demand_store.asked(connection, number=number)


def asked_readings(connection: Connection, *, meter: str, limit: int = 10) -> tuple[AskedReading, ...]:
    """Return the newest readings that people asked for of a meter, newest first."""
    return on_demand_store.of_meter(connection, meter=meter, limit=min(limit, DEFAULT_LIMIT))


def control_command(connection: Connection, *, order_id: str) -> ControlCommand | None:
    """Return the command of an order, None if there is none."""
    return control_store.command(connection, order_id=order_id)


def control_commands(connection: Connection, *, order_ids: Sequence[str]) -> Mapping[str, ControlCommand]:
    """Return the commands of several orders by the order's id; an order that has none is left out."""
    return control_store.commands(connection, order_ids=order_ids)


def commands_of(
    connection: Connection, *, serial: str, limit: int = DEFAULT_LIMIT
) -> tuple[ControlCommand, ...]:
    """Return the commands of a meter, newest first."""
    return control_store.commands_of(connection, serial=serial, limit=limit)


def finished_commands(
    connection: Connection, *, after: int, limit: int = DEFAULT_LIMIT
) -> tuple[ControlCommand, ...]:
    """
    Return the commands that came to an end, or into doubt, after a number of the sequence `headend.control`.

    A command in doubt (UNKNOWN) comes again under a new number when its relay has been read. A cancelled one does not
    come: whoever cancelled it was told.
    """
    return control_store.told(connection, after=after, limit=limit)


def last_contact(connection: Connection) -> Mapping[str, datetime]:
    """Return when each meter was last collected in good order."""
    return session_store.last_contacts(connection)


def silent_meters(connection: Connection) -> tuple[SilentMeter, ...]:
    """Return the meters whose last session failed, worst first."""
    silent = [
        SilentMeter(
            meter=known.meter,
            failures=known.failures,
            since=known.last_ok_at,
            last_code=known.last_code,
            next_at=known.next_at,
        )
        for known in session_store.schedules(connection).values()
        if known.last_code != SESSION_OK
    ]
    return tuple(sorted(silent, key=lambda meter: (-meter.failures, meter.meter)))


def sessions(
    connection: Connection, *, meter: str | None = None, limit: int = DEFAULT_LIMIT
) -> tuple[SessionRow, ...]:
    """Return the newest sessions, of one meter or of all."""
    return session_store.sessions(connection, meter=meter, limit=limit)


def relay_belief(connection: Connection) -> Mapping[str, bool | None]:
    """Return, per meter whose relay was ever read, whether it was closed (supply on) when last read."""
    return {meter: closed for meter, (closed, _) in control_store.beliefs(connection).items()}


def relay_read_at(connection: Connection) -> Mapping[str, datetime]:
    """Return when each relay was last read."""
    return {meter: at for meter, (_, at) in control_store.beliefs(connection).items()}


def notifications_received(connection: Connection) -> int:
    """Return how many pushes have come: stored, each once, and put in quarantine."""
    counts = push_store.counts(connection)
    return counts["received"] + counts["quarantined"]


def push_counts(connection: Connection) -> Mapping[str, int]:
    """Return how many pushes were `received` (each once), `repeated` and `quarantined`."""
    return push_store.counts(connection)


def quarantined(connection: Connection, *, limit: int = DEFAULT_LIMIT) -> tuple[Quarantined, ...]:
    """Return what was pushed and could not be taken, newest first."""
    return push_store.quarantined(connection, limit=limit)


def push_kinds(connection: Connection) -> Mapping[str, KindCount]:
    """Return what became of the pushes that are no alerts, by kind."""
    return push_kinds_store.counts(connection)


def modems(connection: Connection, *, limit: int = DEFAULT_LIMIT) -> tuple[Modem, ...]:
    """Return the modems that have registered themselves and what is learnt of each, heard last first."""
    return modem_store.modems(connection, limit=limit)


def meter_facts(connection: Connection, *, meters: Sequence[str]) -> tuple[MeterFact, ...]:
    """Return what is known of some meters (firmware, SIM and the like), by serial number, oldest first."""
    return meter_fact_store.facts_of(connection, meters=meters)


def every_meter_fact(connection: Connection) -> Iterator[MeterFact]:
    """Yield what is known of every meter, by serial number, oldest first."""
    return meter_fact_store.every_fact(connection)


def relay_readings(
    connection: Connection, *, meters: Sequence[str]
) -> Mapping[str, tuple[RelayReading, datetime]]:
    """Return what was last read of the relays of several meters, and when; a relay never read is left out."""
    return control_store.readings(connection, meters=meters)


def gate_log(
    connection: Connection,
    *,
    after: int = 0,
    order_ids: Sequence[str] | None = None,
    limit: int = DEFAULT_LIMIT,
) -> tuple[GateEntry, ...]:
    """Return what the gate decided after a number, all of it or about some orders, oldest first."""
    return gate_store.entries(connection, after=after, order_ids=order_ids, limit=limit)


def keys_that_stay_shut(connection: Connection, *, key_encryption_key: bytes) -> tuple[str, ...]:
    """Return the meters whose stored keys do not open with a key, by serial number."""
    shut = []
    for row in keys_store.every_sealed_key(connection):
        try:
            row.unseal(key_encryption_key=key_encryption_key)
        except SealedKeys:
            shut.append(row.serial)
    return tuple(shut)


def meters_with_keys(connection: Connection) -> frozenset[str]:
    """Return the serials of the meters whose keys are stored."""
    return keys_store.meters_with_keys(connection)


def clock_drifts(connection: Connection, *, beyond_s: int) -> Mapping[str, int]:
    """Return how far the clocks are ahead [s] that were off by more than `beyond_s` [s] when last read."""
    drifts = {known.meter: known.drift_s for known in session_store.schedules(connection).values()}
    return {
        meter: drift_s for meter, drift_s in drifts.items() if drift_s is not None and abs(drift_s) > beyond_s
    }


def supply(
    connection: Connection, *, now: datetime, transformer: str | None = None
) -> tuple[TransformerSupply, ...]:
    """Return how the supply of each transformer (or of one) stands, judged from last gasps and silence, by code."""
    schedules = session_store.schedules(connection)
    failed = _last_at(connection, codes=SUPPLY_FAILED, now=now)
    back = _last_at(connection, codes=SUPPLY_BACK, now=now)
    communicating = {device.serial for device in registry.end_devices(connection) if device.communicates}
    signs: list[MeterSigns] = []
    for place in registry.installations(
        connection, period=Period(start=now, end=now), transformer=transformer
    ):
        if place.transformer is None:
            continue
        known = schedules.get(place.meter)
        signs.append(
            MeterSigns(
                transformer=place.transformer,
                communicates=place.meter in communicating,
                is_silent=known is not None and known.last_code != SESSION_OK,
                last_contact=None if known is None else known.last_ok_at,
                failed_at=failed.get(place.meter),
                back_at=back.get(place.meter),
            )
        )
    return judge_supply(signs)


def _last_at(connection: Connection, *, codes: Sequence[int], now: datetime) -> Mapping[str, datetime]:
    found: dict[str, datetime] = {}
    for meter, _, at in readings.last_events(connection, codes=codes, since=now - GASP_BELIEVED):
        found[meter] = max(at, found.get(meter, at))
    return found
