"""
The way to a meter over a serial line: an optical probe on its front, or a bus of several meters.

HDLC from the first octet, 8 bits, no parity, one stop bit; the library for serial lines is an extra.
"""

import asyncio
from importlib import import_module

from bijlighar.dlms.session import Association
from bijlighar.headend.errors import MeterUnreachable, UnsupportedTransport
from bijlighar.headend.model import MeterAddress
from bijlighar.headend.tcp import MeterLink

#: How long a meter has to confirm that we leave the line [s].
HANG_UP_S = 2.0
LIBRARY = "serialx"


async def connect(
    *, address: MeterAddress, association: Association, connect_timeout_s: float, answer_timeout_s: float
) -> MeterLink:
    """
    Open the serial line to a meter, for us alone.

    :raises UnsupportedTransport: if the library for serial lines is not installed.
    :raises MeterUnreachable: if there is no such device, it is not ours to open, or somebody else has it open.
    """
    try:
        library = import_module(LIBRARY)
    except ImportError:
        raise UnsupportedTransport(
            f"{address.host} is a serial line, which needs {LIBRARY}; install it: pip install 'bijlighar[serial]'"
        ) from None
    link = MeterLink(
        association=association,
        answer_timeout_s=answer_timeout_s,
        place=f"{address.host} ({address.baud} baud)",
        advice="check that the probe sits on the meter, baud and physical, or give it more time",
        hang_up_s=min(HANG_UP_S, answer_timeout_s),
    )
    try:
        async with asyncio.timeout(connect_timeout_s):
            await library.create_serial_connection(
                asyncio.get_running_loop(),
                lambda: link,
                url=address.host,
                baudrate=address.baud,
                exclusive=True,
            )
    except TimeoutError:
        raise MeterUnreachable(
            f"{address.host} did not open within {connect_timeout_s:g} s; plug the probe in anew"
        ) from None
    except (OSError, library.SerialException) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise MeterUnreachable(
            f"{address.host} cannot be opened: {reason}; check the device's name, that it is "
            "plugged in, and that you may use it"
        ) from None
    return link
