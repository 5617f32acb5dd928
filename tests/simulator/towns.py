"""Towns, their processes and a small client for the tests of the simulator."""

import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType

import numpy as np

from bijlighar.dlms import is15959, shape
from bijlighar.dlms.cosem import Attribute, Selection
from bijlighar.dlms.event import (
    NEED_DATA,
    AssociationRequest,
    Event,
    GetRequest,
    GetResult,
    ReleaseRequest,
)
from bijlighar.dlms.security import Mechanism, Security
from bijlighar.dlms.session import Association, Framing, Role
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.memory import Memory
from bijlighar.simulator.model import Device, LoadFile, Town
from bijlighar.simulator.operations import TownControl, write_town
from bijlighar.simulator.rules import plan_town

FIRST_DAY = date(2025, 4, 1)
MIDNIGHT = datetime(2025, 3, 31, 18, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PATIENCE_S = 30.0
CLIENT_TITLE = b"TESTHES1"
_RUN = "from bijlighar.cli.simulate import simulate; simulate()"


def a_town(
    *,
    meters: int = 20,
    months: int = 1,
    seed: int = 7,
    profiles: LoadFile | None = None,
    stand_alone: bool = False,
) -> Town:
    return plan_town(
        seed=seed,
        meters=meters,
        months=months,
        first_day=FIRST_DAY,
        profiles=profiles,
        stand_alone=stand_alone,
    )


def running(
    town: Town, *, path: Path | None = None, profiles: LoadFile | None = None, pushes: bool = False
) -> LiveTown:
    return LiveTown(town=town, memory=Memory(path), profiles=profiles, pushes=pushes)


def relay_meter(town: Town) -> Device:
    """The first smart single-phase meter that is never silent by the plan."""
    quiet = {silence.serial for silence in town.silences}
    return next(
        d for d in town.devices if d.smart and d.kind.has_relay and not d.in_store and d.serial not in quiet
    )


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that are free now."""
    # Below the ports that the kernel gives to outgoing connections, and far from where a process begins that was
    # started beside ours: what both find free at the same moment only one can have.
    begin = 12_000 + os.getpid() * 7_919 % 20_000
    for start, end in ((begin, 32_700), (12_000, 32_700)):
        first = start
        while first + count <= end:
            held: list[socket.socket] = []
            try:
                for port in range(first, first + count):
                    held.append(socket.socket())
                    # As the meters do: what waits for the last octets of ended sessions is free.
                    held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    held[-1].bind(("127.0.0.1", port))
            except OSError:
                first += len(held)  # behind the one that is taken
            else:
                return first
            finally:
                for one in held:
                    one.close()
    raise AssertionError("no ports are free")


class TownProcess:
    """The meters of a town in a process of their own."""

    def __init__(
        self, folder: Path, *arguments: str, town: Town | None = None, push: str | None = None
    ) -> None:
        self.folder = folder
        self.arguments = arguments
        self.town = town
        count = 40 if town is None else len(town.devices)
        self.port = free_ports(count + 1)
        self.control = TownControl(f"127.0.0.1:{self.port + count}", timeout_s=PATIENCE_S)
        self._process: subprocess.Popen[str] | None = None
        if town is not None:
            write_town(town=town, folder=folder / "town", host="127.0.0.1", port=self.port, push=push)

    def __enter__(self) -> "TownProcess":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self.output = self._process.communicate(timeout=PATIENCE_S)[0]

    def start(self) -> None:
        where = ("--port", str(self.port)) if self.town is None else ("--home", str(self.folder))
        command = [sys.executable, "-c", _RUN, *where, "--control", self.control.address, *self.arguments]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"COLUMNS": "200"},
        )
        self.control.wait_until_ready(patience_s=PATIENCE_S)

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=PATIENCE_S)

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        self.output = self._process.communicate(timeout=PATIENCE_S)[0]
        return self._process.returncode

    def device(self, serial: str) -> Device:
        assert self.town is not None
        return next(device for device in self.town.devices if device.serial == serial)


class MeterClient:
    """A client of one meter over a real socket."""

    def __init__(
        self,
        device: Device,
        *,
        port: int,
        client: int = 32,
        counter: int = 0,
        framing: Framing = Framing.WRAPPER,
    ) -> None:
        assert device.listens is not None
        self.counter = counter
        self.socket = socket.create_connection(("127.0.0.1", port + device.listens), timeout=5)
        security = None
        if client != is15959.PUBLIC:
            security = Security(
                mechanism=Mechanism.LLS if client == is15959.METER_READER else Mechanism.HLS5,
                secret=device.reader_secret if client == is15959.METER_READER else device.setting_key,
                ciphered=True,
                own_title=CLIENT_TITLE,
                ek=device.encryption_key,
                ak=device.authentication_key,
                next_counter=self._next_counter,
            )
        self.association = Association(
            role=Role.CLIENT, client=client, framing=framing, security=security, randomness=os.urandom
        )

    def __enter__(self) -> "MeterClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def _next_counter(self) -> int:
        self.counter += 1
        return self.counter

    def ask(self, request: Event) -> Event:
        self.socket.sendall(self.association.send(request))
        while True:
            event = self.association.next_event()
            out = self.association.data_to_send()
            if out:
                self.socket.sendall(out)
            if event is not NEED_DATA:
                return event
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionError("the meter hung up")
            self.association.receive_data(data)

    def associate(self) -> "MeterClient":
        answer = self.ask(AssociationRequest())
        assert type(answer).__name__ == "AssociationAccepted", answer
        return self

    def get(self, attribute: Attribute, selection: Selection | None = None) -> GetResult:
        answer = self.ask(GetRequest(attribute=attribute, selection=selection))
        assert isinstance(answer, GetResult)
        return answer

    def rows(self, attribute: Attribute, selection: Selection | None = None) -> shape.Rows:
        data = self.get(attribute, selection).data
        assert data is not None
        return shape.decode(data)

    def release(self) -> None:
        self.ask(ReleaseRequest())


def last_counter(device: Device, *, port: int, client: int) -> int:
    """The last invocation counter of a client that a meter says it took."""
    with MeterClient(device, port=port, client=is15959.PUBLIC) as public:
        public.associate()
        value = public.get(is15959.ASSOCIATIONS[client].counter_attribute).value
        assert isinstance(value, int)
        return value


def column(
    rows: shape.Rows, name: str, *, profile: str = "block-load", phases: is15959.Phases = 1
) -> np.ndarray:
    names = [column.name for column in is15959.columns(profile, phases=phases)]
    values = rows.columns[names.index(name)].values
    assert isinstance(values, np.ndarray)
    return values
