"""
First contact: the counter that a meter has seen last, and which of the keys it may have let us in.

The counter is told to the public client or by a refusal.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from types import MappingProxyType

from bijlighar.base.errors import BijligharError
from bijlighar.dlms import is15959
from bijlighar.dlms.cosem import Attribute
from bijlighar.dlms.errors import RemoteProtocolError
from bijlighar.dlms.event import GetResult
from bijlighar.dlms.obis import Obis
from bijlighar.dlms.security import Security
from bijlighar.headend.access import counter_obis, field_title, needs_counter
from bijlighar.headend.errors import AccessRefused, AssociationRefused, GarbledAnswer, UnknownMeterKeys
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.model import (
    CLIENT_PUBLIC,
    CLIENT_READER,
    HeadEndSettings,
    Lane,
    MeterAddress,
    MeterKeys,
)
from bijlighar.headend.quirks import ADVICE
from bijlighar.headend.quirks_access import CounterFrom
from bijlighar.headend.session import MeterSession, open_session

#: Where meters that are not of IS 15959 keep the one counter of all their clients, by common custom.
COMMON_COUNTER = Attribute(class_id=1, obis=Obis.parse("0.0.43.1.0.255"), index=2)
NO_GATEWAYS: Mapping[str, str | None] = MappingProxyType({})


def counter_attribute(client: int) -> Attribute:
    """
    Return the attribute that tells the last counter a meter has seen from `client`.

    :raises UnknownMeterKeys: if IS 15959 has no such client.
    """
    plan = is15959.ASSOCIATIONS.get(client)
    if plan is None:
        raise UnknownMeterKeys(f"client {client} is none that IS 15959 knows")
    return plan.counter_attribute


async def read_counter(
    *,
    address: MeterAddress,
    client: int,
    name: str,
    settings: HeadEndSettings,
    security: Callable[[], Security | None] = lambda: None,
) -> int:
    """
    Return the last invocation counter that a meter has seen from `client`, 0 where it counts none of it.

    A meter that has none for this client is asked for the one it keeps for all. `security` is how the client speaks;
    it is asked for where only the meter's refusal tells the counter.

    :raises HeadEndError: if the meter cannot be reached or does not tell.
    :raises RemoteProtocolError: if it breaks the protocol.
    """
    quirk = settings.quirks.of_serial(name)
    if not needs_counter(quirk, client):
        return 0
    if quirk.access.counter_from is CounterFrom.REFUSAL:
        return await _counter_of_refusal(
            address=address, client=client, name=name, settings=settings, security=security()
        )
    session = await open_session(
        address=address, client=CLIENT_PUBLIC, security=None, name=name, settings=settings
    )
    try:
        counter = counter_obis(quirk, client)
        own = counter_attribute(client)
        if counter is not None:
            own = replace(own, obis=counter)
        data = await session.get_if_any(own)
        if data is None:
            data = await session.get_if_any(COMMON_COUNTER)
        if data is None:
            raise AccessRefused(
                f"meter {name} tells the public client no invocation counter, neither at {own.obis} nor at "
                f"{COMMON_COUNTER.obis}; {ADVICE}"
            )
        value = GetResult(data=data).value
        await session.release()
    finally:
        session.close()
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise GarbledAnswer(f"meter {name} says that its counter is {value!r}; read it again")
    return value


async def _counter_of_refusal(
    *, address: MeterAddress, client: int, name: str, settings: HeadEndSettings, security: Security | None
) -> int:
    """
    Return the counter below the one that a meter wants, by calling it with the lowest.

    The call is ciphered under a title of its own: a counter under the head-end's may have been used already.
    """
    used = 0

    def lowest() -> int:
        nonlocal used
        used += 1
        return used

    if security is not None:
        security = replace(security, own_title=field_title(), next_counter=lowest)
    try:
        session = await open_session(
            address=address, client=client, security=security, name=name, settings=settings
        )
    except AssociationRefused as refusal:
        if refusal.counter is None:
            raise
        return max(0, refusal.counter - 1)
    session.close()
    return used


async def prepare(
    head_end: HeadEnd,
    *,
    meters: Mapping[str, MeterAddress],
    client: int,
    gateways: Mapping[str, str | None] = NO_GATEWAYS,
    lane: Lane | None = None,
) -> dict[str, BijligharError]:
    """
    Load the keys of meters and see that each has counters for a session; return what is wrong with whom.

    Reserving is one transaction for all. A meter never spoken with is asked for its counter first, under a permit of
    `lane`; without one the caller holds the permit already.
    """
    serials = sorted(meters)
    problems = dict(head_end.load(meters=serials, client=client))
    usable = [meter for meter in serials if meter not in problems]
    strangers = head_end.counters.reserve(meters=usable, client=client)
    wanted = {meter: meters[meter] for meter in sorted(strangers)}
    problems.update(await learn(head_end, meters=wanted, client=client, gateways=gateways, lane=lane))
    return problems


async def open_prepared(
    head_end: HeadEnd, *, meter: str, address: MeterAddress, client: int, now: datetime
) -> MeterSession:
    """
    Open a session with a meter that was prepared for.

    A refusal may mean that the meter has seen a higher counter than ours: it is asked, and if so tried once more. It
    may also mean that the meter has other keys: those that somebody has stored meanwhile, or those that were on their
    way into it when an answer was lost. These are tried, and if it lets us in with them they are its keys.

    :raises HeadEndError: if the meter cannot be reached, is silent or refuses.
    :raises RemoteProtocolError: if it breaks the protocol.
    """
    try:
        return await _open(head_end, meter=meter, address=address, client=client)
    except (AssociationRefused, RemoteProtocolError) as problem:
        refusal = problem
    if isinstance(refusal, AssociationRefused) and await _catch_up(
        head_end, meter=meter, address=address, client=client
    ):
        try:
            return await _open(head_end, meter=meter, address=address, client=client)
        except (AssociationRefused, RemoteProtocolError) as problem:
            refusal = problem
    return await _open_otherwise(
        head_end, meter=meter, address=address, client=client, now=now, refusal=refusal
    )


async def open_with(
    head_end: HeadEnd, *, keys: MeterKeys, address: MeterAddress, client: int
) -> MeterSession:
    """
    Open a session with a meter that was prepared for, by keys that it may have or not.

    :raises HeadEndError: if the meter cannot be reached, is silent or refuses.
    :raises RemoteProtocolError: if it breaks the protocol.
    """
    session = await open_session(
        address=address,
        client=client,
        security=head_end.new_security(keys=keys, client=client),
        name=keys.serial,
        settings=head_end.settings,
    )
    head_end.know_title(meter=keys.serial, title=session.proven_title)
    return session


def proves_itself_by(client: int, keys: MeterKeys) -> tuple[bytes | None, ...]:
    """Return what of a meter's keys decides whether it lets `client` in."""
    return (keys.ek, keys.ak, keys.lls) if client == CLIENT_READER else (keys.ek, keys.ak)


