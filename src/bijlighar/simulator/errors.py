"""What can be wrong with a simulated town."""

from bijlighar.base.errors import BijligharError


class SimulatorError(BijligharError):
    """The simulator cannot do what was asked."""

    code = "simulator.error"


class ImpossibleTown(SimulatorError):
    """No town can be planned from these figures."""

    code = "simulator.impossible-town"


class BrokenProfiles(SimulatorError):
    """A file of load curves cannot be used."""

    code = "simulator.broken-profiles"


class UnknownFault(SimulatorError):
    """A fault is not one of those that can be simulated."""

    code = "simulator.unknown-fault"


class NoTown(SimulatorError):
    """A folder holds no town."""

    code = "simulator.no-town"


class PortTaken(SimulatorError):
    """An address that a meter or the control socket needs is in use."""

    code = "simulator.port-taken"


class ControlRefused(SimulatorError):
    """The running town refused what was asked over the control socket."""

    code = "simulator.control-refused"


class ControlUnreachable(SimulatorError, ConnectionError):
    """The control socket does not answer; to ask again may help."""

    code = "simulator.control-unreachable"
