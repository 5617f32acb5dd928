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


def sessions(talk):
    """
    Return the work that holds each session of a request, one after the other: what it answered or why it did not.

    A session names host, port, framing, client, server, our title, the meter's entry of a keys file, where the meter
    keeps the counter of this client, and the steps: ["get", class, obis, attribute], ["rows", obis, from, to] (epoch
    seconds) and ["act", class, obis, method].
    """

    def work(request):
        outcomes = []
        for session in request["sessions"]:
            answers = []
            try:
                talk(session, answers)
                outcomes.append({"answers": answers})
            except ImportError:
                raise
            except Exception as problem:
                outcomes.append({"answers": answers, "refused": f"{type(problem).__name__}: {problem}"})
        return {"sessions": outcomes}

    return work


def public_session(session):
    """Return the session in which the public client asks for the counter that `session` is to rise above."""
    step = ["get", 1, session["counter"], 2]
    return {**session, "client": 16, "keys": None, "counter": None, "steps": [step]}


def plain(value):
    """Return what a peer made of a value as JSON can hold it: octets in hex."""
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def least_us(work, *, rounds, per):
    """Return the CPU time of the fastest round of `work` [us], divided by `per`."""
    times = []
    for _ in range(rounds):
        began = process_time_ns()
        work()
        times.append(process_time_ns() - began)
    return min(times) / per / 1000
