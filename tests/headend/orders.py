"""Orders, keys and times that the tests of the head-end share."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bijlighar.headend.model import ControlAction, ControlOrder, ControlReason, MeterKeys, SignedOrder
from bijlighar.headend.orders import sign_order, verify_key_of

NOW = datetime(2025, 7, 1, 5, 0, tzinfo=UTC)
PRIVATE_KEY = bytes(range(32))
VERIFY_KEY = verify_key_of(private_key=PRIVATE_KEY)
OTHER_PRIVATE_KEY = bytes(range(1, 33))
KEY_ENCRYPTION_KEY = bytes(range(32, 64))


def order(**changes: Any) -> ControlOrder:
    """A disconnection that the gate admits."""
    return replace(
        ControlOrder(
            order_id="D-1",
            serial="BJ100001",
            action=ControlAction.DISCONNECT,
            reason=ControlReason.ARREARS,
            feeder="F-1",
            issued_at=NOW,
            expires_at=NOW + timedelta(hours=8),
            issued_by="clerk",
            approved_by="officer",
        ),
        **changes,
    )


def reconnection(**changes: Any) -> ControlOrder:
    """A reconnection that the gate admits."""
    plain = order(
        order_id="R-1",
        action=ControlAction.RECONNECT,
        expires_at=NOW + timedelta(days=30),
        approved_by=None,
    )
    return replace(plain, **changes)


def signed(plain: ControlOrder | None = None, *, key: bytes = PRIVATE_KEY) -> SignedOrder:
    """The order, signed."""
    return sign_order(order=plain or order(), private_key=key)


def meter_keys(serial: str = "BJ100001", **changes: Any) -> MeterKeys:
    """The keys of a meter; no two serials share one."""
    stem = serial.encode()
    keys = MeterKeys(
        serial=serial,
        system_title=b"BJS" + stem[-5:].rjust(5, b"0"),
        url=f"tcp://127.0.0.1:4059?server=1&meter={serial}",
        ek=b"E" * 8 + stem[-8:].rjust(8, b"0"),
        ak=b"A" * 8 + stem[-8:].rjust(8, b"0"),
        lls=b"password",
        hls=b"0123456789abcdef",
    )
    return replace(keys, **changes)
