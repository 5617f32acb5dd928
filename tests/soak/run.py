"""
Runs the soak: `python -m tests.soak.run --meters 10000 --days 4 --seed 1`.

Meters in a process of their own, behind gateways with 150 ms of delay; 30 % of them silent for days, 5 % faulty by
the seed. The head-end asks for what is due while the days pass; all that it stored and says of its service is
compared with the meters' own truth and with what the seed did.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.soak.judge import judge
from tests.soak.world import a_world

WRONG_SHOWN = 20
#: File descriptors of this process beside one for each meter's port, which is tried before the meters take it.
SPARE_FILES = 4_096


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--meters", type=int, default=300)
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def peak_mib() -> int:
    """Our own peak: what `getrusage` tells begins with that of the process that started us."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def soak(folder: Path, *, meters: int, days: int, seed: int) -> dict[str, Any]:
    """Let the days pass over meters and head-end, and return what was found; `wrong` must be empty."""
    allow_files(meters + SPARE_FILES)
    began, cpu_s = time.perf_counter(), time.process_time()
    with a_world(folder, meters=meters, days=days, seed=seed) as world:
        world.live()
        lived_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        memory_mib = peak_mib()
        found = judge(world)
        replayed = world.town.control.state().replayed
    # A meter that jumped ahead refuses the first message after it, and tells its counter; no other refuses any.
    jumped = {serial: 1 for serial, name in world.plan.faulty.items() if name == "counter_jump"}
    found.same("counters that a meter had seen", replayed, jumped)
    return {
        "meters": meters,
        "days": days,
        "seed": seed,
        "silent": len(world.plan.silent),
        "faulty": len(world.plan.faulty),
        "dead": len(world.plan.dead),
        "sessions": world.report.sessions,
        "sessions_failed": world.report.failed,
        "rows_compared": found.intervals + found.registers + found.events,
        "intervals": found.intervals,
        "registers": found.registers,
        "events": found.events,
        "equal": not found.wrong,
        "silent_named": found.silent_named,
        "sla_compared": found.levels,
        "sla": found.sla,
        "payable_paise": found.payable_paise,
        "seconds": round(time.perf_counter() - began, 1),
        "seconds_asking": round(sum(took_s for *_, took_s in world.log), 1),
        "seconds_living": round(lived_s, 1),
        "client_cpu_s": round(cpu_s, 1),
        "client_memory_mib": memory_mib,
        "wrong": found.wrong[:WRONG_SHOWN],
    }


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        report = soak(Path(folder), meters=options.meters, days=options.days, seed=options.seed)
    sys.stdout.write(json.dumps(report) + "\n")
    return 0 if report["equal"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
