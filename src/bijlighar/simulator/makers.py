"""The meters of a town: serial numbers, titles, keys, kinds and what their registers show on the first day."""

import hashlib
from collections.abc import Sequence
from datetime import date

import numpy as np

from bijlighar.base.period import local_midnight
from bijlighar.simulator.model import Consumer, Device, Kind, TransformerPlan
from bijlighar.simulator.settlement import Place

MAKER = b"BJG"
MAKER_NAME = "BIJLIGHAR SIM"
FIRMWARE = "1.0.3"
#: Of meters with the fault `other_firmware`.
OTHER_FIRMWARE = "2.0.0"

_SERIES = {
    Kind.SINGLE_PHASE: "SP",
    Kind.THREE_PHASE: "TP",
    Kind.LT_CT: "CT",
    Kind.TRANSFORMER: "DT",
    Kind.FEEDER: "FD",
}
_OLD_SERIES = "OM"
#: What makes of meters write into the deviation of their times; all of them mean IST.
_DEVIATIONS = (-330, -330, 330, -330, 330, -0x8000)
_RATED_AMP = {
    Kind.SINGLE_PHASE: 30,
    Kind.THREE_PHASE: 60,
    Kind.LT_CT: 100,
    Kind.TRANSFORMER: 200,
    Kind.FEEDER: 400,
}
_FIRST_REGISTER_WH = {
    Kind.SINGLE_PHASE: 9_000_000,
    Kind.THREE_PHASE: 30_000_000,
    Kind.LT_CT: 120_000_000,
    Kind.TRANSFORMER: 250_000_000,
    Kind.FEEDER: 900_000_000,
}


def serial_number(kind: Kind, *, seed: int, number: int, smart: bool = True) -> str:
    """
    Return the serial number of the meter with a number.

    >>> serial_number(Kind.SINGLE_PHASE, seed=7, number=12)
    'SP007000012'
    """
    return f"{_SERIES[kind] if smart else _OLD_SERIES}{seed % 1000:03d}{number:06d}"


def make_devices(
    generator: np.random.Generator,
    *,
    seed: int,
    first_day: date,
    consumers: Sequence[Consumer],
    settled: Sequence[Place],
    exchanged: Sequence[int],
    above: Sequence[TransformerPlan],
) -> tuple[Device, ...]:
    """
    Return the meters: those of the consumers in order, those still in store, those of transformers and feeders.

    `exchanged` are the consumers whose old meter will be replaced, `above` the transformers that are metered.
    """
    stamp = _Stamp(generator=generator, seed=seed, first_day=first_day, mixed=bool(above))
    for consumer, place in zip(consumers, settled, strict=True):
        stamp.make(kind=place.kind, smart=place.smart, consumer=consumer, transformer=consumer.transformer)
    for index in exchanged:
        consumer = consumers[index]
        stamp.make(
            kind=Kind.SINGLE_PHASE,
            smart=True,
            consumer=consumer,
            transformer=consumer.transformer,
            in_store=True,
        )
    for transformer in above:
        stamp.make(kind=Kind.TRANSFORMER, smart=True, transformer=transformer.code, feeder=transformer.feeder)
    for feeder in dict.fromkeys(transformer.feeder for transformer in above):
        stamp.make(kind=Kind.FEEDER, smart=True, feeder=feeder)
    return tuple(stamp.devices)


class _Stamp:
    """Stamps meters with the next serial number."""

    def __init__(self, *, generator: np.random.Generator, seed: int, first_day: date, mixed: bool) -> None:
        self.devices: list[Device] = []
        self._generator = generator
        self._seed = seed
        self._first_day = first_day
        self._listening = 0
        self._deviations = _DEVIATIONS if mixed else _DEVIATIONS[:1]

    def make(
        self,
        *,
        kind: Kind,
        smart: bool,
        consumer: Consumer | None = None,
        transformer: str = "",
        feeder: str = "",
        in_store: bool = False,
    ) -> None:
        """Add a meter."""
        index = len(self.devices)
        serial = serial_number(kind, seed=self._seed, number=index + 1, smart=smart)
        made_in = self._first_day.year - (0 if in_store else int(self._generator.integers(1, 5)))
        used = 0.0 if in_store else float(0.1 + 0.9 * self._generator.random())
        usage_point = consumer.usage_point if consumer is not None else f"UP-{transformer or feeder}"
        self.devices.append(
            Device(
                index=index,
                serial=serial,
                kind=kind,
                usage_point=usage_point,
                consumer=None if consumer is None else consumer.index,
                transformer=transformer,
                feeder=feeder if consumer is None else consumer.feeder,
                smart=smart,
                listens=self._listening if smart else None,
                system_title=MAKER + bytes([self._seed % 256]) + (index + 1).to_bytes(4, "big"),
                encryption_key=self._secret(serial, "ek"),
                authentication_key=self._secret(serial, "ak"),
                reader_secret=self._secret(serial, "lls").hex()[:8].upper().encode(),
                setting_key=self._secret(serial, "hls").hex()[:16].upper().encode(),
                initial_wh=int(used * _FIRST_REGISTER_WH[kind]),
                made_in=made_in,
                rated_amp=_RATED_AMP[kind],
                deviation_minutes=self._deviations[index % len(self._deviations)],
                hung_from=None if in_store else local_midnight(self._first_day),
                in_store=in_store,
            )
        )
        self._listening += smart

    def _secret(self, serial: str, purpose: str) -> bytes:
        return hashlib.sha256(f"simulated meter {self._seed} {serial} {purpose}".encode()).digest()[:16]
