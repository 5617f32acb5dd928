import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bijlighar.headend import keys_store
from bijlighar.headend.errors import BrokenKeysFile, SealedKeys
from bijlighar.headend.keys import push_keys, read_keys_file, seal, unseal, write_keys_file
from bijlighar.headend.model import MeterKeys
from bijlighar.storage.engine import Database
from tests.headend.orders import KEY_ENCRYPTION_KEY, NOW, meter_keys


def opened(serial: str, sealed: bytes, kek: bytes | None = KEY_ENCRYPTION_KEY):
    keys = meter_keys()
    return unseal(
        serial=serial, system_title=keys.system_title, url=keys.url, sealed=sealed, key_encryption_key=kek
    )


class TestReadKeysFile:
    def test_reads_what_was_written(self):
        keys = (meter_keys("BJ100001"), meter_keys("BJ100002", lls=None, hls=None, url=None))

        assert read_keys_file(write_keys_file(keys)) == keys

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("serial", ""),
            ("serial", 7),
            ("system_title", "00"),
            ("ek", "zz"),
            ("ek", "00" * 15),
            ("ak", None),
            ("lls", 5),
            ("url", ["tcp://"]),
        ],
    )
    def test_names_the_meter_whose_entry_is_wrong(self, name, value):
        document = json.loads(write_keys_file([meter_keys()]))
        document[0][name] = value

        with pytest.raises(BrokenKeysFile, match=r"entry 1|BJ100001"):
            read_keys_file(json.dumps(document))

    @pytest.mark.parametrize("text", ["", "{}", "[1]", "null", "[" * 100_000])
    def test_refuses_what_is_no_list_of_meters(self, text):
        with pytest.raises(BrokenKeysFile):
            read_keys_file(text)

    def test_refuses_a_meter_named_twice(self):
        with pytest.raises(BrokenKeysFile, match="twice"):
            read_keys_file(write_keys_file([meter_keys(), meter_keys()]))


class TestSeal:
    def test_opens_with_its_key_and_serial_alone(self):
        sealed = seal(keys=meter_keys(), key_encryption_key=KEY_ENCRYPTION_KEY)

        assert opened("BJ100001", sealed) == meter_keys()
        with pytest.raises(SealedKeys):
            opened("BJ100002", sealed)
        with pytest.raises(SealedKeys):
            opened("BJ100001", sealed, bytes(32))
        with pytest.raises(SealedKeys):
            opened("BJ100001", sealed[:-1] + bytes([sealed[-1] ^ 1]))

    @pytest.mark.parametrize("kek", [None, b"", bytes(16)])
    def test_needs_a_key_encryption_key(self, kek):
        with pytest.raises(SealedKeys):
            seal(keys=meter_keys(), key_encryption_key=kek)

    def test_holds_no_secret_in_the_clear_and_prints_none(self):
        keys = meter_keys()

        sealed = seal(keys=keys, key_encryption_key=KEY_ENCRYPTION_KEY)

        assert keys.ek not in sealed
        assert keys.ek.hex().encode() not in sealed
        assert "password" not in repr(keys)
        assert repr(keys.ek) not in repr(keys)

    def test_opens_what_an_older_release_sealed(self):
        keys = meter_keys(setting_ek=b"s" * 16, factory=True)
        cipher, nonce = AESGCM(KEY_ENCRYPTION_KEY), bytes(12)
        shortest = [keys.ek.hex(), keys.ak.hex(), b"password".hex(), None]
        longer = [*shortest, (b"s" * 16).hex(), None, None, True]

        rows = [
            nonce + cipher.encrypt(nonce, json.dumps(held).encode(), b"BJ100001")
            for held in (shortest, longer)
        ]

        first, second = [opened("BJ100001", row) for row in rows]
        assert first == meter_keys(hls=None)
        assert second == replace(keys, hls=None)

    def test_holds_all_that_a_meter_may_have(self):
        named = ("setting_ek", "setting_ak", "push_ek", "push_ak", "master")
        keys = meter_keys(**{name: name.encode().ljust(16, b"-") for name in named}, factory=True)

        sealed = seal(keys=keys, key_encryption_key=KEY_ENCRYPTION_KEY)

        assert opened("BJ100001", sealed) == keys
        assert read_keys_file(write_keys_file([keys])) == (keys,)
        assert push_keys(keys) == (keys.push_ek, keys.push_ak)
        assert push_keys(meter_keys()) == (meter_keys().ek, meter_keys().ak)

    def test_is_different_each_time(self):
        first = seal(keys=meter_keys(), key_encryption_key=KEY_ENCRYPTION_KEY)

        assert first != seal(keys=meter_keys(), key_encryption_key=KEY_ENCRYPTION_KEY)


