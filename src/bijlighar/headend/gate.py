"""
The last look before a relay: an order passes once, unaltered, unexpired, for its own meter, under ceilings.

The gate believes nobody: not the command's row, not the queue, not the room that ordered. It trusts a signature that
it checks with a key that cannot sign, and its own table of what it has let through. Whatever is missing or broken
shuts it. Every decision is a row of its log.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from bijlighar.headend import gate_store
from bijlighar.headend.errors import BrokenDocument
from bijlighar.headend.model import (
    AdmittedCounts,
    Ceilings,
    ControlAction,
    ControlOrder,
    ControlReason,
    GateCode,
    GateRequest,
    SignedOrder,
    StepCounts,
)
from bijlighar.headend.orders import is_signed
from bijlighar.headend.settings_file import read_document

#: An order dated further ahead than the clocks of two computers differ is not believed.
CLOCK_ALLOWANCE = timedelta(minutes=5)
#: What is done to a meter itself: by two persons, and until the order is closed it goes on where it was broken off.
SETTINGS = frozenset({ControlAction.SETTINGS, ControlAction.SUPPLY_SETTINGS})
#: What the head-end makes for client 32 and the gate brings in.
READING = frozenset({ControlAction.READING_KEYS, ControlAction.READING_SECRET})
UPKEEP = SETTINGS | READING | {ControlAction.CHANGE_KEYS, ControlAction.CHANGE_SECRET, ControlAction.FIRMWARE}
#: What goes to many meters goes to them in steps.
IN_STEPS = SETTINGS | {ControlAction.FIRMWARE}
#: What cuts supply, or lets a meter cut it by itself: all of it counts together.
CUTTING = frozenset({ControlAction.DISCONNECT, ControlAction.SUPPLY_SETTINGS})
#: What is sent to 10 meters goes to 100 more only after these were read back, then to 1,000 more, and so on by 1,000.
STEPS = (10, 110, 1_110)
STEP_AFTER = 1_000
#: Of a step so much must have been read back well [%]; a single one that was read back wrong stops everything.
STEP_PCT_MIN = 90
ONE_HOUR = timedelta(hours=1)
ONE_DAY = timedelta(days=1)


def examine(*, request: GateRequest, verify_key: bytes | None, now: datetime) -> GateCode:
    """Return what the gate says of an order by itself, for the command that shows it."""
    signed = request.signed
    order = signed.order
    if verify_key is None or len(verify_key) != 32:
        return GateCode.NO_VERIFY_KEY
    if not signed.signature:
        return GateCode.UNSIGNED
    if not is_signed(signed=signed, verify_key=verify_key):
        return GateCode.ALTERED
    checks = (
        (order.order_id == request.order_id, GateCode.WRONG_ORDER),
        (order.serial == request.serial, GateCode.WRONG_SERIAL),
        (order.action is request.action, GateCode.WRONG_ACTION),
        (order.issued_at <= now + CLOCK_ALLOWANCE, GateCode.NOT_YET),
        (now < order.expires_at, GateCode.EXPIRED),
        (_has_four_eyes(signed), GateCode.NOT_APPROVED),
    )
    code = next((code for holds, code in checks if not holds), GateCode.ADMITTED)
    if code is GateCode.ADMITTED and order.action in READING and not order.detail:
        return GateCode.WRONG_KEYS
    return _document_code(request) if code is GateCode.ADMITTED and order.action in SETTINGS else code


def _document_code(request: GateRequest) -> GateCode:
    """Return what the gate says of the settings that an order shows."""
    order = request.signed.order
    try:
        document = read_document(request.document or "")
    except BrokenDocument:
        return GateCode.BROKEN_DOCUMENT
    limit = document.load_limit
    checks = (
        (document.digest == order.detail, GateCode.WRONG_DOCUMENT),
        (document.may_interrupt == (order.action is ControlAction.SUPPLY_SETTINGS), GateCode.MAY_INTERRUPT),
        (
            limit is None or (order.sanctioned_w is not None and limit.watts >= order.sanctioned_w),
            GateCode.LOAD_LIMIT,
        ),
    )
    return next((code for holds, code in checks if not holds), GateCode.ADMITTED)


def _are_ceilings(ceilings: object) -> bool:
    if not isinstance(ceilings, Ceilings):
        return False
    limits: tuple[object, ...] = (
        *(ceilings.per_hour, ceilings.per_feeder_hour, ceilings.per_day),
        ceilings.settings_per_hour,
    )
    return all(type(limit) is int and limit >= 0 for limit in limits)


def under_ceilings(*, ceilings: object, counts: AdmittedCounts) -> GateCode:
    """
    Return whether one more disconnection stays under every ceiling.

    >>> counts = AdmittedCounts(hour=50, feeder_hour=0, day=50)
    >>> under_ceilings(ceilings=Ceilings(), counts=counts).value
    'headend.gate-ceiling-hour'
    >>> under_ceilings(ceilings=None, counts=counts).value
    'headend.gate-broken-ceilings'
    """
    if not isinstance(ceilings, Ceilings):
        return GateCode.BROKEN_CEILINGS
    if not _are_ceilings(ceilings):
        return GateCode.BROKEN_CEILINGS
    if counts.day >= ceilings.per_day:
        return GateCode.CEILING_DAY
    if counts.hour >= ceilings.per_hour:
        return GateCode.CEILING_HOUR
    if counts.feeder_hour >= ceilings.per_feeder_hour:
        return GateCode.CEILING_FEEDER
    return GateCode.ADMITTED


def step_has_room(counts: StepCounts) -> bool:
    """
    Return whether one more meter may get an image, a document or reading keys, by how the steps before came out.

    >>> [step_has_room(StepCounts(sent=10, good=good, bad=0)) for good in (8, 9)]
    [False, True]
    >>> step_has_room(StepCounts(sent=3, good=2, bad=1))
    False
    """
    ends = [end for end in STEPS if end <= counts.sent]
    done = ends[-1] if ends else 0
    if done == STEPS[-1]:
        done += (counts.sent - done) // STEP_AFTER * STEP_AFTER
    return not counts.bad and counts.good * 100 >= done * STEP_PCT_MIN


def admit(
    connection: Connection,
    *,
    request: GateRequest,
    verify_key: bytes | None,
    ceilings: object,
    now: datetime,
    may_resume: bool = False,
) -> GateCode:
    """
    Let an order pass at most once in all its life and return the decision, which is logged in the same transaction.

    A reconnection passes no ceiling, and one that was admitted may be tried again until its command has ended.
    With `may_resume` so may a disconnection that was admitted and never used: its octets have not left.
    """
    code = examine(request=request, verify_key=verify_key, now=now)
    if code is GateCode.ADMITTED:
        code = _admit_once(connection, request=request, ceilings=ceilings, now=now, may_resume=may_resume)
    log(connection, request=request, code=code, now=now)
    return code


def log(connection: Connection, *, request: GateRequest, code: GateCode, now: datetime) -> None:
    """Record a decision on the order that `request` shows."""
    gate_store.log(
        connection,
        order_id=request.signed.order.order_id,
        serial=request.serial,
        action=request.action.value,
        code=code,
        now=now,
    )


def use(connection: Connection, *, order_id: str, serial: str, now: datetime) -> tuple[GateCode, str]:
    """
    Record that the octets of an admitted order are about to leave; return the decision and the order's action.

    A disconnection is used once; the others until they are closed.
    """
    gate_store.lock(connection)
    found = gate_store.admitted_action(connection, order_id=order_id, serial=serial)
    if found is None:
        return GateCode.NOT_GRANTED, ""
    _, ended = gate_store.admission(connection, order_id=order_id)
    used = gate_store.is_used(connection, order_id=order_id)
    repeatable = {ControlAction.RECONNECT.value, *(action.value for action in UPKEEP)}
    if ended or (used and found not in repeatable):
        return GateCode.USED, found
    gate_store.mark_used(connection, order_id=order_id, now=now)
    return GateCode.ADMITTED, found


def _admit_once(
    connection: Connection, *, request: GateRequest, ceilings: object, now: datetime, may_resume: bool
) -> GateCode:
    order = request.signed.order
    gate_store.lock(connection)  # two gates at one time would each see room under a ceiling
    passed, ended = gate_store.admission(connection, order_id=order.order_id)
    if passed:
        unused = may_resume and not gate_store.is_used(connection, order_id=order.order_id)
        again = not ended and (unused or order.action is not ControlAction.DISCONNECT)
        return GateCode.ADMITTED if again else GateCode.USED
    feeder = request.feeder or order.feeder or ""
    code = _under_limits(connection, order=order, feeder=feeder, ceilings=ceilings, now=now)
    if code is GateCode.ADMITTED and order.action in READING:
        code = _in_their_order(connection, order=order, now=now)
    if code is not GateCode.ADMITTED:
        return code
    if order.action in IN_STEPS | READING:
        gate_store.mark_image(connection, order_id=order.order_id, image=order.detail or "")
    gate_store.mark_admitted(
        connection,
        order_id=order.order_id,
        serial=order.serial,
        action=order.action.value,
        feeder=feeder,
        now=now,
    )
    return GateCode.ADMITTED


def _under_limits(
    connection: Connection, *, order: ControlOrder, feeder: str, ceilings: object, now: datetime
) -> GateCode:
    """Return whether ceilings and steps let one more order pass."""
    counts = gate_store.counts(connection, feeder=feeder, hour_from=now - ONE_HOUR, day_from=now - ONE_DAY)
    if order.action in SETTINGS | READING:
        if not isinstance(ceilings, Ceilings) or not _are_ceilings(ceilings):
            return GateCode.BROKEN_CEILINGS
        if counts.settings_hour >= ceilings.settings_per_hour:
            return GateCode.CEILING_SETTINGS
    if order.action in CUTTING:
        code = under_ceilings(ceilings=ceilings, counts=counts)
        if code is not GateCode.ADMITTED:
            return code
    if order.action in IN_STEPS and not step_has_room(
        gate_store.step_counts(connection, image=order.detail or "")
    ):
        return GateCode.STEP
    return GateCode.ADMITTED


def _in_their_order(connection: Connection, *, order: ControlOrder, now: datetime) -> GateCode:
    """
    Return whether an order for reading keys may follow those that were admitted; the last of its meter is over then.

    An older order would bring back keys that nobody has any more. Every change is another, so the steps are of all
    of the last day.
    """
    latest = gate_store.latest_reading(connection, serial=order.serial)
    if latest is not None and order.issued_at < latest.issued_at:
        return GateCode.LATER_KEYS
    if latest is not None:
        gate_store.close(connection, order_id=latest.order_id, now=now)
    counts = gate_store.recent_counts(connection, actions=_names(READING), since=now - ONE_DAY)
    if not step_has_room(counts):
        return GateCode.STEP
    gate_store.mark_reading(
        connection, serial=order.serial, order_id=order.order_id, issued_at=order.issued_at
    )
    return GateCode.ADMITTED


def _names(actions: frozenset[ControlAction]) -> tuple[str, ...]:
    return tuple(sorted(action.value for action in actions))


def _has_four_eyes(signed: SignedOrder) -> bool:
    order = signed.order
    for_arrears = order.action is ControlAction.DISCONNECT and order.reason is ControlReason.ARREARS
    if not for_arrears and order.action not in UPKEEP:
        return True
    return bool(order.approved_by) and order.approved_by != order.issued_by
