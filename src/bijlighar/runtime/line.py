"""Everything a step needs, wired once per process: database, policy, books, keys, adapters."""

import asyncio
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bijlighar.alarms import operations as alarms
from bijlighar.alarms.model import SirenSettings
from bijlighar.alarms.operations import SirenOutput
from bijlighar.arrears import operations as arrears
from bijlighar.arrears import rules as arrears_rules
from bijlighar.arrears.rules import Policy
from bijlighar.base.errors import BijligharError
from bijlighar.headend import operations as headend
from bijlighar.headend import rules as headend_rules
from bijlighar.headend.model import Ceilings, ControlOrder, HeadEndSettings, SignedOrder
from bijlighar.headend.operations import GateFolder, HeadEnd
from bijlighar.headend.rules import Contract
from bijlighar.ledger import operations as ledger
from bijlighar.ledger.model import GatewaySettings
from bijlighar.ledger.operations import PaymentGateway
from bijlighar.notices import operations as notices
from bijlighar.notices.model import WhatsAppSettings
from bijlighar.notices.operations import MessageGateway
from bijlighar.runtime.home import Home
from bijlighar.runtime.settings import BrokenSettings
from bijlighar.storage.engine import Database
from bijlighar.tariffs import operations as tariffs
from bijlighar.tariffs.model import Books

AUTHORITY_KEY = "authority"
AUTHORITY_PUBLIC_FILE = "authority.pub"
KEY_ENCRYPTION_KEY = "key-encryption"
GATE_FOLDER = "gate"
#: Where the head-end is asked for a modem that has called in, by itself and by the gate.
CALL_IN_SOCKET = "run/call-in.sock"
QUIRKS_FOLDER = "quirks"
TITLE_OCTETS = 8


class NotConfigured(BijligharError):
    """A setting that the step needs is empty."""

    code = "runtime.not-configured"


