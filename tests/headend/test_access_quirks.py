"""Meters that are called otherwise are read with a quirk file; without it they are not, and the error says so."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bijlighar.base.errors import BijligharError
from bijlighar.base.period import day_number
from bijlighar.cli.main import bijlighar
from bijlighar.dlms.security import Control, Mechanism, Security
from bijlighar.headend import operations, queries
from bijlighar.headend.access import client_security
from bijlighar.headend.errors import BrokenQuirk, UnknownMeterKeys
from bijlighar.headend.gate_keeper import GateKeeper
from bijlighar.headend.head_end import HeadEnd, open_head_end
from bijlighar.headend.listener import PushListener
from bijlighar.headend.model import SESSION_OK, MeterKeys
from bijlighar.headend.quirks import Quirk
from bijlighar.headend.quirks_access import SerialForm
from bijlighar.headend.quirks_file import load_quirk, load_quirks
from bijlighar.headend.tcp import parse_url
from bijlighar.readings import queries as readings
from bijlighar.registry import operations as registry
from bijlighar.simulator import operations as simulator
from bijlighar.simulator.ways import WAYS
from bijlighar.storage.engine import Database
from bijlighar.storage.schema import metadata
from tests.headend.conftest import FAST
from tests.headend.orders import KEY_ENCRYPTION_KEY, meter_keys
from tests.headend.test_cli import call, json_of
from tests.headend.test_listener import StillClock
from tests.simulator.towns import FIRST_DAY, MIDNIGHT, TownProcess, a_town, free_ports

AFTER = timedelta(days=1, minutes=30)
#: What an engineer writes for each way in which simulated meters are called otherwise.
FILES = {
    "hls2": '[clients.32]\nmechanism = "hls2"\npassword_octets = 16\n',
    "hls3": '[clients.32]\nmechanism = "hls3"\nchallenge_octets = 8\n',
    "hls4": '[clients.32]\nmechanism = "hls4"\nchallenge_octets = 64\n',
    "hls5": '[clients.32]\nmechanism = "hls5"\n',
    "no-password": '[clients.32]\nmechanism = "none"\n',
    "plain": "[clients.32]\nciphered = false\n",
    "hex-password": '[clients.32]\npassword = "hex"\n',
    "filled-password": '[clients.32]\npassword_octets = 16\npassword_filling = "space"\n',
    "suite-1": "[contact]\nsuite = 1\n",
    "suite-2": "[contact]\nsuite = 2\n",
    "encrypted-only": '[clients.32]\nprotection = "encrypted"\n',
    "title-of-serial": '[contact]\ntitle_from = "serial"\ntitle_maker = "BJX"\n',
    "client-addresses": "[clients]\n16 = {address = 17}\n32 = {address = 33}\n48 = {address = 49}\n",
    "server-address": "[contact]\nserver = 5\n",
    "own-counters": '[clients]\n32 = {counter = "0.0.43.1.10.255"}\n48 = {counter = "0.0.43.1.11.255"}\n',
    "untold-counters": '[contact]\ncounter_from = "refusal"\n',
    "reversed-word": '[status_word]\nfirst = "right"\n',
    "short-word": '[status_word]\nbits = 32\nfirst = "right-of-octet"\n'
    "[status_word.numbers]\n0 = 0\n1 = 2\n8 = 81\n9 = 82\n10 = 83\n11 = 84\n20 = 85\n21 = 86\n",
    "hdlc-four": "[contact]\nphysical = 17\naddress_octets = 4\n",
    "hdlc-two": "[contact]\nphysical = 18\naddress_octets = 2\n",
}
#: In the wrapper these answer as the standard says: of HDLC alone, or of what is pushed.
AT_EASE = ("reversed-word", "short-word", "hdlc-four", "hdlc-two")
NAMES = tuple(way.name for way in WAYS)
#: What shows in HDLC alone, and one of the others for company.
OF_HDLC = ("client-addresses", "server-address", "hdlc-four", "hdlc-two", "hls2")


def file_of(name: str, serial: str) -> str:
    return f'[match]\nserials = ["{serial}"]\n{FILES[name]}'


def of_suite(keys: MeterKeys, name: str) -> MeterKeys:
    """The keys as the keys file of that meter has them."""
    return replace(keys, ek=keys.ek + keys.ak, ak=keys.ak + keys.ek) if name == "suite-2" else keys


class Ways:
    """Meters on real sockets, one for each way."""

    def __init__(self, process: TownProcess, keys: tuple[MeterKeys, ...], folder: Path) -> None:
        self.process = process
        self.keys = {way.name: of_suite(one, way.name) for way, one in zip(WAYS, keys, strict=True)}
        self.quirks = folder / "quirks"
        self.quirks.mkdir()
        for name, one in self.keys.items():
            (self.quirks / f"{name}.toml").write_text(file_of(name, one.serial))
            (folder / f"{name}.json").write_text(operations.write_keys_file([one]))
        self._folder = folder

    def url(self, name: str) -> str:
        url = self.keys[name].url
        assert url is not None
        return url

    def words(self, *words: str, name: str, with_file: bool) -> tuple[str, ...]:
        verb, *rest = words
        quirks = ("--quirks", str(self.quirks / f"{name}.toml")) if with_file else ()
        keys = ("--keys", str(self._folder / f"{name}.json"))
        return (verb, self.url(name), *rest, *keys, *quirks, "--timeout", "1.5")


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    folder = tmp_path_factory.mktemp("ways")
    plan = a_town(meters=len(WAYS), stand_alone=True)
    push = f"127.0.0.1:{free_ports(80) + 79}"
    with TownProcess(folder, "--faults", "other_access=1", town=plan, push=push) as process:
        process.push = push  # type: ignore[attr-defined]
        process.control.set_time(MIDNIGHT + AFTER)
        text = simulator.keys_json(town=plan, host="127.0.0.1", port=process.port)
        yield Ways(process, operations.read_keys_file(text), folder)


@pytest.fixture(scope="module")
def hdlc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    folder = tmp_path_factory.mktemp("hdlc")
    file = folder / "keys.json"
    options = ("--meters", str(len(WAYS)), "--hdlc", "--keys-out", str(file), "--faults", "other_access=1")
    with TownProcess(folder, *options) as process:
        yield Ways(process, operations.read_keys_file(file.read_text()), folder)


@pytest.fixture
def stored(tmp_path: Path, ways: Ways) -> Iterator[Database]:
    """A database that knows the meters and their keys."""
    database = Database(f"sqlite:///{tmp_path}/ways.sqlite")
    metadata.create_all(database.engine)
    plan = ways.process.town
    assert plan is not None
    with database.write() as connection:
        registry.import_network(connection, text=simulator.network_csv(town=plan))
        text = simulator.registry_csv(town=plan, host="127.0.0.1", port=ways.process.port)
        registry.import_registry(connection, text=text, now=MIDNIGHT)
        keys = tuple(ways.keys.values())
        operations.store_keys(connection, keys=keys, key_encryption_key=KEY_ENCRYPTION_KEY, now=MIDNIGHT)
    yield database
    database.close()


def head_end_with(database: Database, ways: Ways | None) -> HeadEnd:
    quirks = operations.Quirks() if ways is None else operations.read_quirks(ways.quirks)
    return open_head_end(database, settings=replace(FAST, answer_timeout_s=1.5, quirks=quirks))


def test_every_way_has_its_file():
    assert tuple(FILES) == NAMES


class TestCollecting:
    def test_fails_with_advice_without_the_files_and_reads_the_truth_with_them(
        self, stored: Database, ways: Ways
    ):
        now = MIDNIGHT + AFTER
        asyncio.run(operations.collect_due(stored, now=now, head_end=head_end_with(stored, None)))
        with stored.read() as connection:
            before = {
                name: queries.sessions(connection, meter=keys.serial, limit=1)[0]
                for name, keys in ways.keys.items()
            }
        assert {name for name, row in before.items() if row.outcome == SESSION_OK} == set(AT_EASE)
        assert {name for name, row in before.items() if "quirk file" not in row.note} == set(AT_EASE)

        later = now + timedelta(hours=6)
        asyncio.run(operations.collect_due(stored, now=later, head_end=head_end_with(stored, ways)))

        truth = ways.process.control.truth(FIRST_DAY, FIRST_DAY)
        place = {serial: row for row, serial in enumerate(truth.serials)}
        with stored.read() as connection:
            after = {
                name: queries.sessions(connection, meter=keys.serial, limit=1)[0]
                for name, keys in ways.keys.items()
            }
            blocks = readings.days(
                connection, meters=None, first=day_number(FIRST_DAY), last=day_number(FIRST_DAY)
            )
        assert {name: row.outcome for name, row in after.items()} == dict.fromkeys(NAMES, SESSION_OK)
        assert all(
            row.note == f"quirk file {name}.toml" for name, row in after.items() if name not in AT_EASE
        )
        found = {
            meter: block.channel("wh_import")[row]
            for block in blocks
            for row, meter in enumerate(block.meters)
        }
        for name, keys in ways.keys.items():
            assert np.array_equal(found[keys.serial], truth.registered_wh[place[keys.serial]]), name


class TestGate:
    @pytest.mark.parametrize(
        "name",
        [
            "client-addresses",
            "server-address",
            "own-counters",
            "untold-counters",
            "suite-2",
            "title-of-serial",
        ],
    )
    def test_speaks_as_client_48_by_the_file(self, stored: Database, ways: Ways, name: str):
        keys = ways.keys[name]

        async def shows_relay(head_end: HeadEnd) -> bool:
            keeper = GateKeeper(head_end=head_end, store=stored, ceilings=lambda: None)
            address = parse_url(ways.url(name))
            session = await keeper.open(serial=keys.serial, address=address, now=MIDNIGHT + AFTER)
            try:
                return (await session.read_relay()).output_state
            finally:
                session.close()

        with pytest.raises(BijligharError, match="quirk file"):
            asyncio.run(shows_relay(head_end_with(stored, None)))
        assert asyncio.run(shows_relay(head_end_with(stored, ways)))


class TestFieldTool:
    @pytest.mark.parametrize("name", [name for name in NAMES if name not in AT_EASE])
    def test_reads_with_the_file_alone_and_says_without_that_it_is_wanted(self, ways: Ways, name: str):
        words = ("read", "--profile", "instantaneous")
        refused = call(*ways.words(*words, name=name, with_file=False))
        assert refused.exit_code == 1
        assert "quirk file" in str(refused.exception)

        for _ in range(2):  # again: what the first has counted is in the way of the second
            answer = json_of(*ways.words(*words, name=name, with_file=True))
            assert (answer["serial"], answer["quirk"]) == (ways.keys[name].serial, name)
            assert len(answer["rows"]) == 1  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", OF_HDLC)
    def test_reads_over_hdlc_too(self, hdlc: Ways, name: str):
        words = ("read", "--profile", "nameplate")
        refused = call(*hdlc.words(*words, name=name, with_file=False))
        assert refused.exit_code == 1
        assert "quirk file" in str(refused.exception)
        assert json_of(*hdlc.words(*words, name=name, with_file=True))["quirk"] == name

    @pytest.mark.parametrize("name", NAMES)
    def test_commands_with_the_file_under_a_tag(self, ways: Ways, name: str):
        for what, closed in (("disconnect", False), ("reconnect", True)):
            answer = json_of(*ways.words("relay", what, name=name, with_file=True))
            assert (answer["output_state"], answer["verified"]) == (closed, True)

    @pytest.mark.parametrize("name", ["encrypted-only", "plain"])
    def test_sends_no_command_that_has_no_tag(self, ways: Ways, name: str):
        words = ways.words("relay", "disconnect", "--client", "32", name=name, with_file=True)
        acts = len(ways.process.control.relays().acts)
        assert "for reading alone" in str(call(*words).exception)
        assert len(ways.process.control.relays().acts) == acts

    def test_finds_the_public_clients_address_by_the_serial_number_in_the_keys(self, ways: Ways):
        words = ("get", "0.0.1.0.0.255", "--class", "8", "--attribute", "2", "--client", "16")
        refused = call(*ways.words(*words, name="client-addresses", with_file=False))
        assert "quirk file" in str(refused.exception)
        assert json_of(*ways.words(*words, name="client-addresses", with_file=True))["value"]

    def test_believes_the_title_in_the_aare_where_the_file_says_so(self, ways: Ways, tmp_path: Path):
        keys = ways.keys["title-of-serial"]
        file = tmp_path / "mine.toml"
        file.write_text(f'[match]\nserials = ["{keys.serial}"]\n[contact]\ntitle_from = "meter"\n')
        words = ways.words("read", "--profile", "nameplate", name="title-of-serial", with_file=False)
        assert json_of(*words, "--quirks", str(file))["quirk"] == "mine"

    def test_says_that_the_file_is_of_other_meters(self, ways: Ways):
        words = ways.words("read", "--profile", "nameplate", name="hls5", with_file=False)
        told = str(call(*words, "--quirks", str(ways.quirks / "hls4.toml")).exception)
        assert f"no quirk file here is of the serial number {ways.keys['hls5'].serial}" in told
        assert call(*words, "--quirks", str(ways.quirks)).exit_code == 0

    def test_names_the_file_that_did_not_help(self, ways: Ways, tmp_path: Path):
        file = tmp_path / "mine.toml"
        file.write_text(
            f'[match]\nserials = ["{ways.keys["hls5"].serial}"]\n[clients.32]\nmechanism = "hls4"\n'
        )
        words = ways.words("read", "--profile", "nameplate", name="hls5", with_file=False)
        assert "called by the quirk file mine.toml" in str(call(*words, "--quirks", str(file)).exception)

    def test_refuses_at_once_a_file_that_cannot_be_used(self, ways: Ways, tmp_path: Path):
        file = tmp_path / "mine.toml"
        file.write_text('[match]\nserials = ["*"]\n[contact]\nsuite = 7\n')
        words = ways.words("read", "--profile", "nameplate", name="hls5", with_file=False)
        told = str(call(*words, "--quirks", str(file)).exception)
        assert told == "mine.toml [contact]: suite must be one of 0, 1, 2, not 7"
        checked = CliRunner().invoke(bijlighar, ["meter", "quirks", str(file)])
        assert checked.exit_code == 1
        assert "suite must be one of" in str(checked.exception)


class TestPushes:
    def tampered(self, ways: Ways, database: Database, head_end: HeadEnd, name: str, code: int) -> list[int]:
        """The codes of the events that are stored after a meter has been tampered with."""
        serial = ways.keys[name].serial

        async def scenario() -> None:
            listener = PushListener(database=database, head_end=head_end, clock=StillClock())
            host, _, port = ways.process.push.rpartition(":")  # type: ignore[attr-defined]
            await listener.start(host=host, port=int(port))
            try:
                control = ways.process.control
                sent = (await asyncio.to_thread(control.pushes)).sent
                await asyncio.to_thread(control.tamper, serial=serial, code=code)
                async with asyncio.timeout(20):
                    while (await asyncio.to_thread(control.pushes)).sent == sent:
                        pass
            finally:
                await listener.close()

        asyncio.run(scenario())
        with database.read() as connection:
            found = [event for _, event in readings.events(connection, after=0, limit=100)]
        return [event.code for event in found if event.meter == serial]

    @pytest.mark.parametrize("name", ["reversed-word", "short-word"])
    def test_tell_events_by_the_makers_numbers_with_the_file_and_are_strange_without(
        self, stored: Database, ways: Ways, name: str
    ):
        assert self.tampered(ways, stored, head_end_with(stored, None), name, 201) == []
        with stored.read() as connection:
            (kind,) = queries.push_kinds(connection).values()
        assert (kind.kind, kind.unplaced) == ("alert", 1)
        assert "quirk file" in kind.note

        codes = self.tampered(ways, stored, head_end_with(stored, ways), name, 203)

        # A word that could be read by mistake is taken for seen, one that could not is told late.
        assert (201 in codes) == (name == "short-word")
        assert set(codes) - {201, 301} == {203}
        with stored.read() as connection:
            (kind,) = queries.push_kinds(connection).values()
        assert kind.unplaced == 1

    @pytest.mark.parametrize("name", ["suite-1", "suite-2"])
    def test_are_opened_by_the_suite_of_the_file(self, stored: Database, ways: Ways, name: str):
        assert self.tampered(ways, stored, head_end_with(stored, None), name, 201) == []
        assert {201, 203} <= set(self.tampered(ways, stored, head_end_with(stored, ways), name, 203))
        with stored.read() as connection:
            (held,) = queries.quarantined(connection)
        assert held.code in ("dlms.malformed", "dlms.wrong-key")

    def test_under_a_title_of_its_own_are_taken_once_a_session_has_proved_it(
        self, stored: Database, ways: Ways
    ):
        head_end = head_end_with(stored, ways)
        assert self.tampered(ways, stored, head_end, "title-of-serial", 201) == []
        now = MIDNIGHT + AFTER
        asyncio.run(operations.collect_due(stored, now=now, head_end=head_end))
        assert 203 in self.tampered(ways, stored, head_end, "title-of-serial", 203)

    def test_of_a_meter_with_a_broken_file_wait_until_it_is_mended(self, stored: Database, ways: Ways):
        name = "reversed-word"
        serial = ways.keys[name].serial
        broken = load_quirks({"bad": f'[match]\nserials = ["{serial}"]\n[status_word]\nfirst = "up"\n'})
        head_end = open_head_end(stored, settings=replace(FAST, quirks=broken))
        assert self.tampered(ways, stored, head_end, name, 251) == []
        with stored.read() as connection:
            (kind,) = queries.push_kinds(connection).values()
        assert "bad.toml [status_word]: first must be one of" in kind.note
        codes = self.tampered(ways, stored, head_end_with(stored, ways), name, 205)
        assert {251, 205} <= set(codes)


SERIALS = '[match]\nserials = ["AC*"]\n'


class TestFile:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("[contact]\nsuite = 3\n", "[contact]: suite must be one of 0, 1, 2, not 3"),
            ("[contact]\nsuite = true\n", "suite must be one of 0, 1, 2, not True"),
            ("[contact]\nserver = 70000\n", "server must be a whole number from 0 to 16383, not 70000"),
            ("[contact]\naddress_octets = 3\n", "address_octets must be one of 1, 2, 4, not 3"),
            ("[contact]\naddress_octets = 1\nphysical = 17\n", "no room for physical; give 2 or 4"),
            ("[contact]\naddress_octets = 2\nphysical = 300\n", "up to 127; give 4"),
            ('[contact]\ntitle_from = "aarq"\n', "title_from must be one of 'keys', 'meter', 'serial'"),
            ('[contact]\ntitle_from = "serial"\n', "needs title_maker: 3 letters, not ''"),
            ('[contact]\ntitle_maker = "ABC"\n', 'are for title_from = "serial"'),
            ('[contact]\ncounter_from = "guess"\n', "counter_from must be one of 'public', 'refusal'"),
            ("[clients.33]\naddress = 1\n", "there is no client '33' (known: 16 public, 32 reading, 48"),
            ('[clients.16]\nmechanism = "lls"\n', "[clients.16]: unknown name mechanism (known here: address)"),
            ('[clients.32]\nmechanism = "hls6"\n', "mechanism must be one of 'none', 'lls', 'hls2'"),
            ('[clients.32]\npassword = "base64"\n', "password must be one of 'text', 'hex'"),
            ("[clients.32]\npassword_octets = 65\n", "password_octets must be a whole number from 1 to 64"),
            ('[clients.32]\npassword_filling = "space"\n', "password_filling needs password_octets"),
            ("[clients.32]\nchallenge_octets = 7\n", "challenge_octets must be a whole number from 8 to 64"),
            ('[clients.32]\nciphered = "no"\n', "ciphered must be true or false, not 'no'"),
            ('[clients.32]\nciphered = false\nprotection = "encrypted"\n', "protection is for what is ciphered"),
            ('[clients.48]\nprotection = "encrypted"\n', "[clients.48]: protection \"encrypted\" has no tag"),
            ("[clients.48]\nciphered = false\n", "never for client 48"),
            ('[clients.48]\nmechanism = "none"\n', "never for client 48"),
            ('[clients.32]\ncounter = "0.0.43"\n', "[clients.32]: counter: "),
            ("[status_word]\nbits = 0\n", "[status_word]: bits must be a whole number from 1 to 512"),
            ('[status_word]\nfirst = "top"\n', "first must be one of 'left', 'right', 'right-of-octet'"),
            ("[status_word.numbers]\nx = 1\n", "[status_word.numbers]: a bit's name is its number from 0 to 127"),
            ("[status_word.numbers]\n1 = 128\n", "1 must be a whole number from 0 to 127, not 128"),
            ('[status_word]\nfirst = "left"\n', "it says what the standard says"),
        ],
    )  # fmt: skip
    def test_of_nonsense_is_refused_by_file_and_field(self, text: str, words: str):
        with pytest.raises(BrokenQuirk) as problem:
            load_quirk("acme", SERIALS + text)
        assert "acme.toml" in str(problem.value)
        assert words in str(problem.value)

    def test_with_clients_needs_serials(self):
        with pytest.raises(
            BrokenQuirk, match=r"\[contact\] needs \[match\] serials, and so does \[clients\]"
        ):
            load_quirk("acme", '[match]\nmaker = "X"\n[clients.32]\naddress = 1\n')

    def test_of_a_status_word_is_found_by_model_too(self):
        quirks = load_quirks({"word": '[match]\nmaker = "X"\n[status_word]\nbits = 64\n'})
        found = quirks.status_word_of(serial="AC1", model=lambda: "X / 6 / 2.0")
        assert found is not None
        assert found.bits == 64
        assert quirks.status_word_of(serial="AC1", model=lambda: "Y / 6 / 2.0") is None


def secured(text: str, *, client: int = 32, **changes: object) -> Security | None:
    quirk = load_quirk("acme", SERIALS + text) if text else Quirk()
    return client_security(
        client=client,
        keys=replace(meter_keys("AC1"), **changes),  # type: ignore[arg-type]
        system_title=b"BJLGHEAD",
        next_counter=lambda: 1,
        received_counter=-1,
        quirk=quirk,
    )


class TestClientSecurity:
    @pytest.mark.parametrize(
        ("lls", "text", "octets"),
        [
            (b"00ff10", '[clients.32]\npassword = "hex"\n', b"\x00\xff\x10"),
            (b"00ff10", '[clients.32]\npassword = "hex"\npassword_octets = 5\n', b"\x00\xff\x10\x00\x00"),
            (b"AB", '[clients.32]\npassword_octets = 4\npassword_filling = "zero"\n', b"AB00"),
            (b"AB", '[clients.32]\npassword_octets = 2\npassword_filling = "space"\n', b"AB"),
        ],
    )
    def test_makes_the_password_as_the_file_says(self, lls: bytes, text: str, octets: bytes):
        security = secured(text, lls=lls)
        assert security is not None
        assert security.secret == octets

    @pytest.mark.parametrize(
        ("lls", "text", "words"),
        [
            (b"S3CRET", '[clients.32]\npassword = "hex"\n', "lls of the keys is no hex"),
            (b"S3CRET", "[clients.32]\npassword_octets = 4\n", "has 6 octets, more than password_octets = 4"),
        ],
    )
    def test_shows_no_password_that_does_not_fit(self, lls: bytes, text: str, words: str):
        with pytest.raises(BrokenQuirk) as problem:
            secured(text, lls=lls)
        assert words in str(problem.value)
        assert "S3CRET" not in str(problem.value)

    def test_wants_keys_of_the_suites_length(self):
        with pytest.raises(UnknownMeterKeys, match="security suite 2 wants 32"):
            secured("[contact]\nsuite = 2\n")
        with pytest.raises(
            UnknownMeterKeys, match=r"security suite 0 wants 16: .* name the suite in a quirk file"
        ):
            secured("", ek=bytes(32), ak=bytes(32))

    def test_leaves_the_setting_client_its_tag_whatever_the_reader_has(self):
        text = '[clients.32]\nprotection = "encrypted"\n'
        reader, setting = secured(text), secured(text, client=48)
        assert reader is not None
        assert setting is not None
        assert (reader.control, reader.accept_unauthenticated) == (Control.ENCRYPTED, True)
        assert (setting.control, setting.accept_unauthenticated) == (0x30, False)

    def test_takes_the_setting_clients_secret_from_its_own_place(self):
        text = '[clients.48]\nmechanism = "hls3"\npassword_octets = 12\n'
        security = secured(text, client=48, hls=b"KEY48", lls=b"KEY32")
        assert security is not None
        assert (security.mechanism, security.secret) == (Mechanism.HLS3, b"KEY48".ljust(12, b"\0"))
        with pytest.raises(UnknownMeterKeys, match=r"hold no hls, which acme\.toml wants for client 48"):
            secured(text, client=48, hls=None)

    @pytest.mark.parametrize("form", list(SerialForm))
    def test_refuses_a_serial_number_without_digits(self, form: SerialForm):
        text = f'[contact]\ntitle_from = "serial"\ntitle_maker = "ABC"\ntitle_serial = "{form.value}"\n'
        with pytest.raises(BrokenQuirk, match="no system title follows"):
            secured(text, serial="ACX")
        security = secured(text)
        assert security is not None
        assert security.peer_title is not None
        assert len(security.peer_title) == 8


class TestKeysFile:
    def test_holds_keys_of_both_lengths(self):
        keys = replace(meter_keys(), ek=bytes(32), ak=bytes(range(32)))
        assert operations.read_keys_file(operations.write_keys_file([keys])) == (keys,)
        entry = json.loads(operations.write_keys_file([keys]))
        entry[0]["ek"] = "00" * 24
        with pytest.raises(operations.HeadEndError, match="16 or 32 octets"):
            operations.read_keys_file(json.dumps(entry))
