"""
The settings of a home: one tuple, each with its default and what it means.

A setting is read from the environment (`BIJLIGHAR_` and its name in capitals, dots as underscores), else from
`settings.toml` in the home, else it has its default.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bijlighar.base.errors import BijligharError

SettingValue = str | int | float | bool
ENVIRONMENT_PREFIX = "BIJLIGHAR_"


class BrokenSettings(BijligharError):
    """The settings file or a variable of the environment cannot be used."""

    code = "runtime.broken-settings"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its dotted name, its default (which tells its type) and its meaning."""

    name: str
    default: SettingValue
    meaning: str


SETTINGS: tuple[Setting, ...] = (
    Setting("database", "", "SQLAlchemy URL; empty = SQLite in the home."),
    Setting("demo", False, "The home of a demo: its time is set by the demo's driver. Never set by hand."),
    Setting("company.name_hi", "मध्यप्रदेश पश्चिम क्षेत्र विद्युत वितरण कंपनी", "Name on bills and messages, Hindi."),
    Setting(
        "company.name_en", "MP Paschim Kshetra Vidyut Vitaran Co.", "Name on bills and messages, English."
    ),
    Setting("company.upi_id", "bijlighar@upi", "UPI address that bills are paid to."),
    Setting("web.host", "127.0.0.1", "Address that the web server listens on."),
    Setting("web.port", 8080, "Port that the web server listens on."),
    Setting(
        "web.public_url", "", "How consumers and providers reach the web server; empty = http://host:port."
    ),
    Setting(
        "worker.poll_s", 0.02, "Pause of an idle worker before it asks whether anything was committed [s]."
    ),
    Setting("headend.title", "424A4C4748454144", "The head-end's system title, 8 octets in hex."),
    Setting("headend.push_host", "127.0.0.1", "Address that listens for the meters' pushes."),
    Setting(
        "headend.push_port",
        4059,
        "Port that listens for the meters' pushes, over TCP and UDP; 0 = do not listen.",
    ),
    Setting("headend.call_in_host", "127.0.0.1", "Address that modems call in on."),
    Setting("headend.call_in_port", 0, "Port that modems call in on; 0 = none may."),
    Setting("headend.call_in_connections", 10_000, "Modems that may be connected at one time."),
    Setting("headend.call_in_per_source", 1_000, "Modems that may be connected from one address."),
    Setting("headend.call_in_idle_s", 900.0, "A modem that says nothing for so long is hung up on [s]."),
    Setting("headend.concurrency", 100, "Sessions with meters at one time."),
    Setting("headend.gateway_concurrency", 4, "Sessions at one time through one gateway."),
    Setting("headend.connect_timeout_s", 5.0, "Longest wait for a meter to accept a connection [s]."),
    Setting("headend.answer_timeout_s", 10.0, "Longest wait for a meter's answer [s]."),
    Setting("headend.clock_from_s", 60, "A meter's clock that is off by more is set [s]."),
    Setting("headend.clock_limit_s", 7_200, "A clock that is off by more is left to a person [s]."),
    Setting(
        "gate.folder",
        "",
        "The gate's own folder: its store, keys, ceilings, socket; empty = `gate` in the home.",
    ),
    Setting(
        "headend.ceiling_hour",
        50,
        "What the gate's own file `ceilings.toml` begins with: disconnections within one hour.",
    ),
    Setting(
        "headend.ceiling_feeder_hour",
        20,
        "What the gate's own file `ceilings.toml` begins with: disconnections on one feeder in one hour.",
    ),
    Setting(
        "headend.ceiling_day",
        300,
        "What the gate's own file `ceilings.toml` begins with: disconnections of the company in one day.",
    ),
    Setting(
        "contract",
        "",
        "The contract with the operator of the meters: a file, relative to the home; empty = the shipped one.",
    ),
    Setting(
        "cases.assess_months_max",
        12,
        "How many months before an inspection units may be assessed for at most; s.126(5) of the Electricity Act "
        "2003 says twelve where the period is not known. Have counsel confirm it for your company.",
    ),
    Setting(
        "retention.interval_months",
        0,
        "How many whole months before this one keep their intervals; what is older may be removed by hand once it is "
        "sealed and archived, registers never; 0 = everything is kept.",
    ),
    Setting("billing.bill_from_day", 3, "Day of the next month from which a month is billed."),
    Setting("policy", "", "The arrears policy: a file, relative to the home; empty = the shipped one."),
    Setting(
        "tariffs",
        "tariffs",
        "Folder of tariff books, relative to the home; the shipped ones where it is empty.",
    ),
    Setting(
        "whatsapp.url", "https://graph.facebook.com/v23.0", "Base of the WhatsApp Cloud API; empty = none."
    ),
    Setting(
        "whatsapp.phone_number_id", "", "The sending number's id at the provider; empty = messages wait."
    ),
    Setting("whatsapp.token", "", "Access token; better given by the environment."),
    Setting("whatsapp.app_secret", "", "Secret that signs the provider's callbacks."),
    Setting("whatsapp.verify_token", "", "Word that the provider repeats when it registers the callback."),
    Setting("gateway.url", "https://api.razorpay.com", "Base of the payment gateway's API."),
    Setting(
        "gateway.pages", "https://rzp.io", "Where the gateway's own payment pages are; forms may lead there."
    ),
    Setting("gateway.key_id", "", "Key id at the payment gateway; empty = payments are not fetched."),
    Setting("gateway.key_secret", "", "Key secret at the payment gateway."),
    Setting("gateway.webhook_secret", "", "Secret that signs the gateway's callbacks."),
    Setting(
        "alarms.consoles_watched",
        True,
        "Raise a P1 alarm while no console of the control room is armed; from the first that ever was armed on.",
    ),
    Setting("siren.mqtt_host", "", "MQTT broker of the siren; empty = no siren hardware."),
    Setting("siren.mqtt_port", 1883, "Port of the broker."),
    Setting("siren.username", "", "User name at the broker; empty = none."),
    Setting("siren.password", "", "Password at the broker."),
    Setting("siren.topic", "bijlighar/siren/indore", "Topic of the siren."),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force."""

    values: Mapping[str, SettingValue]

    def text(self, name: str) -> str:
        """Return a setting that is text."""
        return str(self.values[name])

    def whole(self, name: str) -> int:
        """Return a setting that is a whole number."""
        return int(self.values[name])

    def number(self, name: str) -> float:
        """Return a setting that is a number."""
        return float(self.values[name])

    def flag(self, name: str) -> bool:
        """Return a setting that is true or false."""
        return bool(self.values[name])


def load_settings(*, text: str, environment: Mapping[str, str]) -> Settings:
    r"""
    Return the settings of a `settings.toml` under an environment.

    >>> load_settings(text="[web]\nport = 9000", environment={}).whole("web.port")
    9000
    >>> load_settings(text="", environment={"BIJLIGHAR_WEB_PORT": "9001"}).whole("web.port")
    9001

    :raises BrokenSettings: if the text is not TOML, a name is unknown or a value has the wrong type.
    """
    try:
        given = _flat(tomllib.loads(text))
    except tomllib.TOMLDecodeError as problem:
        raise BrokenSettings(f"settings.toml is not valid TOML: {problem}") from None
    known = {setting.name: setting for setting in SETTINGS}
    for name in given:
        if name not in known:
            raise BrokenSettings(
                f"settings.toml names {name!r}, which is no setting; the documentation lists them under Settings"
            )
    values: dict[str, SettingValue] = {}
    for setting in SETTINGS:
        variable = ENVIRONMENT_PREFIX + setting.name.replace(".", "_").upper()
        if variable in environment:
            values[setting.name] = _from_text(setting, environment[variable])
        elif setting.name in given:
            values[setting.name] = _checked(setting, given[setting.name])
        else:
            values[setting.name] = setting.default
    return Settings(values)


def write_settings(values: Mapping[str, SettingValue]) -> str:
    """
    Return the text of a `settings.toml` with `values`, each under its meaning.

    >>> print(write_settings({"web.port": 9000}))
    # Port that the web server listens on.
    web.port = 9000
    """
    meanings = {setting.name: setting.meaning for setting in SETTINGS}
    return "\n".join(f"# {meanings[name]}\n{name} = {_toml(value)}" for name, value in values.items())


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _checked(setting: Setting, value: object) -> SettingValue:
    wanted = type(setting.default)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not wanted:
        raise BrokenSettings(f"{setting.name} in settings.toml must be {_kind(wanted)}, not {value!r}")
    return value


def _from_text(setting: Setting, text: str) -> SettingValue:
    wanted = type(setting.default)
    try:
        if wanted is bool:
            return {"true": True, "false": False}[text.lower()]
        return wanted(text)
    except (KeyError, ValueError):
        variable = ENVIRONMENT_PREFIX + setting.name.replace(".", "_").upper()
        raise BrokenSettings(f"${variable} must be {_kind(wanted)}, not {text!r}") from None


def _kind(wanted: type[object]) -> str:
    return {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[wanted]


def _toml(value: SettingValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)
