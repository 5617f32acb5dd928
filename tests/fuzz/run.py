"""
Runs the fuzzer: `python -m tests.fuzz.run --inputs 5000000 --seed 1`.

Inputs that reach a block that none before reached are kept and changed further. The first input that raises anything
but a `RemoteProtocolError`, breaks a promise of a target, or takes more than `SECONDS_MAX` of the processor ends it.
"""

import argparse
import json
import random
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from tests.fuzz import guide
from tests.fuzz.mutation import mutate

SECONDS_MAX = 2.0
CORPUS_MAX = 20_000
#: How often a run tells how far it is.
PROGRESS_INPUTS = 250_000


class Hang(BaseException):
    """A target does not come back."""


def _hang(_signal: int, _frame: FrameType | None) -> None:
    raise Hang


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--planted", action="store_true", help="attack a parser that has a fault, to see it found"
    )
    return parser.parse_args(arguments)


def _peak_mib() -> int:
    """Our own peak: what `getrusage` tells begins with that of the process that started us."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    guide.install()
    from bijlighar.dlms.errors import RemoteProtocolError
    from tests.fuzz.seeds import seeds
    from tests.fuzz.targets import COSTLY, PLANTED, TARGETS

    randomness = random.Random(options.seed)
    start = seeds()
    chosen = PLANTED if options.planted else TARGETS
    corpora = {name: list(start) for name in chosen}
    turns = [(name, target) for name, target in chosen.items() if name not in COSTLY] * 4
    turns += [(name, target) for name, target in chosen.items() if name in COSTLY]
    tried, refused, kept, reached = 0, 0, 0, 0
    slowest_s = 0.0
    signal.signal(signal.SIGVTALRM, _hang)
    began = time.perf_counter()
    failure: dict[str, str] | None = None
    waiting = [(name, data) for data in start for name in chosen]
    while tried < options.inputs and time.perf_counter() - began < options.seconds and failure is None:
        if waiting:
            name, data = waiting.pop()
            target = chosen[name]
        else:
            name, target = turns[tried % len(turns)]
            corpus = corpora[name]
            # Half of the time from what was found last: that is where new ground is.
            index = max(randomness.randrange(len(corpus)), randomness.randrange(len(corpus)))
            data = mutate(corpus[index], randomness.choice(corpus), randomness)
        before = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS_MAX)
        try:
            target(data)
        except RemoteProtocolError:
            refused += 1
        except (Exception, Hang) as error:
            failure = {"target": name, "input": data.hex(), "error": f"{type(error).__name__}: {error}"}
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        slowest_s = max(slowest_s, time.process_time() - before)
        tried += 1
        if tried % PROGRESS_INPUTS == 0:
            sys.stderr.write(f"{tried} inputs, {reached} blocks, {time.perf_counter() - began:.0f} s\n")
        now_reached = guide.MAP.count(1)
        if now_reached > reached:
            reached = now_reached
            if len(corpora[name]) < CORPUS_MAX:
                corpora[name].append(data)
                kept += 1
    report = {
        "inputs": tried,
        "refused": refused,
        "kept": kept,
        "blocks": guide.blocks(),
        "blocks_reached": reached,
        "seconds": round(time.perf_counter() - began, 1),
        "slowest_s": round(slowest_s, 3),
        "memory_mib": _peak_mib(),
        "seed": options.seed,
        "failure": failure,
    }
    sys.stdout.write(json.dumps(report) + "\n")
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