class Line:
    """The straight line of one home."""

    def __init__(self, home: Home, *, worker: str = "bijlighar") -> None:
        """Wire nothing yet: each part is opened when it is first needed. `worker` names this process in leases."""
        self.home = home
        self.worker = worker

    @property
    def database(self) -> Database:
        """Return the database."""
        return self.home.database

    @cached_property
    def policy(self) -> Policy:
        """
        Return the arrears policy in force: the home's own, else the shipped one.

        :raises BrokenSettings: if the file that the setting names cannot be read.
        :raises BrokenPolicy: if it cannot be used.
        """
        own = self._own("policy")
        return arrears_rules.load_policy(arrears.shipped_policy() if own is None else own)

    @cached_property
    def contract(self) -> Contract:
        """
        Return the contract with the operator of the meters: the home's own, else the shipped one.

        :raises BrokenSettings: if the file that the setting names cannot be read.
        :raises BrokenContract: if it cannot be used.
        """
        own = self._own("contract")
        return headend_rules.load_contract(headend.shipped_contract() if own is None else own)

    def _own(self, setting: str) -> str | None:
        """Return the text of the home's own file that a setting names, None where it names none."""
        name = self.home.settings.text(setting)
        if not name:
            return None
        file = self.home.path / name
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise BrokenSettings(
                f"the {setting} {file} cannot be read ({problem}); correct the setting"
            ) from None

    @cached_property
    def books(self) -> Books:
        """
        Return the tariff books: the home's own, else the shipped ones.

        :raises BrokenBook: if one cannot be used.
        """
        return tariffs.open_books(folder=self.home.path / self.home.settings.text("tariffs"))

    @cached_property
    def head_end(self) -> HeadEnd:
        """Return the head-end of this process."""
        settings = replace(self.head_end_settings, key_encryption_key=self.home.key(KEY_ENCRYPTION_KEY))
        return headend.open_head_end(self.database, settings=settings)

    @cached_property
    def head_end_settings(self) -> HeadEndSettings:
        """Return how this process would read; the key that opens the meters' keys is used if it is here, not made."""
        settings = self.home.settings
        return HeadEndSettings(
            worker=self.worker,
            system_title=_title(settings.text("headend.title")),
            key_encryption_key=self.home.known_key(KEY_ENCRYPTION_KEY),
            verify_key=self.verify_key,
            concurrency=settings.whole("headend.concurrency"),
            gateway_concurrency=settings.whole("headend.gateway_concurrency"),
            connect_timeout_s=settings.number("headend.connect_timeout_s"),
            answer_timeout_s=settings.number("headend.answer_timeout_s"),
            clock_from_s=settings.whole("headend.clock_from_s"),
            clock_limit_s=settings.whole("headend.clock_limit_s"),
            ceilings=None,
            gate_socket=str(self.gate.socket),
            call_in_socket=str(self.home.path.resolve() / CALL_IN_SOCKET),
            call_in_connections=settings.whole("headend.call_in_connections"),
            call_in_per_source=settings.whole("headend.call_in_per_source"),
            call_in_idle_s=settings.number("headend.call_in_idle_s"),
            quirks=headend.read_quirks(self.home.path / QUIRKS_FOLDER),
        )

    @cached_property
    def gate(self) -> GateFolder:
        """Return the folder of the gate, which has a process of its own."""
        return GateFolder(path=self.home.path / (self.home.settings.text("gate.folder") or GATE_FOLDER))

    def found_gate(self) -> GateFolder:
        """
        Return the folder of the gate, made if need be.

        An older home's keys are parted then: what commands meters moves into the gate's own store.
        """
        settings = self.home.settings
        self.home.make()
        self.gate.found(
            verify_key=self.verify_key,
            ceilings=Ceilings(
                per_hour=settings.whole("headend.ceiling_hour"),
                per_feeder_hour=settings.whole("headend.ceiling_feeder_hour"),
                per_day=settings.whole("headend.ceiling_day"),
            ),
        )
        headend.adopt_keys(
            self.database,
            gate=self.gate,
            key_encryption_key=self.home.key(KEY_ENCRYPTION_KEY),
            now=self.now(),
        )
        return self.gate

    async def listen(self, *, ready: asyncio.Event) -> None:
        """Take what meters push, and the calls of modems, until cancelled; `ready` is set when it is listened."""
        settings = self.home.settings
        call_in_port = settings.whole("headend.call_in_port")
        await headend.listen(
            self.database,
            head_end=self.head_end,
            host=settings.text("headend.push_host"),
            port=settings.whole("headend.push_port") or None,
            clock=self.home.clock,
            call_in=(settings.text("headend.call_in_host"), call_in_port) if call_in_port else None,
            ready=ready,
        )

    def sign(self, order: ControlOrder) -> SignedOrder:
        """Sign a control order with the key of the authority, which the head-end does not hold."""
        return headend.sign_order(order=order, private_key=self.home.key(AUTHORITY_KEY))

    @property
    def verify_key(self) -> bytes:
        """Return the public key of the authority, by which the gate knows its orders."""
        file = self.home.folder("keys") / AUTHORITY_PUBLIC_FILE
        if not file.exists():
            private = Ed25519PrivateKey.from_private_bytes(self.home.key(AUTHORITY_KEY))
            file.write_bytes(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        return file.read_bytes()

    @cached_property
    def message_gateway(self) -> MessageGateway | None:
        """Return the provider of messages, None where none is set: messages wait then."""
        settings = self.home.settings
        if not settings.text("whatsapp.phone_number_id"):
            return None
        return notices.open_gateway(
            WhatsAppSettings(
                url=settings.text("whatsapp.url"),
                phone_number_id=settings.text("whatsapp.phone_number_id"),
                token=settings.text("whatsapp.token"),
            )
        )

    @cached_property
    def payment_gateway(self) -> PaymentGateway:
        """
        Return the payment gateway.

        :raises NotConfigured: if none is set.
        """
        settings = self.home.settings
        if not settings.text("gateway.key_id"):
            raise NotConfigured(
                "no payment gateway is set; set gateway.key_id and its secrets in settings.toml"
            )
        return ledger.open_gateway(
            GatewaySettings(
                base_url=settings.text("gateway.url"),
                key_id=settings.text("gateway.key_id"),
                key_secret=settings.text("gateway.key_secret"),
                webhook_secret=settings.text("gateway.webhook_secret"),
            )
        )

    def open_siren(self) -> SirenOutput:
        """Return the siren of the settings; without a broker, one that is not there."""
        settings = self.home.settings
        return alarms.open_siren(
            SirenSettings(
                host=settings.text("siren.mqtt_host"),
                port=settings.whole("siren.mqtt_port"),
                topic=settings.text("siren.topic"),
                username=settings.text("siren.username"),
                password=settings.text("siren.password"),
            ),
            clock=self.home.clock,
        )

    @property
    def public_url(self) -> str:
        """Return how consumers reach the web server, without a slash at the end."""
        settings = self.home.settings
        url = settings.text("web.public_url")
        return (url or f"http://{settings.text('web.host')}:{settings.whole('web.port')}").rstrip("/")

    @property
    def documents(self) -> Path:
        """Return the folder of documents."""
        return self.home.documents

    def now(self) -> datetime:
        """Return the home's present moment."""
        return self.home.clock.now()


def _title(text: str) -> bytes:
    try:
        title = bytes.fromhex(text)
    except ValueError:
        title = b""
    if len(title) != TITLE_OCTETS:
        raise BrokenSettings(f"headend.title must be {TITLE_OCTETS} octets in hex, not {text!r}")
    return title
