"""
A synthetic but physical LT grid for tests: real homes' shapes, an asymmetrical power flow, meters with their errors.

Everything wrong in it was put there: no figure got from it was observed in a real grid.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pytest

SHAPES = Path(__file__).parents[2] / ".." / "shared" / "data" / "intervals" / "edrp_622_halfhourly.parquet"
STEPS = 48
VOLT = 230.0
POWER_FACTOR = 0.95


@cache
def homes() -> np.ndarray:
    """Return the half-hourly energy [Wh] of real homes (homes, days x 48)."""
    if not SHAPES.is_file():
        pytest.skip(f"the shapes of real homes are not there: {SHAPES}")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(SHAPES)
    place = table["meter_id"].combine_chunks().indices.to_numpy()
    energy = table["kwh"].to_numpy() * 1000.0
    order = np.lexsort((np.array(table["ts"].to_numpy()), place))
    return energy[order].reshape(len(np.unique(place)), -1)


@dataclass
class Town:
    """One transformer: what was true, and what its meters say."""

    true_wh: np.ndarray
    metered_wh: np.ndarray
    hooked_wh: np.ndarray
    volt: np.ndarray
    phase: np.ndarray
    pole: np.ndarray
    head_volt: np.ndarray
    input_wh: np.ndarray
    line_wh: np.ndarray
    thieves: dict[int, str] = field(default_factory=dict)

    @property
    def stolen_wh(self) -> float:
        return float(self.true_wh.sum() + self.hooked_wh.sum() - self.exact_wh.sum())

    exact_wh: np.ndarray = field(default_factory=lambda: np.zeros(0))


def flow(
    consumed: np.ndarray, pole: np.ndarray, phase: np.ndarray, *, head: np.ndarray, metres: float, poles: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Return input [Wh], the phase voltages of the poles (poles + 1, steps, 3) and the loss of the line [Wh].

    `consumed` is (consumers, steps) [Wh per half-hour] at the poles; `head` the voltage at the transformer [V].
    """
    grid = pytest.importorskip("power_grid_model")
    steps = consumed.shape[1]
    power = np.zeros((steps, poles, 3))
    for row, energy in enumerate(consumed):
        power[:, pole[row], phase[row]] += energy * 2.0
    node = grid.initialize_array("input", "node", poles + 1)
    node["id"], node["u_rated"] = np.arange(poles + 1), 400.0
    line = grid.initialize_array("input", "line", poles)
    line["id"], line["from_node"], line["to_node"] = (
        100 + np.arange(poles),
        np.arange(poles),
        np.arange(1, poles + 1),
    )
    line["from_status"] = line["to_status"] = 1
    # aerial bundled cable 3 x 70 + 54.6 mm2: 0.44 ohm/km a phase, the neutral comes back in the zero sequence
    line["r1"], line["x1"], line["r0"], line["x0"] = (
        0.000443 * metres,
        0.00008 * metres,
        0.0023 * metres,
        0.0003 * metres,
    )
    line["c1"] = line["c0"] = 1e-12
    line["tan1"] = line["tan0"] = 0.0
    line["i_n"] = 1e3
    load = grid.initialize_array("input", "asym_load", poles)
    load["id"], load["node"], load["status"], load["type"] = (
        300 + np.arange(poles),
        np.arange(1, poles + 1),
        1,
        0,
    )
    load["p_specified"] = load["q_specified"] = 0.0
    source = grid.initialize_array("input", "source", 1)
    source["id"], source["node"], source["status"], source["u_ref"] = 500, 0, 1, 1.0
    source["sk"] = 1e12
    update_load = grid.initialize_array("update", "asym_load", (steps, poles))
    update_load["id"] = load["id"]
    update_load["p_specified"] = power
    update_load["q_specified"] = power * np.tan(np.arccos(POWER_FACTOR))
    update_source = grid.initialize_array("update", "source", (steps, 1))
    update_source["id"], update_source["u_ref"] = 500, (head / VOLT)[:, None] * VOLT * np.sqrt(3) / 400.0
    model = grid.PowerGridModel({"node": node, "line": line, "asym_load": load, "source": source})
    out = model.calculate_power_flow(
        symmetric=False,
        update_data={"asym_load": update_load, "source": update_source},
        output_component_types={"node": ["u"], "source": ["p"]},
        threading=1,
        error_tolerance=1e-6,
        max_iterations=50,
    )
    given = out["source"]["p"][:, 0, :].sum(axis=1) / 2.0
    volts = np.moveaxis(out["node"]["u"], 1, 0)
    return given, volts, given - consumed.sum(axis=0)


