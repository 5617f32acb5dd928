"""Pushes over real sockets: what is stored is stored before we hang up, and what is not believed changes nothing."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bijlighar.dlms import axdr, push
from bijlighar.dlms.event import DataNotification
from bijlighar.dlms.security import Security
from bijlighar.headend import operations, queries
from bijlighar.headend.errors import BrokenSettings
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.listener import PushListener
from bijlighar.readings import queries as readings
from bijlighar.readings.model import MeterEvent
from bijlighar.storage.engine import Database
from tests.headend.conftest import FAST
from tests.headend.meter import Meter
from tests.headend.orders import KEY_ENCRYPTION_KEY, NOW, meter_keys

MAGNET, COVER, RELAY_OPEN = 81, 83, 84
LATER = NOW + timedelta(minutes=5)


class StillClock:
    """A clock that stands."""

    def now(self) -> datetime:
        return LATER


@pytest.fixture
def meter(database: Database) -> Meter:
    """A meter whose keys are stored."""
    found = Meter(keys=meter_keys())
    with database.write() as connection:
        operations.store_keys(connection, keys=[found.keys], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)
    return found


async def deliver(port: int, *frames: bytes, eof: bool = True) -> None:
    """Send as a meter does, and wait until the listener hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for frame in frames:
        writer.write(frame)
    await writer.drain()
    if eof:
        writer.write_eof()
    async with asyncio.timeout(10):
        await reader.read()
    writer.close()
    await writer.wait_closed()


def push_all(database: Database, head_end: HeadEnd, *connections: tuple[bytes, ...]) -> None:
    async def scenario() -> None:
        listener = PushListener(database=database, head_end=head_end, clock=StillClock())
        await listener.start(host="127.0.0.1", port=0)
        for frames in connections:
            await deliver(listener.port, *frames)
        await listener.close()

    asyncio.run(scenario())


def events(database: Database) -> list[MeterEvent]:
    with database.read() as connection:
        return [event for _, event in readings.events(connection, after=0, limit=100)]


def counts(database: Database) -> tuple[int, int, int]:
    with database.read() as connection:
        found = queries.push_counts(connection)
        total = queries.notifications_received(connection)
    assert total == found["received"] + found["quarantined"]
    return found["received"], found["repeated"], found["quarantined"]


