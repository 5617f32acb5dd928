"""Vendors' key files through adapters, to a meter that is read with what they brought."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from bijlighar.cli.keys import keys as keys_command
from bijlighar.cli.meter import meter as meter_command
from bijlighar.headend import keys_store, operations
from bijlighar.headend.errors import BrokenKeysFile
from bijlighar.headend.gate_door import GateFolder
from bijlighar.headend.keys import reading_part, write_keys_file
from bijlighar.headend.model import Ceilings, MeterKeys
from bijlighar.headend.vendor_keys import (
    key_adapter,
    read_vendor_keys,
    read_wrapping_key,
    shipped_key_adapters,
)
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import KEY_ENCRYPTION_KEY
from bijlighar.storage.engine import Database
from tests.headend.meter import Meter, serving
from tests.headend.orders import KEY_ENCRYPTION_KEY as SEALING_KEY
from tests.headend.orders import NOW, VERIFY_KEY, meter_keys

WRAPPING_KEY = bytes(range(100, 116))
SHIPPED = shipped_key_adapters()


def vendor_csv(*meters: MeterKeys) -> str:
    lines = [
        f"{m.serial},{m.system_title.hex()},{m.ek.hex().upper()},{m.ak.hex()},{text(m.lls)}" for m in meters
    ]
    return "\ufeffserial,system_title,ek,AK,lls\r\n" + "".join(f"{line}\r\n" for line in lines)


def vendor_xml(*meters: MeterKeys, flip: bool = False) -> str:
    def wrapped(key: bytes) -> str:
        octets = bytearray(aes_key_wrap(WRAPPING_KEY, key))
        octets[3] ^= flip
        return octets.hex()

    devices = "\n".join(
        f"<Device><SerialNumber>{m.serial}</SerialNumber><SystemTitle>{m.system_title.hex()}</SystemTitle>"
        f"<Keys><GUEK>{wrapped(m.ek)}</GUEK><GAK>{wrapped(m.ak)}</GAK><KEK>{wrapped(b'M' * 16)}</KEK>"
        f"<LLS>{text(m.lls)}</LLS><HLS>{text(m.hls)}</HLS></Keys></Device>"
        for m in meters
    )
    return f"<Shipment><Devices>\n{devices}\n</Devices></Shipment>"


def text(secret: bytes | None) -> str:
    return "" if secret is None else secret.decode()


def read(file: str, *, name: str = "generic-csv", kek: bytes | None = None) -> tuple[MeterKeys, ...]:
    through = key_adapter(SHIPPED[name], name=name)
    return read_vendor_keys(file.encode(), adapter=through, file="v.file", wrapping_key=kek)


class TestReadVendorKeys:
    def test_takes_a_table_in_either_case_of_hex(self):
        (found,) = read(vendor_csv(meter_keys()))

        assert found == replace(meter_keys(), url=None, hls=None, factory=True)

    def test_takes_base64_where_the_adapter_says_so(self):
        adapter = SHIPPED["generic-csv"].replace('{from = "ek", as = "hex"}', '{from = "ek", as = "base64"}')
        plain = meter_keys()
        file = vendor_csv(plain).replace(plain.ek.hex().upper(), base64.b64encode(plain.ek).decode())

        through = key_adapter(adapter, name="v")
        (found,) = read_vendor_keys(file.encode(), adapter=through, file="v", wrapping_key=None)

        assert found.ek == plain.ek

    def test_unwraps_xml(self):
        found = read(
            vendor_xml(meter_keys("BJ1"), meter_keys("BJ2")), name="dlms-names-xml", kek=WRAPPING_KEY
        )

        expected = [replace(meter_keys(s), url=None, master=b"M" * 16, factory=True) for s in ("BJ1", "BJ2")]
        assert list(found) == expected

    @pytest.mark.parametrize(
        ("file", "kek", "says"),
        [
            (vendor_xml(meter_keys()), None, "v.file: line 2: ek is wrapped; give .* --kek"),
            (vendor_xml(meter_keys()), bytes(16), "v.file: line 2: ek does not unwrap"),
            (vendor_xml(meter_keys(), flip=True), WRAPPING_KEY, "v.file: line 2: ek does not unwrap"),
            (vendor_xml(meter_keys())[:-60], WRAPPING_KEY, "v.file: line 2: .*torn"),
            ("<!DOCTYPE S [<!ENTITY a 'b'>]><S/>", WRAPPING_KEY, "v.file: line 1: a DOCTYPE"),
        ],
    )
    def test_refuses_xml(self, file, kek, says):
        with pytest.raises(BrokenKeysFile, match=f"nothing was stored: {says}"):
            read(file, name="dlms-names-xml", kek=kek)

    @pytest.mark.parametrize(
        ("old", "new", "says"),
        [
            (meter_keys("BJ2").ak.hex(), "00" * 15, "line 3: ak has 15 octets, not 16"),
            (meter_keys("BJ2").ak.hex(), "zz" * 16, "line 3: ak is not hex"),
            ("BJ2,", "BJ1,", "line 3: its serial stands on line 2 too"),
            (
                meter_keys("BJ2").system_title.hex(),
                meter_keys("BJ1").system_title.hex(),
                "line 3: its system_title",
            ),
            ("AK", "kak", "column ak is missing"),
            ("lls", "pin", "column pin is unknown"),
        ],
    )
    def test_refuses_a_table_and_prints_no_key(self, old, new, says):
        meters = (meter_keys("BJ1"), meter_keys("BJ2"))
        file = vendor_csv(*meters)
        assert old in file

        with pytest.raises(BrokenKeysFile, match=f"v.file: .*{says}") as caught:
            read(file.replace(old, new, 1))

        for meter in meters:
            for secret in (meter.ek.hex(), meter.ak.hex(), text(meter.lls)):
                assert secret.lower() not in str(caught.value).lower()

    def test_names_meters_that_stand_on_one_line(self):
        one = "<Meter serial='1'><SystemTitle>0000000000000001</SystemTitle><EK>{0}</EK><AK>{0}</AK></Meter>"
        one = one.format("00" * 16)

        with pytest.raises(BrokenKeysFile, match="its serial stands on line 1 too"):
            read(f"<Meters>{one}{one}</Meters>", name="generic-xml")


class TestReadWrappingKey:
    @pytest.mark.parametrize("wrong", ["", "00" * 15, "zz" * 16])
    def test_refuses_what_is_no_key(self, wrong):
        with pytest.raises(BrokenKeysFile, match="hex digits"):
            read_wrapping_key(wrong)


class TestNewKeys:
    @pytest.fixture
    def gate(self, tmp_path: Path) -> GateFolder:
        gate = GateFolder(path=tmp_path / "gate")
        gate.found(verify_key=VERIFY_KEY, ceilings=Ceilings())
        return gate

    def take(self, database: Database, gate: GateFolder, *keys: MeterKeys) -> tuple[int, int]:
        with database.write() as connection:
            found = operations.new_keys(connection, gate=gate, keys=keys, key_encryption_key=SEALING_KEY)
            operations.store_keys_apart(
                connection, gate=gate, keys=found.new, key_encryption_key=SEALING_KEY, now=NOW
            )
        return len(found.new), found.known

    def test_stores_once(self, database: Database, gate: GateFolder):
        first, second = meter_keys("BJ1"), meter_keys("BJ2")

        assert self.take(database, gate, first) == (1, 0)
        assert self.take(database, gate, replace(first, url=None), second) == (1, 1)
        assert self.take(database, gate, first, second) == (0, 2)
        with database.read() as connection:
            rows = keys_store.sealed_keys(connection, serials=["BJ1"])
        assert [row.unseal(key_encryption_key=SEALING_KEY) for row in rows] == [reading_part(first)]

    @pytest.mark.parametrize(
        "change", [{"ek": b"X" * 16}, {"hls": b"other"}, {"master": b"X" * 16}, {"system_title": b"12345678"}]
    )
    def test_stores_nothing_where_one_meter_has_other_keys(
        self, database: Database, gate: GateFolder, change
    ):
        self.take(database, gate, meter_keys("BJ1"))

        with pytest.raises(BrokenKeysFile, match="meter BJ1 is stored with other keys"):
            self.take(database, gate, meter_keys("BJ2"), replace(meter_keys("BJ1"), **change))

        with database.read() as connection:
            assert keys_store.meters_with_keys(connection) == {"BJ1"}

    def test_refuses_the_system_title_of_another_meter(self, database: Database, gate: GateFolder):
        self.take(database, gate, meter_keys("BJ1"))

        with pytest.raises(BrokenKeysFile, match="is that of meter BJ1"):
            self.take(database, gate, replace(meter_keys("BJ2"), system_title=meter_keys("BJ1").system_title))


class TestCommand:
    def keys(self, home: Path, *arguments: str) -> Result:
        return CliRunner().invoke(keys_command, [*arguments, "--home", str(home)])

    def test_brings_keys_by_which_a_meter_is_read(self, tmp_path: Path):
        meter, home = Meter(keys=meter_keys()), Home(tmp_path / "home")
        file, kek = tmp_path / "keys.xml", tmp_path / "kek"
        file.write_text(vendor_xml(meter_keys()), encoding="utf-8")
        kek.write_text(f"{WRAPPING_KEY.hex()}\n")
        arguments = (str(file), "--adapter", "dlms-names-xml", "--kek", str(kek))

        first, again = self.keys(home.path, *arguments), self.keys(home.path, *arguments)

        assert (first.exit_code, "keys of 1 meters are stored" in first.output) == (0, True), first.exception
        assert "1 meters were stored before with these same keys" in again.output
        with home.database.read() as connection:
            (row,) = keys_store.sealed_keys(connection, serials=[meter_keys().serial])
        imported = row.unseal(key_encryption_key=home.key(KEY_ENCRYPTION_KEY))
        taken = tmp_path / "taken.json"
        taken.write_text(write_keys_file([imported]))
        with serving(meter) as url:
            arguments = ("read", url, "--profile", "nameplate", "--client", "32", "--keys", str(taken))
            shown = CliRunner().invoke(meter_command, [*arguments, "--format", "json"])
        assert shown.exception is None, shown.exception
        assert "BJ100001" in shown.stdout
        for secret in (meter_keys().ek, meter_keys().ak, WRAPPING_KEY):
            assert secret.hex() not in first.output + again.output

    def test_finds_an_own_adapter_in_the_home_and_by_its_path(self, tmp_path: Path):
        home = tmp_path / "home"
        (home / "adapters").mkdir(parents=True)
        own = SHIPPED["generic-csv"].replace('"serial"', '"मीटर क्रमांक"')
        for path in (home / "adapters" / "acme.toml", tmp_path / "other.toml"):
            path.write_text(own, encoding="utf-8")
        file = tmp_path / "keys.csv"
        file.write_text(re.sub("serial", "मीटर क्रमांक", vendor_csv(meter_keys()), count=1), encoding="utf-8")

        by_name = self.keys(home, str(file), "--adapter", "acme")
        by_path = self.keys(home, str(file), "--adapter", str(tmp_path / "other.toml"))
        unknown = self.keys(home, str(file), "--adapter", "nobody")

        assert (by_name.exit_code, by_path.exit_code, unknown.exit_code) == (0, 0, 1)
        assert "1 meters were stored before" in by_path.output
        assert "dlms-names-xml, generic-csv, generic-xml" in str(unknown.exception)

    def test_stores_nothing_of_a_broken_file(self, tmp_path: Path):
        file = tmp_path / "keys.csv"
        file.write_text(vendor_csv(meter_keys("BJ1")) + "BJ2,00\n", encoding="utf-8")

        result = self.keys(tmp_path / "home", str(file), "--adapter", "generic-csv")

        assert (result.exit_code, "keys.csv: line 3" in str(result.exception)) == (1, True)
        with Home(tmp_path / "home").database.read() as connection:
            assert keys_store.meters_with_keys(connection) == frozenset()

    def test_takes_a_key_for_an_adapter_only(self, tmp_path: Path):
        file = tmp_path / "keys.json"
        file.write_text("[]")

        assert self.keys(tmp_path / "home", str(file), "--kek", str(file)).exit_code == 2
