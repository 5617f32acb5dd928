"""What the peers share: read the request, take the CPU time of the fastest round, print the answer."""

import contextlib
import json
import os
import sys
from time import process_time_ns


def answer(work):
    """Print the JSON that `work` makes of the request; what the peer prints meanwhile goes nowhere."""
    request = json.load(sys.stdin)
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            made = work(request)
    except ImportError as problem:
        made = {"absent": str(problem)}
    json.dump(made, sys.stdout)


def least_us(work, *, rounds, per):
    """Return the CPU time of the fastest round of `work` [us], divided by `per`."""
    times = []
    for _ in range(rounds):
        began = process_time_ns()
        work()
        times.append(process_time_ns() - began)
    return min(times) / per / 1000