def town(
    rng: np.random.Generator,
    *,
    consumers: int = 40,
    days: int = 14,
    scale: float = 1.0,
    metres: float = 35.0,
    poles: int = 10,
    rows: np.ndarray | None = None,
    feeder_volt: np.ndarray | None = None,
) -> "Plan":
    """Return a plan of a town; `scale` is what the homes' energy is multiplied by."""
    shapes = homes()
    chosen = rng.choice(len(shapes), consumers, replace=False) if rows is None else rows
    begin = int(rng.integers(0, shapes.shape[1] // STEPS - days)) * STEPS if rows is None else 0
    true = shapes[chosen, begin : begin + days * STEPS] * scale
    steps = days * STEPS
    if feeder_volt is None:
        feeder_volt = walk(rng, steps)
    return Plan(
        rng=rng,
        true_wh=np.asarray(true, dtype=float),
        pole=np.sort(rng.integers(0, poles, consumers)),
        phase=rng.permutation(np.arange(consumers) % 3),
        feeder_volt=feeder_volt,
        metres=metres,
        poles=poles,
        hooked_wh=np.zeros((consumers, steps)),
        recorded=np.ones((consumers, steps)),
    )


def walk(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Return the voltage of a feeder [V] as it wanders."""
    wander = np.cumsum(rng.normal(0, 0.8, steps))
    for step in range(1, steps):
        wander[step] = 0.95 * wander[step - 1] + rng.normal(0, 1.0)
    return VOLT * 1.02 + wander


@dataclass
class Plan:
    """What is about to be built; change it, then `build`."""

    rng: np.random.Generator
    true_wh: np.ndarray
    pole: np.ndarray
    phase: np.ndarray
    feeder_volt: np.ndarray
    metres: float
    poles: int
    hooked_wh: np.ndarray
    recorded: np.ndarray
    thieves: dict[int, str] = field(default_factory=dict)
    away: np.ndarray | None = None

    def build(self, *, meter_class: float = 0.01, input_class: float = 0.005) -> Town:
        """Solve the grid and let its meters count, each with an error of its own within its class."""
        rng = self.rng
        present = np.ones(len(self.true_wh)) if self.away is None else self.away
        drawn = (self.true_wh + self.hooked_wh) * (present if np.ndim(present) == 2 else present[:, None])
        service_ohm = rng.uniform(0.03, 0.15, len(drawn))
        ampere = drawn * 2.0 / (VOLT * POWER_FACTOR)
        service_wh = service_ohm[:, None] * ampere**2 / 2.0
        # the transformer itself drops a little with its own load
        head = self.feeder_volt - 4.0 * drawn.sum(axis=0) / max(drawn.sum(axis=0).max(), 1.0)
        given, volts, line = flow(
            drawn + service_wh, self.pole, self.phase, head=head, metres=self.metres, poles=self.poles
        )
        at_pole = volts[self.pole + 1, :, self.phase]
        volt = at_pole - service_ohm[:, None] * ampere
        gain = rng.uniform(1 - meter_class, 1 + meter_class, (len(drawn), 1))
        exact = self.true_wh * self.recorded
        skew = rng.uniform(-60, 60, (len(drawn), 1)) / 1800.0
        shifted = exact + np.abs(skew) * (
            np.where(skew > 0, np.roll(exact, 1, 1), np.roll(exact, -1, 1)) - exact
        )
        volt_gain = rng.uniform(0.995, 1.005, (len(drawn), 1))
        return Town(
            true_wh=self.true_wh,
            metered_wh=np.rint(shifted * gain),
            hooked_wh=self.hooked_wh,
            volt=np.round(volt * volt_gain + rng.normal(0, 0.15, volt.shape), 1),
            phase=self.phase,
            pole=self.pole,
            head_volt=np.round(volts[0].mean(axis=1) * rng.uniform(0.995, 1.005), 1),
            input_wh=np.rint(given * rng.uniform(1 - input_class, 1 + input_class)),
            line_wh=line + service_wh.sum(axis=0),
            thieves=self.thieves,
            exact_wh=exact,
        )

    def steal(self, row: int, kind: str) -> None:
        """Let a consumer steal in one of six ways."""
        rng, steps = self.rng, self.true_wh.shape[1]
        step = np.arange(steps)
        hour, day, days = step % STEPS / 2, step // STEPS, steps // STEPS
        self.thieves[row] = kind
        if kind == "bypass":  # part of the current goes round the meter, always
            self.recorded[row] = rng.uniform(0.3, 0.6)
        elif kind == "bypass since":  # from a day on
            self.recorded[row, day >= rng.integers(days // 4, 3 * days // 4)] = rng.uniform(0.3, 0.6)
        elif kind == "evening":  # the meter is bypassed each evening
            self.recorded[row, (hour >= 18) & (hour < 23)] = 0.02
        elif kind == "magnet":  # stopped for some days
            begin = int(rng.integers(2, days // 2))
            self.recorded[row, (day >= begin) & (day < begin + max(days // 4, 3))] = 0.0
        elif kind == "hook":  # a load before the meter, in the nights
            night = (hour >= 20) | (hour < 6)
            self.hooked_wh[row] = np.where(night, rng.uniform(300, 600), 0.0) * (rng.random(steps) < 0.8)
        elif kind == "phase":  # one phase of three is not counted
            self.recorded[row] = 2 / 3
        else:
            raise ValueError(kind)


KINDS = ("bypass", "bypass since", "evening", "magnet", "hook", "phase")
