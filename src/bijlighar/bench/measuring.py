"""How time is taken: CPU time of this process, in rounds that each get fresh material."""

from collections.abc import Callable
from time import perf_counter_ns, process_time_ns
from typing import TypeVar

from bijlighar.base.errors import BijligharError

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000
#: The names of the two clocks.
CPU, ELAPSED = "cpu", "elapsed"

Material = TypeVar("Material")
#: What a benchmark says while it runs: what it does, and which share of the whole is behind it (0 to 1).
Say = Callable[[str, float], None]


class WrongResult(BijligharError):
    """What was measured gave a wrong result, so its speed means nothing."""

    code = "bench.wrong-result"


class Stopwatch:
    """Counts CPU time of this process, all threads, and elapsed time [ns] over its `with` blocks."""

    def __init__(self) -> None:
        """Start at zero."""
        self.cpu_ns = 0
        self.elapsed_ns = 0
        self._began = (0, 0)

    def __enter__(self) -> "Stopwatch":
        """Go on counting."""
        self._began = (perf_counter_ns(), process_time_ns())
        return self

    def __exit__(self, *_: object) -> None:
        """Stop counting."""
        cpu, elapsed = process_time_ns(), perf_counter_ns()
        self.elapsed_ns += elapsed - self._began[0]
        self.cpu_ns += cpu - self._began[1]

    def of(self, clock: str) -> int:
        """Return what a clock, CPU or ELAPSED, has counted [ns]."""
        return self.cpu_ns if clock == CPU else self.elapsed_ns


def least_cpu_ns(prepare: Callable[[], Material], work: Callable[[Material], object], *, rounds: int) -> int:
    """
    Return the CPU time [ns] of the fastest of `rounds` rounds of `work`.

    What `prepare` makes for a round is not counted. The fastest round is the one that neighbours on the machine
    disturbed least; peers and limits are measured in the same way.
    """
    least: int | None = None
    for _ in range(rounds):
        material = prepare()
        with Stopwatch() as watch:
            work(material)
        least = watch.cpu_ns if least is None else min(least, watch.cpu_ns)
    return least or 0