def codes(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {one.code: one.count for one in queries.quarantined(connection)}


class TestListen:
    def test_stores_the_event_before_it_hangs_up(self, database: Database, head_end: HeadEnd, meter: Meter):
        async def scenario() -> list[MeterEvent]:
            listener = PushListener(database=database, head_end=head_end, clock=StillClock())
            await listener.start(host="127.0.0.1", port=0)
            await deliver(listener.port, meter.alert((MAGNET,), NOW), eof=False)
            stored = events(database)
            await listener.close()
            return stored

        (event,) = asyncio.run(scenario())

        assert (event.meter, event.code, event.family, event.origin) == ("BJ100001", 201, "other", "push")
        assert (event.at, event.received_at) == (NOW, LATER)

    def test_tells_only_the_edges_of_standing_states(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        words: list[tuple[int, ...]] = [
            (MAGNET,),
            (MAGNET, COVER),
            (COVER,),
            (COVER, RELAY_OPEN),
            (COVER,),
        ]
        frames = [(meter.alert(bits, NOW + timedelta(seconds=place)),) for place, bits in enumerate(words)]

        push_all(database, head_end, *frames)

        assert [event.code for event in events(database)] == [201, 251, 202, 301, 302]
        assert counts(database) == (5, 0, 0)

    def test_folds_the_same_frame_and_the_same_alert_sent_again(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        frame = meter.alert((MAGNET,), NOW)
        meter.pushed -= 1
        ciphered_anew = meter.alert((MAGNET,), NOW)

        push_all(database, head_end, (frame,), (frame,), (ciphered_anew,), (ciphered_anew,))

        assert len(events(database)) == 1
        assert counts(database) == (1, 3, 0)

    def test_makes_no_restoration_out_of_an_older_alert_that_comes_late(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        meter.pushed = 10
        newer = meter.alert((MAGNET, COVER), NOW + timedelta(seconds=9))
        meter.pushed = 9
        older = meter.alert((MAGNET,), NOW)

        push_all(database, head_end, (newer,), (older,))

        assert sorted(event.code for event in events(database)) == [201, 251]
        assert counts(database) == (2, 0, 0)

    def test_goes_by_the_number_of_alerts_made_in_the_same_second(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        first = meter.alert((MAGNET,), NOW)
        second = meter.alert((MAGNET, COVER), NOW)
        meter.pushed = 0
        first_again = meter.alert((MAGNET,), NOW)

        push_all(database, head_end, (first,), (second,), (first_again,))

        assert [event.code for event in events(database)] == [201, 251]

    def test_takes_several_alerts_in_one_connection(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        frames = tuple(
            meter.alert(bits, NOW + timedelta(seconds=place))
            for place, bits in enumerate([(MAGNET,), (), (COVER,)])
        )

        push_all(database, head_end, (b"".join(frames),))

        assert [event.code for event in events(database)] == [201, 202, 251]

    def test_takes_an_alert_in_single_octets(self, database: Database, head_end: HeadEnd, meter: Meter):
        async def scenario() -> None:
            listener = PushListener(database=database, head_end=head_end, clock=StillClock())
            await listener.start(host="127.0.0.1", port=0)
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            for octet in meter.alert((MAGNET,), NOW):
                writer.write(bytes((octet,)))
                await writer.drain()
                await asyncio.sleep(0)
            await reader.read()
            writer.close()
            await listener.close()

        asyncio.run(scenario())

        assert counts(database) == (1, 0, 0)

    def test_knows_after_a_restart_what_was_pushed_before(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        first, second = meter.alert((MAGNET,), NOW), meter.alert((MAGNET, COVER), LATER)

        push_all(database, head_end, (first,))
        push_all(database, open_head_end(database, settings=FAST), (first,), (second,))

        assert [event.code for event in events(database)] == [201, 251]
        assert counts(database) == (2, 1, 0)


class TestQuarantine:
    def test_takes_a_changed_bit_for_forged(self, database: Database, head_end: HeadEnd, meter: Meter):
        frame = meter.alert((MAGNET,), NOW)

        push_all(database, head_end, (frame[:-1] + bytes((frame[-1] ^ 1,)),))

        assert events(database) == []
        assert codes(database) == {"dlms.forged": 1}

    def test_holds_what_another_key_has_sealed(self, database: Database, head_end: HeadEnd, meter: Meter):
        push_all(database, head_end, (meter.alert((MAGNET,), NOW, ek=b"W" * 16),))

        assert events(database) == []
        assert codes(database) == {"dlms.wrong-key": 1}

    def test_takes_what_keys_of_its_own_have_sealed_where_the_reading_keys_were_changed(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        old = meter.keys
        new = replace(old, ek=b"N" * 16, ak=b"M" * 16, push_ek=old.ek, push_ak=old.ak)
        with database.write() as connection:
            operations.store_keys(connection, keys=[new], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)

        push_all(database, head_end, (meter.alert((MAGNET,), NOW),))

        assert counts(database) == (1, 0, 0)

    @pytest.mark.parametrize("has_one_pair", [False, True])
    def test_takes_what_was_sealed_by_keys_that_were_changed_meanwhile(
        self, database: Database, head_end: HeadEnd, meter: Meter, has_one_pair: bool
    ):
        push_all(database, head_end, (meter.alert((MAGNET,), NOW),))
        old, ek, ak = meter.keys, b"N" * 16, b"M" * 16
        kept = {"push_ek": old.ek, "push_ak": old.ak} if has_one_pair else {}
        with database.write() as connection:
            new = replace(old, ek=ek, ak=ak, **kept)
            operations.store_keys(connection, keys=[new], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)
        meter.keys = new  # its pushes are under these from now on

        push_all(
            database,
            head_end,
            (meter.alert((MAGNET, COVER), LATER),),
            (meter.alert((), LATER, ek=b"W" * 16),),
        )

        assert counts(database) == (2, 0, 1)

    def test_holds_an_old_counter(self, database: Database, head_end: HeadEnd, meter: Meter):
        recorded = meter.alert((MAGNET,), NOW)
        meter.pushed = 50
        newer = meter.alert((), LATER)

        push_all(database, head_end, (newer,), (recorded,))

        assert events(database) == []
        assert codes(database) == {"dlms.replayed": 1}

    def test_holds_unknown_senders_by_their_title(self, database: Database, head_end: HeadEnd):
        stranger = Meter(keys=meter_keys("BJ999999"))

        push_all(database, head_end, (stranger.alert((MAGNET,), NOW),), (stranger.alert((), NOW),))

        with database.read() as connection:
            (held,) = queries.quarantined(connection)
        assert (held.sender, held.code, held.count) == (
            stranger.keys.system_title.hex(),
            "dlms.wrong-title",
            2,
        )
        assert counts(database) == (0, 0, 2)

    def test_holds_plain_pushes_and_such_without_a_tag(
        self, database: Database, head_end: HeadEnd, meter: Meter
    ):
        notification = DataNotification(data=axdr.structure(axdr.unsigned(1)))
        plain = push.encode(notification, security=None)
        untagged = push.encode(
            notification,
            security=Security(
                ciphered=True,
                own_title=meter.keys.system_title,
                ek=meter.keys.ek,
                ak=meter.keys.ak,
                control=0x20,
                next_counter=meter.next_sent,
            ),
        )

        push_all(database, head_end, (plain,), (untagged,))

        assert counts(database) == (0, 0, 2)
        assert set(codes(database)) == {"dlms.unprotected"}

    def test_holds_what_is_no_alert(self, database: Database, head_end: HeadEnd, meter: Meter):
        other = push.encode(
            DataNotification(data=axdr.structure(axdr.unsigned(1))),
            security=replace_security(meter),
        )

        push_all(database, head_end, (other,))

        assert codes(database) == {"dlms.malformed": 1}

    @pytest.mark.parametrize(
        "octets", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 40, b"\x00\x01\x00\x01\x00\x40\xff\xff"]
    )
    def test_holds_garbage(self, database: Database, head_end: HeadEnd, octets: bytes):
        push_all(database, head_end, (octets,))

        assert events(database) == []
        assert counts(database) == (0, 0, 1)

    def test_holds_an_alert_that_broke_off(self, database: Database, head_end: HeadEnd, meter: Meter):
        push_all(database, head_end, (meter.alert((MAGNET,), NOW)[:-5],))

        assert codes(database) == {"dlms.truncated": 1}

    def test_does_not_keep_later_alerts_out(self, database: Database, head_end: HeadEnd, meter: Meter):
        frame = meter.alert((MAGNET,), NOW)
        forged = frame[:-1] + bytes((frame[-1] ^ 1,))

        push_all(database, head_end, (forged + frame,))

        assert len(events(database)) == 1
        assert counts(database) == (1, 0, 1)

    def test_counts_no_connection_that_says_nothing(self, database: Database, head_end: HeadEnd):
        push_all(database, head_end, (b"",))

        assert counts(database) == (0, 0, 0)


def replace_security(meter: Meter) -> Security:
    return Security(
        ciphered=True,
        own_title=meter.keys.system_title,
        ek=meter.keys.ek,
        ak=meter.keys.ak,
        next_counter=meter.next_sent,
    )


class TestStart:
    def test_names_the_address_that_it_cannot_have(self, database: Database, head_end: HeadEnd):
        async def scenario() -> None:
            first = PushListener(database=database, head_end=head_end, clock=StillClock())
            await first.start(host="127.0.0.1", port=0)
            second = PushListener(database=database, head_end=head_end, clock=StillClock())
            try:
                await second.start(host="127.0.0.1", port=first.port)
            finally:
                await first.close()

        with pytest.raises(BrokenSettings, match="push listener"):
            asyncio.run(scenario())

    def test_hangs_up_on_a_meter_that_falls_silent(self, database: Database, meter: Meter):
        head_end = open_head_end(database, settings=replace(FAST, push_timeout_s=0.2))

        async def scenario() -> None:
            listener = PushListener(database=database, head_end=head_end, clock=StillClock())
            await listener.start(host="127.0.0.1", port=0)
            await deliver(listener.port, meter.alert((), NOW)[:4], eof=False)
            await listener.close()

        asyncio.run(scenario())

        assert counts(database) == (0, 0, 0)

    def test_listens_until_it_is_cancelled(self, database: Database, head_end: HeadEnd):
        async def scenario() -> None:
            listening = asyncio.create_task(
                operations.listen(database, head_end=head_end, host="127.0.0.1", port=0, clock=StillClock())
            )
            await asyncio.sleep(0.05)
            assert not listening.done()
            listening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await listening

        asyncio.run(scenario())