async def _catch_up(head_end: HeadEnd, *, meter: str, address: MeterAddress, client: int) -> bool:
    """Go above the counter that a meter has seen; return whether we were behind it."""
    seen = await read_counter(
        address=address,
        client=client,
        name=meter,
        settings=head_end.settings,
        security=partial(head_end.security, meter=meter, client=client),
    )
    if not head_end.counters.is_behind(meter=meter, client=client, seen=seen):
        return False
    problems = head_end.counters.learn(seen={meter: seen}, client=client)
    if meter in problems:
        raise problems[meter]
    return True


async def _open_otherwise(
    head_end: HeadEnd,
    *,
    meter: str,
    address: MeterAddress,
    client: int,
    now: datetime,
    refusal: AssociationRefused | RemoteProtocolError,
) -> MeterSession:
    """Open a session by other keys than those that were refused, if there are any, and keep those that hold."""
    refused = proves_itself_by(client, head_end.keys(meter))
    head_end.forget(meter)  # its keys may have been replaced meanwhile
    if meter in head_end.load(meters=[meter], client=client):
        raise refusal from None
    if proves_itself_by(client, head_end.keys(meter)) != refused:
        try:
            return await _open(head_end, meter=meter, address=address, client=client)
        except (AssociationRefused, RemoteProtocolError) as problem:
            refusal = problem
    pending = head_end.pending(meter)
    if pending is None or proves_itself_by(client, pending) == proves_itself_by(client, head_end.keys(meter)):
        raise refusal from None
    try:
        session = await open_with(head_end, keys=pending, address=address, client=client)
    except (AssociationRefused, RemoteProtocolError):
        raise refusal from None
    try:
        head_end.settle(pending, client=client, now=now)
    except BaseException:
        session.close()
        raise
    return session


async def _open(head_end: HeadEnd, *, meter: str, address: MeterAddress, client: int) -> MeterSession:
    session = await open_session(
        address=address,
        client=client,
        security=head_end.security(meter=meter, client=client),
        name=meter,
        settings=head_end.settings,
    )
    head_end.know_title(meter=meter, title=session.proven_title)
    return session


async def learn(
    head_end: HeadEnd,
    *,
    meters: Mapping[str, MeterAddress],
    client: int,
    gateways: Mapping[str, str | None] = NO_GATEWAYS,
    lane: Lane | None = None,
) -> dict[str, BijligharError]:
    """Ask meters for their counters, go above them, and return what is wrong with whom."""
    if not meters:
        return {}
    seen: dict[str, int] = {}
    problems: dict[str, BijligharError] = {}
    waiting = iter(meters.items())

    async def work() -> None:
        for meter, address in waiting:
            try:
                permit: AbstractAsyncContextManager[None] = (
                    nullcontext()
                    if lane is None
                    else head_end.permit(meter=meter, gateway=gateways.get(meter), lane=lane)
                )
                async with (
                    permit,
                    asyncio.timeout(head_end.settings.session_timeout_s),
                ):
                    seen[meter] = await read_counter(
                        address=address,
                        client=client,
                        name=meter,
                        settings=head_end.settings,
                        security=partial(head_end.security, meter=meter, client=client),
                    )
            except TimeoutError:
                problems[meter] = GarbledAnswer(
                    f"meter {meter} did not come to an end with its counter; it is asked again"
                )
            except BijligharError as problem:
                problems[meter] = problem

    await asyncio.gather(*(work() for _ in range(min(head_end.settings.concurrency, len(meters)))))
    problems.update(head_end.counters.learn(seen=seen, client=client))
    return problems