class TestStoreKeys:
    def test_replaces_the_keys_of_a_known_meter(self, database: Database):
        old, new = meter_keys(), replace(meter_keys(), ek=b"N" * 16)
        for keys in (old, new):
            with database.write() as connection:
                keys_store.store_keys(connection, keys=[keys], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)

        with database.read() as connection:
            (row,) = keys_store.sealed_keys(connection, serials=["BJ100001", "BJ100009"])

        assert row.unseal(key_encryption_key=KEY_ENCRYPTION_KEY) == new

    def test_finds_a_meter_by_its_system_title_only_if_one_alone_has_it(self, database: Database):
        title = meter_keys().system_title
        with database.write() as connection:
            keys_store.store_keys(
                connection, keys=[meter_keys()], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW
            )
            alone = keys_store.sealed_keys_of_title(connection, system_title=title)
            twin = meter_keys("BJ200001", system_title=title)
            keys_store.store_keys(connection, keys=[twin], key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)
            both = keys_store.sealed_keys_of_title(connection, system_title=title)

        assert alone is not None
        assert alone.serial == "BJ100001"
        assert both is None


class TestEndChange:
    def begin(self, database: Database, keys: MeterKeys) -> None:
        with database.write() as connection:
            keys_store.begin_change(connection, keys=keys, key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW)

    def end(self, database: Database, keys: MeterKeys, clients: tuple[int, ...] = (32,)) -> bool:
        with database.write() as connection:
            return keys_store.end_change(
                connection, keys=keys, key_encryption_key=KEY_ENCRYPTION_KEY, now=NOW, ciphers=clients
            )

    def test_leaves_a_later_change_alone(self, database: Database):
        first, second = (replace(meter_keys(), ek=letter * 16) for letter in (b"1", b"2"))
        self.begin(database, first)
        assert self.end(database, first)
        self.begin(database, second)

        assert not self.end(database, first)

        with database.read() as connection:
            (row,) = keys_store.sealed_keys(connection, serials=[first.serial])
            begun = keys_store.change_of(connection, keys=first, key_encryption_key=KEY_ENCRYPTION_KEY)
        assert row.unseal(key_encryption_key=KEY_ENCRYPTION_KEY) == first
        assert begun == second

    def test_drops_no_other_change(self, database: Database):
        first, second = (replace(meter_keys(), ek=letter * 16) for letter in (b"1", b"2"))
        self.begin(database, first)
        with database.write() as connection:
            keys_store.drop_change(connection, keys=second, key_encryption_key=KEY_ENCRYPTION_KEY)
            kept = keys_store.meters_in_change(connection)
            keys_store.drop_change(connection, keys=first, key_encryption_key=KEY_ENCRYPTION_KEY)
            dropped = keys_store.meters_in_change(connection)

        assert (kept, dropped) == ({first.serial}, frozenset())

    def test_believes_old_counters_again_only_of_clients_with_new_keys(self, database: Database):
        keys = meter_keys()
        with database.write() as connection:
            for client in (32, 48):
                keys_store.raise_counters(connection, floors={keys.serial: 1}, client=client, count=10)
                keys_store.write_received(connection, received={keys.serial: 7}, client=client)
        self.begin(database, replace(keys, lls=b"other"))
        assert self.end(database, replace(keys, lls=b"other"), ())
        after_password = self.received(database, keys.serial)
        self.begin(database, replace(keys, ek=b"1" * 16))
        assert self.end(database, replace(keys, ek=b"1" * 16))

        assert after_password == (7, 7)
        assert self.received(database, keys.serial) == (-1, 7)

    def received(self, database: Database, serial: str) -> tuple[int, int]:
        with database.read() as connection:
            first, second = (
                keys_store.received_counters(connection, meters=[serial], client=client)[serial]
                for client in (32, 48)
            )
        return first, second
