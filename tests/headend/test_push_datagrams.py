"""Pushes over UDP and of other kinds than alerts, over real sockets: stored once, counted where there is no place."""

import asyncio
import random
import socket
from collections.abc import Sequence
from datetime import timedelta

import pytest

from bijlighar.base.period import epoch_seconds, local_midnight
from bijlighar.dlms import axdr, clock, push, wrapper
from bijlighar.dlms.event import DataNotification
from bijlighar.dlms.obis import Obis
from bijlighar.headend import operations, push_datagrams, push_store, queries
from bijlighar.headend.head_end import HeadEnd
from bijlighar.headend.listener import PushListener
from bijlighar.headend.push_store import OTHER_SENDERS
from bijlighar.headend.registration import FactKind, registration_body
from bijlighar.readings import queries as readings
from bijlighar.storage.engine import Database
from tests.headend.meter import Meter
from tests.headend.orders import KEY_ENCRYPTION_KEY, NOW, meter_keys
from tests.headend.test_listener import (
    COVER,
    LATER,
    MAGNET,
    StillClock,
    codes,
    counts,
    deliver,
    events,
    replace_security,
)
from tests.headend.town import hang

LAST_GASP, FIRST_BREATH = 85, 86
BLOCK_LOAD, DAILY, BILLING, INSTANT = "0.5.25.9.0.255", "0.6.25.9.0.255", "0.132.25.9.0.255", "0.0.25.9.0.255"


@pytest.fixture
def meter(database: Database) -> Meter:
    """A meter whose keys are stored."""
    found = Meter(keys=meter_keys())
    with database.write() as connection:
        operations.store_keys(connection, keys=[found.keys], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)
    return found


def send(database: Database, head_end: HeadEnd, frames: Sequence[bytes], *, over: str = "udp") -> None:
    """Send frames in order, and stop listening when all are looked at."""

    async def scenario() -> None:
        listener = PushListener(database=database, head_end=head_end, clock=StillClock())
        await listener.start(host="127.0.0.1", port=0)
        if over == "tcp":
            for frame in frames:
                await deliver(listener.port, frame)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            for frame in frames if over == "udp" else ():
                sending.sendto(frame, ("127.0.0.1", listener.port))
                await asyncio.sleep(0.001)  # the kernel holds but a few hundred
        await asyncio.sleep(0.05)
        await listener.close()

    asyncio.run(scenario())


def sealed(meter: Meter, body: bytes, *, number: int = 1) -> bytes:
    return push.encode(DataNotification(data=body, long_invoke=number), security=replace_security(meter))


def pushed(meter: Meter, setup: str, *parts: bytes) -> bytes:
    """The frame of a push of a setup."""
    head = (axdr.visible_string(meter.keys.serial), axdr.octet_string(Obis.parse(setup).octets))
    return sealed(meter, axdr.structure(*head, *parts))


def kinds(database: Database) -> dict[str, tuple[int, int]]:
    with database.read() as connection:
        return {kind: (one.placed, one.unplaced) for kind, one in queries.push_kinds(connection).items()}


