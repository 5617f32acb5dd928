"""The COSEM objects of a meter: what a client may read of them and what it may do."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bijlighar.base.period import epoch_seconds, moment_of
from bijlighar.dlms import axdr, clock, cosem, is15959, upkeep
from bijlighar.dlms.cosem import ActionOutcome, Attribute, ByEntry, ByRange, DataAccess, Selection
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.dlms.event import ActionRequest, ActionResult, GetRequest, GetResult, SetRequest, SetResult
from bijlighar.dlms.is15959 import Column
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.settings import INDIAN
from bijlighar.dlms.shape import Kind as CellKind
from bijlighar.dlms.shape import RowEncoder
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.makers import FIRMWARE, MAKER, MAKER_NAME, OTHER_FIRMWARE
from bijlighar.simulator.meter_model import MeterModel, ProfileModel, model_of, raw_values
from bijlighar.simulator.meter_settings import check
from bijlighar.simulator.model import Device, Kind
from bijlighar.simulator.rows import (
    BILLING_ENTRIES,
    BLOCK_ENTRIES,
    DAILY_ENTRIES,
    EVENT_ENTRIES,
    Rows,
    Table,
)
from bijlighar.simulator.state import CONTROL_MODE, FAMILIES
from bijlighar.simulator.upkeep import Upkeep
from bijlighar.simulator.wiring import DAY_S

DATA, REGISTER, EXTENDED_REGISTER, PROFILE, CLOCK_CLASS, RELAY_CLASS, LIMITER_CLASS = 1, 3, 4, 7, 8, 70, 71
#: What a client that has proved nothing may read.
_OPEN = frozenset({is15959.LOGICAL_DEVICE_NAME, is15959.CLOCK})
_FIRST_IN_FIRST_OUT = 1
_FOREVER = 1 << 40
_LATEST_EVENT = tuple(Obis.parse(f"0.0.96.11.{family}.255") for family in range(FAMILIES))
_EVENT_NUMBER = tuple(Obis.parse(f"0.0.96.15.{family}.255") for family in range(FAMILIES))
_COUNTERS = {plan.counter: plan.client for plan in is15959.ASSOCIATIONS.values()}
_ENTRIES = {
    "instantaneous": 1,
    "nameplate": 1,
    "block-load": BLOCK_ENTRIES,
    "daily": DAILY_ENTRIES,
    "billing": BILLING_ENTRIES,
}
_PERIODS_S = {"daily": DAY_S}
_METER_TYPES = {
    Kind.SINGLE_PHASE: (6, "D1"),
    Kind.THREE_PHASE: (7, "D2"),
    Kind.LT_CT: (8, "D3"),
    Kind.TRANSFORMER: (8, "D3"),
    Kind.FEEDER: (9, "D4"),
}


def encoder_of(columns: Sequence[Column]) -> RowEncoder:
    """Return the encoder of some columns that hold no text."""
    return RowEncoder(kinds=[column.kind for column in columns if column.kind is not None])


def _chosen(profile: ProfileModel, selection: Selection | None) -> tuple[list[Column], slice]:
    """Return the columns and the rows that a selection chooses."""
    columns = list(profile.columns)
    if selection is None:
        return columns, slice(None)
    if isinstance(selection, ByEntry):
        first, last = max(selection.first_column, 1) - 1, selection.last_column or None
        return columns[first:last], slice(max(selection.first, 1) - 1, selection.last or None)
    if not isinstance(selection, ByRange):
        raise _Refusal(DataAccess.SCOPE_OF_ACCESS_VIOLATED)
    if not selection.columns:
        return columns, slice(None)
    by_capture = {column.capture: column for column in columns}
    if any(capture not in by_capture for capture in selection.columns):
        raise _Refusal(DataAccess.OBJECT_UNAVAILABLE)
    return [by_capture[capture] for capture in selection.columns], slice(None)


def _second(octets: bytes, *, default: int) -> int:
    """Return a bound of a range in epoch seconds; `default` where it is not defined."""
    try:
        moment = clock.decode(octets)
    except RemoteProtocolError:
        raise _Refusal(DataAccess.TYPE_UNMATCHED) from None
    return default if moment is None else epoch_seconds(moment)


def _block_objects(model: MeterModel) -> frozenset[Obis]:
    block = model.profiles[is15959.BLOCK_LOAD.obis]
    return frozenset(column.capture.obis for column in block.columns if column.name != "time")


def _scaler_unit(column: Column | None) -> bytes | None:
    if column is None or column.scaler is None or column.unit is None:
        return None
    return axdr.structure(axdr.integer(column.scaler), axdr.enum(column.unit))


def _last_row(table: Table) -> Table:
    return Table(
        stamps=table.stamps[-1:], columns={name: values[-1:] for name, values in table.columns.items()}
    )


class _Refusal(Exception):
    """A request is answered with a data-access-result."""

    def __init__(self, result: DataAccess) -> None:
        super().__init__(result)
        self.result = result


class MeterObjects:
    """Answers for the objects of all meters of a town."""

    def __init__(self, live: LiveTown) -> None:
        """Answer from `live`."""
        self._live = live
        self._rows = Rows(live)
        self.upkeep = Upkeep(live)

    def get(self, device_index: int, client: int, request: GetRequest) -> GetResult:
        """Return the answer of a meter to a GET of a client."""
        device = self._live.town.devices[device_index]
        try:
            return GetResult(data=self._read(device, client, request.attribute, request.selection))
        except _Refusal as refusal:
            return GetResult(error=refusal.result)

    def act(self, device_index: int, client: int, request: ActionRequest) -> ActionResult:
        """Return the answer of a meter to an ACTION of a client; a relay has moved before it is given."""
        method = request.method
        if client != is15959.UTILITY:
            return ActionResult(result=ActionOutcome.READ_WRITE_DENIED)
        if method.class_id in (upkeep.SECURITY_SETUP, upkeep.IMAGE_TRANSFER, upkeep.ASSOCIATION):
            device = self._live.town.devices[device_index]
            return ActionResult(result=self.upkeep.act(device, method, request.parameters))
        if method == INDIAN.activate:
            self._live.activate_calendar(device_index)
            return ActionResult(result=ActionOutcome.SUCCESS)
        if not self._live.wiring.has_relay[device_index] or method not in (
            is15959.DISCONNECT,
            is15959.RECONNECT,
        ):
            return ActionResult(result=ActionOutcome.OBJECT_UNDEFINED)
        self._live.operate_relay(device_index, closes=method == is15959.RECONNECT, client=client)
        return ActionResult(result=ActionOutcome.SUCCESS)

    def set(self, device_index: int, client: int, request: SetRequest) -> SetResult:
        """Return the answer of a meter to a SET of a client: its clock, settings and a password may be set."""
        if client != is15959.UTILITY:
            return SetResult(result=DataAccess.READ_WRITE_DENIED)
        if request.attribute.class_id == upkeep.ASSOCIATION:
            device = self._live.town.devices[device_index]
            return SetResult(result=self.upkeep.write_secret(device, request.attribute, request.data))
        if request.attribute != is15959.CLOCK_TIME:
            return SetResult(result=self._write_setting(device_index, request))
        try:
            value = axdr.decode(request.data)
            moment = clock.decode(value) if isinstance(value, bytes) else None
        except RemoteProtocolError:
            moment = None
        if moment is None:
            return SetResult(result=DataAccess.TYPE_UNMATCHED)
        self._live.set_clock(device_index, to_s=epoch_seconds(moment))
        return SetResult()

    def _write_setting(self, device_index: int, request: SetRequest) -> DataAccess:
        attribute = request.attribute
        if attribute.class_id == LIMITER_CLASS and not self._live.wiring.has_relay[device_index]:
            return DataAccess.OBJECT_UNDEFINED
        outcome = check(attribute, request.data)
        if outcome is DataAccess.SUCCESS:
            self._live.write_setting(device_index, attribute, request.data)
        return outcome

    def _setting(self, device: Device, attribute: Attribute) -> bytes | None:
        """Return a setting that stands at a meter, None if it is none or the meter has no such thing."""
        if attribute.class_id != LIMITER_CLASS:
            return self._live.settings.get(device.index, attribute)
        if not self._live.wiring.has_relay[device.index]:
            return None
        if attribute in (INDIAN.limit(3), INDIAN.limit(4)):
            return axdr.double_long_unsigned(self._rows.load_limit_w(device))
        return self._live.settings.get(device.index, attribute)

    def _read(self, device: Device, client: int, attribute: Attribute, selection: Selection | None) -> bytes:
        index, counted = attribute.index, self._live.way(device.index).standard_counter(attribute.obis)
        if counted is None:
            raise _Refusal(DataAccess.OBJECT_UNDEFINED)
        obis = counted
        if client == is15959.PUBLIC and obis not in _OPEN and obis not in _COUNTERS:
            raise _Refusal(DataAccess.READ_WRITE_DENIED)
        if attribute.class_id == PROFILE:
            return self._read_profile(device, attribute, selection)
        if selection is not None:
            raise _Refusal(DataAccess.SCOPE_OF_ACCESS_VIOLATED)
        read = self._READERS.get(attribute.class_id)
        value = self._setting(device, attribute)
        if value is None and read is not None:
            value = read(self, device, obis, index)
        if value is None:
            value = self._read_measured(device, attribute)
        if value is None:
            raise _Refusal(DataAccess.OBJECT_UNDEFINED)
        return axdr.octet_string(obis.octets) if index == 1 else value

    # ---- profiles

    def _read_profile(self, device: Device, attribute: Attribute, selection: Selection | None) -> bytes:
        model = self._model(device)
        profile = model.profiles.get(attribute.obis)
        scaler_profile = model.scaler_profiles.get(attribute.obis)
        found = profile or scaler_profile
        if found is None:
            raise _Refusal(DataAccess.OBJECT_UNDEFINED)
        index = attribute.index
        if index == 1:
            return axdr.octet_string(attribute.obis.octets)
        if index == 3:
            return found.captured if profile is not None else found.scaler_captured
        if index == 2:
            return self._buffer(device, found, selection) if profile is not None else found.scalers
        numbers: dict[int, Callable[[], bytes]] = {
            4: lambda: axdr.double_long_unsigned(self._period_s(device, found) if profile else 0),
            5: lambda: axdr.enum(_FIRST_IN_FIRST_OUT),
            6: lambda: cosem.CLOCK.encode(),
            7: lambda: axdr.double_long_unsigned(self._entries(device, found) if profile else 1),
            8: lambda: axdr.double_long_unsigned(_ENTRIES.get(found.name, EVENT_ENTRIES) if profile else 1),
        }
        if index not in numbers:
            raise _Refusal(DataAccess.OBJECT_UNDEFINED)
        return numbers[index]()

    def _period_s(self, device: Device, profile: ProfileModel) -> int:
        if profile.name == "block-load":
            return self._live.settings.period_s(device.index)
        return _PERIODS_S.get(profile.name, 0)

    def _entries(self, device: Device, profile: ProfileModel) -> int:
        if profile.name == "block-load":
            return self._rows.block_count(device)
        if profile.name == "nameplate":
            return 1
        return len(self._table(device, profile, 0, _FOREVER).stamps)

    def _buffer(self, device: Device, profile: ProfileModel, selection: Selection | None) -> bytes:
        columns, rows = _chosen(profile, selection)
        if profile.name == "nameplate":
            return axdr.array([axdr.structure(*(self._nameplate_cell(device, column) for column in columns))])
        first, last = 0, _FOREVER
        if isinstance(selection, ByRange):
            first, last = _second(selection.lower, default=0), _second(selection.upper, default=_FOREVER)
        table = self._table(device, profile, first, last)
        encoder = profile.encoder
        if encoder is None or len(columns) != len(profile.columns):
            encoder = encoder_of(columns)
        return encoder.encode([self._cells(device, column, table)[rows] for column in columns])

    def _table(self, device: Device, profile: ProfileModel, first: int, last: int) -> Table:
        rows, name = self._rows, profile.name
        if name == "block-load":
            return rows.block_load(device, first, last)
        if name == "instantaneous":
            return rows.present(device)
        if name in ("daily", "billing"):
            table = rows.daily(device) if name == "daily" else rows.billing(device)
        else:
            table = rows.events(device, is15959.FAMILY_NAMES.index(name.removeprefix("events-")))
        return table.between(first, last)

    def _cells(self, device: Device, column: Column, table: Table) -> Any:  # noqa: ANN401 - octets or numbers
        if column.name == "time":
            return self._rows.clocks(table.stamps, device.deviation_minutes)
        kept = table.columns.get(column.name)
        count = len(table.stamps)
        values = np.zeros(count, dtype=np.int64) if kept is None else np.asarray(kept, dtype=np.int64)
        if column.kind is CellKind.CLOCK:
            return self._rows.clocks(values, device.deviation_minutes)
        return raw_values(column, values)

    # ---- single objects

    def _read_data(self, device: Device, obis: Obis, index: int) -> bytes | None:
        if index == 1:
            return b""
        if index != 2:
            return None
        read = self._DATA.get(obis)
        if read is not None:
            return read(self, device, obis)
        column = self._model(device).objects.get((DATA, obis), {}).get(2)
        is_text = column is not None and (column.kind is None or column.name in ("meter_type", "year"))
        return self._nameplate_cell(device, column) if column is not None and is_text else None

    def _counter(self, device: Device, obis: Obis) -> bytes:
        client = _COUNTERS[obis]
        if client == is15959.PUSH:
            return axdr.double_long_unsigned(int(self._live.state.own_counter[device.index]) - 1)
        return axdr.double_long_unsigned(self._live.received_counter(device.index, client))

    def _latest_event(self, device: Device, obis: Obis) -> bytes:
        return axdr.long_unsigned(int(self._live.state.latest_code[_LATEST_EVENT.index(obis), device.index]))

    def _event_number(self, device: Device, obis: Obis) -> bytes:
        return axdr.double_long_unsigned(
            int(self._live.state.events[_EVENT_NUMBER.index(obis), device.index])
        )

    def _status_word(self, device: Device, _obis: Obis) -> bytes:
        live = self._live
        kept, shown = live.state.status_word[device.index].tobytes(), live.settings.event_filter(device.index)
        word = bytes(octet & mask for octet, mask in zip(kept, shown, strict=True))
        return axdr.bit_string(live.way(device.index).status_word(word))

    _DATA: Mapping[Obis, Callable[["MeterObjects", Device, Obis], bytes]] = {
        **dict.fromkeys(_COUNTERS, _counter),
        **dict.fromkeys(_LATEST_EVENT, _latest_event),
        **dict.fromkeys(_EVENT_NUMBER, _event_number),
        is15959.STATUS_WORD: _status_word,
        is15959.LOGICAL_DEVICE_NAME: lambda _, device, __: axdr.octet_string(MAKER + device.serial.encode()),
        is15959.BLOCK_PERIOD: lambda self, device, _: axdr.long_unsigned(
            self._live.settings.period_s(device.index)
        ),
    }

    def _read_clock(self, device: Device, obis: Obis, index: int) -> bytes | None:
        if obis != is15959.CLOCK:
            return None
        now = moment_of(self._live.clock_s(device.index))
        deviation = clock.Deviation(device.deviation_minutes)
        values = {
            1: b"",
            2: axdr.octet_string(clock.encode(now, deviation=deviation)),
            3: axdr.long(device.deviation_minutes),
            4: axdr.unsigned(0),
        }
        return values.get(index)

    def _read_relay(self, device: Device, obis: Obis, index: int) -> bytes | None:
        if obis != is15959.RELAY or not self._live.wiring.has_relay[device.index]:
            return None
        values = {
            1: b"",
            2: axdr.boolean(self._live.shows_closed(device.index)),
            3: axdr.enum(self._live.control_state(device.index)),
            4: axdr.enum(CONTROL_MODE),
        }
        return values.get(index)

    def _read_image(self, device: Device, obis: Obis, index: int) -> bytes | None:
        return self.upkeep.image_attribute(device, index) if obis == upkeep.IMAGE else None

    def _read_measured(self, device: Device, attribute: Attribute) -> bytes | None:
        """Return an attribute of an object that stands in some profile, from what the meter shows now."""
        model = self._model(device)
        columns = model.objects.get((attribute.class_id, attribute.obis), {})
        if attribute.index == 1:
            return b"" if columns else None
        if attribute.index == 3 and attribute.class_id in (REGISTER, EXTENDED_REGISTER):
            return _scaler_unit(columns.get(2))
        column = columns.get(attribute.index)
        if column is None or column.kind is None:
            return None
        table = self._rows.present(device)
        if column.capture.obis in _block_objects(model):
            table = _last_row(self._rows.block_load(device, self._live.now_s - DAY_S, self._live.now_s))
        if not len(table.stamps):
            return axdr.NULL
        # An array of one structure of one cell, without the heads of array and structure.
        return encoder_of([column]).encode([self._cells(device, column, table)])[4:]

    _READERS: Mapping[int, Callable[..., bytes | None]] = {
        DATA: _read_data,
        CLOCK_CLASS: _read_clock,
        RELAY_CLASS: _read_relay,
        upkeep.IMAGE_TRANSFER: _read_image,
    }

    def _model(self, device: Device) -> MeterModel:
        return model_of(device, is_other=self._live.has_fault(device.index, "other_firmware"))

    def _nameplate_cell(self, device: Device, column: Column) -> bytes:
        is_other = self._live.has_fault(device.index, "other_firmware")
        running = self.upkeep.firmware(device)
        if is_other and running == FIRMWARE:
            running = OTHER_FIRMWARE
        number, category = _METER_TYPES[device.kind]
        cells = {
            "serial": axdr.octet_string(device.serial.encode()),
            "device_id": axdr.octet_string(device.serial.encode()),
            "maker": axdr.octet_string(MAKER_NAME.encode()),
            "firmware": axdr.octet_string(running.encode()),
            "meter_type": axdr.unsigned(number),
            "category": axdr.octet_string(category.encode()),
            "current_rating": axdr.octet_string(f"5-{device.rated_amp}A".encode()),
            "year": axdr.long_unsigned(device.made_in),
        }
        return cells[column.name]
