"""
A session over a modem that has called in: a caller is believed once the association holds over it.

Where several callers go by one name, each is tried until the association holds over one; the exchange is told which.
"""

import asyncio
from collections.abc import Awaitable, Callable

from bijlighar.base.errors import BijligharError
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.dlms.session import Association
from bijlighar.headend.call_in_wire import open_conversation, tell
from bijlighar.headend.errors import (
    AssociationRefused,
    ConnectionLost,
    GarbledAnswer,
    HeadEndError,
    MeterSilent,
    NotCalledIn,
)
from bijlighar.headend.model import HeadEndSettings, MeterAddress
from bijlighar.headend.tcp import MeterLink

#: How many callers of one name are tried in one go; the exchange keeps no more.
CALLERS_PER_NAME_MAX = 4
#: What speaks against a caller: another one of the name may be the true one.
DOUBTS = (RemoteProtocolError, AssociationRefused, MeterSilent, ConnectionLost, GarbledAnswer)


async def associate_over(
    *,
    address: MeterAddress,
    meter: str,
    is_secured: bool,
    make_association: Callable[[], Association],
    associate: Callable[[MeterLink], Awaitable[None]],
    settings: HeadEndSettings,
) -> MeterLink:
    """
    Return the link of a called-in modem over which the association with a meter holds.

    `is_secured` says that the meter proves itself by it: the exchange then trusts the caller.

    :raises HeadEndError: if the modem has not called in, or the meter behind it is silent or refuses.
    :raises RemoteProtocolError: if what answers breaks the protocol or its security.
    """
    tried: list[int] = []
    problem: BijligharError | None = None
    while len(tried) < CALLERS_PER_NAME_MAX:
        try:
            conversation = await open_conversation(
                address=address, association=make_association(), tried=tried, settings=settings
            )
        except HeadEndError:
            if problem is None:
                raise
            break  # there is no other caller: what spoke against the last one is told
        tried.append(conversation.caller)
        try:
            await associate(conversation.link)
        except DOUBTS as doubt:
            problem = doubt
            await tell(settings, failed=conversation.number, meter=meter, code=doubt.code)
            conversation.link.abort()
            continue
        except BaseException:
            conversation.link.abort()
            raise
        if is_secured:
            await _tell_held(settings, conversation.number, meter, conversation.link)
        return conversation.link
    raise problem or NotCalledIn(f"modem {address.host} has not called in; the meter is asked when it does")


async def _tell_held(settings: HeadEndSettings, number: int, meter: str, link: MeterLink) -> None:
    try:
        await tell(settings, held=number, meter=meter)
    except asyncio.CancelledError:
        link.abort()
        raise