class TestDatagrams:
    def test_become_events_like_pushes_over_tcp(self, database: Database, head_end: HeadEnd, meter: Meter):
        send(database, head_end, [meter.alert((MAGNET,), NOW), meter.alert((MAGNET, COVER), LATER)])

        assert [event.code for event in events(database)] == [201, 251]
        assert counts(database) == (2, 0, 0)

    def test_tell_last_gasp_and_first_breath(self, database: Database, head_end: HeadEnd, meter: Meter):
        send(database, head_end, [meter.alert((LAST_GASP,), NOW), meter.alert((FIRST_BREATH,), LATER)])

        assert [(event.code, event.family) for event in events(database)] == [(85, "push"), (86, "push")]

    @pytest.mark.parametrize("over", ["udp", "tcp"])
    def test_replayed_are_folded_whichever_way_they_come(
        self, database: Database, head_end: HeadEnd, meter: Meter, over: str
    ):
        recorded = meter.alert((MAGNET,), NOW)
        send(database, head_end, [recorded], over="udp")

        send(database, head_end, [recorded] * 5, over=over)

        assert len(events(database)) == 1
        assert counts(database) == (1, 5, 0)

    def test_replayed_after_a_newer_one_are_held(self, database: Database, head_end: HeadEnd, meter: Meter):
        recorded, newer = meter.alert((MAGNET,), NOW), meter.alert((), LATER)

        send(database, head_end, [recorded, newer, recorded])

        assert [event.code for event in events(database)] == [201, 202]
        assert codes(database) == {"dlms.replayed": 1}

    def test_torn_joined_forged_plain_and_huge_are_held(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        frame = meter.alert((MAGNET,), NOW)
        plain = push.encode(DataNotification(data=axdr.structure(axdr.unsigned(1))), security=None)
        huge = wrapper.encode(b"\xdb" + bytes(9_000), source=1, destination=64)

        send(database, head_end, [frame[:-3], frame + frame, frame[:-1] + b"\0", plain, huge, b"", b"\1"])

        assert events(database) == []
        assert codes(database) == {
            "dlms.truncated": 3,
            "dlms.malformed": 1,
            "dlms.forged": 1,
            "dlms.unprotected": 1,
            "dlms.too-long": 1,
        }

    def test_keep_a_genuine_one_in_ten_thousand_of_garbage(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        draw = random.Random(1)
        sealed_garbage = wrapper.encode(
            b"\xdb\x08BJM00000" + b"\x1c\x30" + bytes(26), source=1, destination=64
        )

        async def scenario() -> int:
            listener = PushListener(database=database, head_end=head_end, clock=StillClock())
            await listener.start(host="127.0.0.1", port=0)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
                for place in range(10_000):
                    octets = sealed_garbage if place % 2 else draw.randbytes(draw.randrange(200))
                    sending.sendto(octets, ("127.0.0.1", listener.port))
                    if place % 2 == 0:
                        await asyncio.sleep(0)
                    if place == 5_000:
                        await asyncio.sleep(0.2)
                        await deliver(listener.port, meter.alert((MAGNET,), NOW))
            longest = listener._datagrams._waiting.qsize()
            await asyncio.sleep(0.2)
            sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sending.sendto(meter.alert((MAGNET, COVER), LATER), ("127.0.0.1", listener.port))
            sending.close()
            await asyncio.sleep(0.2)
            await listener.close()
            return longest

        assert asyncio.run(scenario()) <= push_datagrams.WAITING_MAX

        assert [event.code for event in events(database)] == [201, 251]
        received, _, held = counts(database)
        assert received == 2
        assert 1_000 < held <= 10_000
        with database.read() as connection:
            assert len(queries.quarantined(connection)) < 10

    def test_are_shed_and_counted_when_too_many_wait(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        async def scenario() -> None:
            listener = PushListener(database=database, head_end=head_end, clock=StillClock())
            await listener.start(host="127.0.0.1", port=0)
            frame = meter.alert((MAGNET,), NOW)
            for _ in range(push_datagrams.WAITING_MAX + 7):
                listener._datagrams.datagram_received(frame, ("127.0.0.1", 9))
            await listener.close()

        asyncio.run(scenario())

        assert codes(database) == {"headend.push-shed": 7}
        assert counts(database)[:2] == (1, push_datagrams.WAITING_MAX - 1)

    def test_of_made_up_senders_fill_no_table(
        self, database: Database, head_end: HeadEnd, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(push_store, "SENDERS_MAX", 5)
        frames = [Meter(keys=meter_keys(f"BJ90{place:04d}")).alert((MAGNET,), NOW) for place in range(20)]

        send(database, head_end, frames)

        with database.read() as connection:
            held = {one.sender: one.count for one in queries.quarantined(connection)}
        assert len(held) == 6
        assert held[OTHER_SENDERS] == 15


class TestOtherKinds:
    def read_once(self, database: Database, head_end: HeadEnd, meter: Meter) -> None:
        """Let a session tell the columns of the meter's profiles."""

        async def scenario() -> None:
            hang(database, serial=meter.keys.serial, url=await meter.start(), keys=[meter.keys])
            report = await operations.collect_due(database, now=NOW, head_end=head_end)
            assert report.failed == 0
            await meter.stop()

        meter.fill(NOW - timedelta(days=3), local_midnight(NOW.date()))
        asyncio.run(scenario())

    def stored_wh(self, database: Database, meter: Meter) -> list[int]:
        with database.read() as connection:
            day = (epoch_seconds(NOW) + 19_800) // 86_400
            blocks = readings.days(connection, meters=[meter.keys.serial], first=day, last=day)
        return [int(wh) for block in blocks for wh in block.channel("wh_import")[0] if wh >= 0]

    def test_become_intervals_where_the_columns_are_known(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        self.read_once(database, head_end, meter)
        at = (epoch_seconds(NOW) // 1800) * 1800
        rows = axdr.array([meter.block_row(at, (23012, 77, 80, 0, 0, 412))])

        send(database, head_end, [pushed(meter, BLOCK_LOAD, rows)])

        assert self.stored_wh(database, meter) == [77]
        assert kinds(database) == {"block-load": (1, 0)}

    def test_settle_no_day_so_that_a_session_says_it_again(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        self.read_once(database, head_end, meter)
        later = NOW + timedelta(days=1)
        at = (epoch_seconds(NOW) // 1800) * 1800

        send(
            database,
            head_end,
            [pushed(meter, BLOCK_LOAD, axdr.array([meter.block_row(at, (1, 77, 80, 0, 0, 1))]))],
        )

        with database.read() as connection:
            assert queries.pending_collect(connection, now=later, settings=head_end.settings) == 1

    def test_become_registers_by_daily_pushes(self, database: Database, head_end: HeadEnd, meter: Meter):
        from bijlighar.dlms import is15959_columns

        self.read_once(database, head_end, meter)
        midnight = epoch_seconds(local_midnight((NOW + timedelta(hours=6)).date()))
        row = meter.register_row(is15959_columns.columns("daily", phases=1), midnight, 123_450)

        send(
            database,
            head_end,
            [pushed(meter, DAILY, axdr.octet_string(clock.encode(NOW)), axdr.array([row]))],
        )

        with database.read() as connection:
            found = readings.registers(connection, meters=[meter.keys.serial])
        assert [shot.wh_import for shot in found if epoch_seconds(shot.at) == midnight] == [123_450]
        assert kinds(database) == {"daily": (1, 0)}

    def test_are_counted_where_there_is_no_place(self, database: Database, head_end: HeadEnd, meter: Meter):
        at = (epoch_seconds(NOW) // 1800) * 1800
        rows = axdr.array([meter.block_row(at, (23012, 77, 80, 0, 0, 412))])
        frames = [
            pushed(meter, BLOCK_LOAD, rows),  # no session has told its columns
            pushed(meter, INSTANT, axdr.octet_string(clock.encode(NOW)), axdr.long_unsigned(2301)),
            pushed(meter, "0.0.25.9.129.255", axdr.double_long_unsigned(5)),
            pushed(meter, "0.77.25.9.0.255"),
        ]

        send(database, head_end, frames)

        assert kinds(database) == {
            "block-load": (0, 1),
            "instantaneous": (0, 1),
            "current-bill": (0, 1),
            "other": (0, 1),
        }
        assert counts(database) == (4, 0, 0)
        with database.read() as connection:
            assert "first session" in queries.push_kinds(connection)["block-load"].note

    @pytest.mark.parametrize("days", [-60, 3])
    def test_are_not_read_when_stamped_far_from_now(
        self, database: Database, head_end: HeadEnd, meter: Meter, days: int
    ):
        self.read_once(database, head_end, meter)
        at = (epoch_seconds(NOW + timedelta(days=days)) // 1800) * 1800

        send(
            database,
            head_end,
            [pushed(meter, BLOCK_LOAD, axdr.array([meter.block_row(at, (1, 77, 80, 0, 0, 1))]))],
        )

        assert kinds(database) == {"block-load": (0, 1)}

    def test_in_other_columns_are_not_guessed_at(self, database: Database, head_end: HeadEnd, meter: Meter):
        self.read_once(database, head_end, meter)
        row = axdr.structure(axdr.octet_string(clock.encode(NOW)), axdr.double_long_unsigned(77))

        send(database, head_end, [pushed(meter, BLOCK_LOAD, axdr.array([row]))])

        assert kinds(database) == {"block-load": (0, 1)}
        assert self.stored_wh(database, meter) == []

    def test_do_not_reset_the_word_that_alerts_are_compared_with(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        send(
            database,
            head_end,
            [meter.alert((MAGNET,), NOW), pushed(meter, INSTANT), meter.alert((MAGNET, COVER), LATER)],
        )

        assert [event.code for event in events(database)] == [201, 251]

    def test_of_registration_are_claims_with_a_date(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        body = registration_body(
            device=meter.keys.serial,
            time=clock.encode(NOW),
            imei="356938035643809",
            sim="8991101200003204514",
            signal_dbm=-87,
            meters={},
        )

        send(database, head_end, [sealed(meter, body)])

        with database.read() as connection:
            (modem,) = queries.modems(connection)
        told = {fact.kind: (fact.value, fact.since, fact.trusted_at) for fact in modem.facts}
        assert told[FactKind.IMEI] == ("356938035643809", LATER, None)
        assert told[FactKind.ADDRESS] == ("127.0.0.1", LATER, None)
        assert told[FactKind.SIGNAL] == ("-87", LATER, None)
        assert (modem.name, modem.is_there) == (meter.keys.serial, False)
