"""The doors of the simulator: for the command line, the demo, the benchmarks and the tests."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from bijlighar.base.clock import Clock
from bijlighar.base.errors import InvalidValue
from bijlighar.base.period import local_date
from bijlighar.base.words import Words
from bijlighar.dlms.session import Framing
from bijlighar.simulator import process
from bijlighar.simulator.controlclient import TownControl
from bijlighar.simulator.folder import TownFolder, memory_of, read_town, write_private, write_town
from bijlighar.simulator.livetown import LiveTown
from bijlighar.simulator.loadfile import load_profiles
from bijlighar.simulator.memory import Memory
from bijlighar.simulator.papers import keys_json, network_csv, offices_csv, registry_csv, url_of
from bijlighar.simulator.process import CallIn, Service
from bijlighar.simulator.providers import serve_providers
from bijlighar.simulator.providers_client import ProviderControl
from bijlighar.simulator.providers_fate import ProviderSecrets
from bijlighar.simulator.rules import plan_town

__all__ = [
    "FAULT_WORDS",
    "CallIn",
    "ProviderControl",
    "ProviderSecrets",
    "TownControl",
    "TownFolder",
    "keys_json",
    "load_profiles",
    "network_csv",
    "offices_csv",
    "read_town",
    "registry_csv",
    "serve_alone",
    "serve_providers",
    "serve_town",
    "url_of",
    "write_town",
]

LOCAL_HOST = "127.0.0.1"
HISTORY_DAYS = 35

#: The faults that can be simulated, for a person.
FAULT_WORDS: Mapping[str, Words] = MappingProxyType(
    {
        "silent": Words(hi="हर कनेक्शन तुरंत तोड़ देता है", en="resets every connection at once"),
        "mute": Words(hi="कनेक्शन लेता है, पर उत्तर नहीं देता", en="takes connections and never answers"),
        "garbage": Words(hi="निरर्थक बाइट भेजता है", en="answers with meaningless octets"),
        "wrong_key": Words(hi="उसमें दूसरी कुंजी है", en="holds other keys than those in the keys file"),
        "drop": Words(hi="उत्तर के बीच में कनेक्शन तोड़ देता है", en="closes in the middle of an answer"),
        "stuck_relay": Words(
            hi="रिले का आदेश मान लेता है, पर रिले हिलती नहीं", en="accepts orders to its relay, which does not move"
        ),
        "power_failure": Words(hi="बिजली गुल: न उत्तर, न खपत", en="has no supply: neither answers nor counts"),
        "slow_link": Words(
            hi="धीमी लाइन: लगभग 1,200 बाइट प्रति सेकंड", en="answers at about 1,200 octets a second"
        ),
        "delay": Words(hi="हर उत्तर 150 मि.से. देर से", en="answers 150 ms late"),
        "lossy_link": Words(hi="दस में से एक उत्तर खो जाता है", en="loses one answer of ten on the way"),
        "garbled": Words(
            hi="दस में से तीन उत्तरों में एक बिट उलटा", en="has one bit flipped in three answers of ten"
        ),
        "counter_jump": Words(
            hi="संदेश-गणक अचानक बहुत आगे", en="has counters that jumped far ahead, its own and the clients'"
        ),
        "clock_drift": Words(
            hi="घड़ी रोज़ 20 से 90 सेकंड भटकती है", en="has a clock that is off by 20 to 90 s more each day"
        ),
        "clock_step": Words(hi="घड़ी 10 से 90 मिनट ग़लत", en="has a clock that is off by 10 to 90 minutes"),
        "duplicated_rows": Words(hi="हर दसवीं पंक्ति दो बार देता है", en="gives every tenth load row twice"),
        "repeated_rows": Words(
            hi="हर बारहवीं पंक्ति में पिछले मान", en="shows the values of the row above in every twelfth load row"
        ),
        "register_reset": Words(hi="रजिस्टर शून्य से फिर शुरू", en="counts its registers from 0 again"),
        "register_rollover": Words(hi="रजिस्टर में केवल छह अंक (Wh)", en="has registers of six digits [Wh]"),
        "weld": Words(
            hi="रिले खुली बताता है, पर धारा बहती है", en="tells that its relay is open while current flows"
        ),
        "reversed_ct": Words(
            hi="उलटा CT: कम यूनिट गिनता है", en="has a current transformer the wrong way round"
        ),
        "reboot": Words(hi="सत्र के बीच में रीबूट", en="reboots after its first answer and is away for a second"),
        "other_firmware": Words(
            hi="दूसरा फ़र्मवेयर: कॉलम दूसरे क्रम में", en="has another firmware, with load columns in another order"
        ),
        "shared_modem": Words(
            hi="एक ही मॉडम पर: एक समय में चार कनेक्शन",
            en="shares one modem with the others, four connections at a time",
        ),
        "other_access": Words(
            hi="दूसरे ढंग से खुलता है: प्रमाणीकरण, पता, गणक या स्थिति-शब्द अलग",
            en="is called otherwise: mechanism, password, addresses, counters or status word, by its place",
        ),
    }
)


def serve_town(
    *,
    folder: Path,
    control: str | None,
    announce: Callable[[str], None],
    port: int | None = None,
    push: str | None = None,
    faults: str = "",
    per_gateway: int | None = None,
    call_in: CallIn | None = None,
) -> None:
    """
    Be the process of the meters of the town in `folder`, with their memory, until SIGTERM.

    The control socket stands at `control` (HOST:PORT on loopback); `port` and `push` overrule what the folder says;
    `per_gateway` meters stand behind one gateway, None: each has a modem of its own. With `call_in` no port is
    opened: their modems call.

    :raises NoTown: if the folder holds no town.
    :raises PortTaken: if a port is in use.
    :raises UnknownFault: if `faults` cannot be understood.
    """
    found = read_town(folder)
    target = push or found.push
    memory = Memory(memory_of(folder))
    try:
        live = LiveTown(town=found.town, memory=memory, profiles=found.profiles, pushes=target is not None)
        process.give_faults(live, spec=faults)
        service = Service(
            host=found.host,
            port=found.port if port is None else port,
            control=control,
            push=target,
            per_gateway=per_gateway,
            call_in=call_in,
        )
        process.run(live, service=service, announce=announce)
    finally:
        memory.close()


def serve_alone(  # noqa: PLR0913 - one for each option of `meter simulate`
    *,
    meters: int,
    seed: int,
    port: int,
    clock: Clock,
    announce: Callable[[str], None],
    host: str = LOCAL_HOST,
    control: str | None = None,
    push: str | None = None,
    faults: str = "",
    hdlc: bool = False,
    profiles: Path | None = None,
    keys_out: Path | None = None,
    per_gateway: int | None = None,
    call_in: CallIn | None = None,
) -> None:
    """
    Be the process of `meters` meters that remember their last 35 days and follow `clock`, until SIGTERM.

    Nothing is kept when it ends. The keys file is written to `keys_out` before the first meter listens. With
    `call_in` no port is opened: their modems call.

    :raises SimulatorError: if there can be no such meters, or a port is in use.
    :raises InvalidValue: if the keys cannot be written.
    """
    first_day = local_date(clock.now()) - timedelta(days=HISTORY_DAYS)
    loads = None if profiles is None else load_profiles(profiles)
    town = plan_town(
        seed=seed, meters=meters, months=1, first_day=first_day, profiles=loads, stand_alone=True
    )
    if keys_out is not None:
        scheme = "hdlc+tcp" if hdlc else "tcp"
        try:
            behind = None if call_in is None else call_in.per_modem
            keys = keys_json(town=town, host=host, port=port, scheme=scheme, per_modem=behind)
            write_private(keys_out, keys.encode())
        except OSError as problem:
            raise InvalidValue(f"the keys cannot be written to {keys_out}: {problem.strerror}") from None
    memory = Memory(None)
    try:
        live = LiveTown(town=town, memory=memory, profiles=loads, pushes=push is not None)
        process.give_faults(live, spec=faults)
        framing = Framing.HDLC if hdlc else Framing.WRAPPER
        service = Service(
            host=host,
            port=port,
            control=control,
            push=push,
            framing=framing,
            clock=clock,
            per_gateway=per_gateway,
            call_in=call_in,
        )
        process.run(live, service=service, announce=announce)
    finally:
        memory.close()
