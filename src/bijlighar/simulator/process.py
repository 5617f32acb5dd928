"""The process of the meters: it listens, pushes, follows its clock, and ends when it is told to."""

import asyncio
import contextlib
import resource
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import numpy as np

from bijlighar.base.clock import Clock
from bijlighar.base.period import epoch_seconds
from bijlighar.dlms.session import Framing
from bijlighar.simulator.control import Control, loopback_address
from bijlighar.simulator.errors import PortTaken, UnknownFault
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.modems import Modem, modems_of
from bijlighar.simulator.pushing import Pusher
from bijlighar.simulator.server import Meters
from bijlighar.simulator.silence import SilencePlan
from bijlighar.simulator.state import FAULTS
from bijlighar.simulator.wire import LONGEST_LINE

FLUSH_EVERY_S = 0.5
TICK_EVERY_S = 1.0
_STREAM_FAULTS = 14
#: File descriptors beside those of the ports and of one connection to each.
_SPARE_FILES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CallIn:
    """Where modems call (HOST:PORT), and how many meters stand behind each."""

    target: str
    per_modem: int = 1

    @property
    def place(self) -> tuple[str, int]:
        """Return host and port."""
        host, _, port = self.target.rpartition(":")
        return host or "127.0.0.1", int(port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """
    How the meters of a town are served.

    `control` and `push` are HOST:PORT or None; `clock` moves the town's time where nothing else does; `per_gateway`
    meters stand behind one gateway. With `call_in` no port is opened: the modems call.
    """

    host: str
    port: int
    control: str | None = None
    push: str | None = None
    framing: Framing = Framing.WRAPPER
    clock: Clock | None = None
    per_gateway: int | None = None
    call_in: CallIn | None = None


def run(live: LiveTown, *, service: Service, announce: Callable[[str], None]) -> None:
    """
    Serve the meters until SIGTERM or SIGINT; `announce` gets one line when all of them listen.

    :raises PortTaken: if a port is in use.
    """
    _allow_files(2 * len(live.town.devices) + _SPARE_FILES)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(live, service=service, announce=announce))


async def _serve(live: LiveTown, *, service: Service, announce: Callable[[str], None]) -> None:
    quiet = SilencePlan(live)
    meters = Meters(live, framing=service.framing, quiet=quiet, per_gateway=service.per_gateway)
    pusher = Pusher(live, target=service.push)
    control = Control(live, after=pusher.wake, quiet=quiet, meters=meters)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    modems, greeting = await _go_on_air(meters, service)
    if service.clock is not None:
        # Whoever connects already waits until the past is there; a port that is taken is known before that work.
        live.advance(max(live.now_s, epoch_seconds(service.clock.now())))
    door = None if service.control is None else await _open_control(control, service.control)
    works: list[Coroutine[Any, Any, None]] = [_flush(live), meters.hang_up_idle()]
    works.append(pusher.run())
    if service.clock is not None:
        works.append(_follow(live, service.clock, control))
    works += [modem.run() for modem in modems]
    tasks = [asyncio.create_task(work) for work in works]
    announce(greeting)
    ended = asyncio.create_task(stop.wait())
    await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
    meters.close()
    if door is not None:
        door.close()
    for task in (*tasks, ended):
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    live.flush()
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _go_on_air(meters: Meters, service: Service) -> tuple[tuple[Modem, ...], str]:
    """Open the meters' ports, or return the modems that call in their place; and the line that is announced."""
    call_in = service.call_in
    if call_in is None:
        listening = await meters.listen(host=service.host, port=service.port)
        return (), f"{listening} meters listen on {service.host}:{service.port}"
    modems = modems_of(meters, per_modem=call_in.per_modem, target=call_in.place)
    return modems, f"{len(modems)} modems call {call_in.target}"


async def _open_control(control: Control, address: str) -> asyncio.Server:
    host, port = loopback_address(address)
    try:
        return await asyncio.start_server(control.serve, host, port, limit=LONGEST_LINE)
    except OSError as problem:
        raise PortTaken(
            f"the control socket cannot listen on {address} ({problem}); choose another --control"
        ) from None


async def _flush(live: LiveTown) -> None:
    """Write from time to time what need not be on disk before it is answered."""
    while True:
        await asyncio.sleep(FLUSH_EVERY_S)
        live.flush()


async def _follow(live: LiveTown, clock: Clock, control: Control) -> None:
    """Let the town's time follow a clock until somebody sets the time."""
    while not control.clock_held:
        live.advance(max(live.now_s, epoch_seconds(clock.now())))
        await asyncio.sleep(TICK_EVERY_S)
    await asyncio.Event().wait()


def give_faults(live: LiveTown, *, spec: str) -> None:
    """
    Give faults to shares of the meters, chosen by the town's seed; `spec` is `name=share,…`, a share 0.0 to 1.0.

    :raises UnknownFault: if it cannot be understood.
    """
    generator = np.random.default_rng([live.town.seed, _STREAM_FAULTS])
    listening = [device.index for device in live.town.devices if device.listens is not None]
    for part in filter(None, (part.strip() for part in spec.split(","))):
        name, _, share = part.partition("=")
        with contextlib.suppress(ValueError):
            if name in FAULTS and 0.0 <= float(share or "1") <= 1.0:
                count = int(float(share or "1") * len(listening) + 0.5)
                for place in generator.permutation(len(listening))[:count]:
                    live.set_fault(listening[int(place)], name, on=True)
                continue
        raise UnknownFault(
            f"{part!r} is no fault; write name=share with a share from 0 to 1 and one of {', '.join(FAULTS)}"
        )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _allow_files(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
