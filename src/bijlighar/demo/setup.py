"""Set up a demo: the town's plan, the home, its registry and people, the processes."""

import secrets
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from bijlighar.base.errors import BijligharError
from bijlighar.base.period import Month, local_midnight
from bijlighar.demo.children import ChildPlan, free_ports
from bijlighar.demo.controls import Controls, write_controls
from bijlighar.headend import operations as headend
from bijlighar.notices import operations as notices
from bijlighar.notices.model import ConsentAction
from bijlighar.offices import operations as offices
from bijlighar.offices.model import Role
from bijlighar.registry import operations as registry
from bijlighar.rollout import operations as rollout
from bijlighar.runtime.clock import set_demo_time
from bijlighar.runtime.home import Home
from bijlighar.runtime.line import KEY_ENCRYPTION_KEY, Line
from bijlighar.runtime.settings import SettingValue, write_settings
from bijlighar.simulator import operations as simulator
from bijlighar.simulator.model import Town
from bijlighar.simulator.rules import plan_town

FIRST_DAY = date(2025, 4, 1)
LOCAL = "127.0.0.1"
POLL_S = 0.01
DEMO_CEILING = 50
SERVICE_PORTS = 5  # the providers, their control, the town's control, alerts, the web server if nobody chose


class HomeNotEmpty(BijligharError):
    """A demo needs an empty home."""

    code = "demo.home-not-empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the processes of a demo listen."""

    web: int
    providers: int
    providers_control: int
    town_control: int
    push: int
    meters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a demo is asked to be."""

    meters: int
    months: int
    seed: int
    profiles: Path | None
    web_port: int | None


def check_empty(home: Home) -> None:
    """
    Look whether a demo may live in `home`.

    :raises HomeNotEmpty: if there is anything in its folder.
    """
    if home.path.exists() and (not home.path.is_dir() or any(home.path.iterdir())):
        raise HomeNotEmpty(f"{home.path} is not empty; give the demo another --home, or remove it")


def make_home(home: Home, *, plan: Plan) -> tuple[Town, Ports]:
    """
    Make the home of a demo: settings, registry, keys, people, roll-out plan, the town's folder.

    :raises HomeNotEmpty: if there is anything in its folder.
    """
    check_empty(home)
    home.make()
    profiles = None if plan.profiles is None else simulator.load_profiles(plan.profiles)
    town = plan_town(
        seed=plan.seed, meters=plan.meters, months=plan.months, first_day=FIRST_DAY, profiles=profiles
    )
    ports = _ports(plan, listening=sum(device.listens is not None for device in town.devices))
    (home.path / "settings.toml").write_text(write_settings(_settings(ports)) + "\n", encoding="utf-8")
    simulator.write_town(
        town=town,
        folder=home.town,
        host=LOCAL,
        port=ports.meters,
        push=f"{LOCAL}:{ports.push}",
        profiles=profiles,
    )
    write_controls(
        home,
        controls=Controls(
            town=f"{LOCAL}:{ports.town_control}",
            providers=f"{LOCAL}:{ports.providers_control}",
            providers_port=ports.providers,
            seed=town.seed,
        ),
    )
    keys = simulator.keys_json(town=town, host=LOCAL, port=ports.meters)
    (home.town / "keys.json").write_text(keys, encoding="utf-8")
    _fill(home, town=town, ports=ports, keys=keys)
    return town, ports


def child_plans(home: Home, *, ports: Ports) -> tuple[ChildPlan, ...]:
    """Return the processes of a demo, those first on which the others lean."""
    folder = str(home.path)
    return (
        ChildPlan(
            name="meters",
            arguments=("meter", "simulate", "--home", folder, "--control", f"{LOCAL}:{ports.town_control}"),
            ready_port=ports.town_control,
        ),
        ChildPlan(
            name="providers",
            arguments=(
                "provider", "simulate", "--home", folder, "--port", str(ports.providers),
                "--control", str(ports.providers_control),
            ),
            ready_port=ports.providers_control,
        ),
        ChildPlan(name="gate", arguments=("gate", "--home", folder), ready_port=None),
        ChildPlan(name="web", arguments=("web", "--home", folder), ready_port=ports.web),
        ChildPlan(name="headend", arguments=("headend", "--home", folder), ready_port=ports.push),
        ChildPlan(name="worker", arguments=("worker", "--home", folder), ready_port=None),
    )  # fmt: skip


def _ports(plan: Plan, *, listening: int) -> Ports:
    first = free_ports(count=SERVICE_PORTS + listening)
    return Ports(
        web=plan.web_port or first + 4,
        providers=first,
        providers_control=first + 1,
        town_control=first + 2,
        push=first + 3,
        meters=first + SERVICE_PORTS,
    )


def _settings(ports: Ports) -> dict[str, SettingValue]:
    return {
        "demo": True,
        "web.port": ports.web,
        "worker.poll_s": POLL_S,
        "headend.push_port": ports.push,
        "headend.connect_timeout_s": 2.0,
        "headend.answer_timeout_s": 5.0,
        "headend.ceiling_hour": DEMO_CEILING,
        "whatsapp.url": f"http://{LOCAL}:{ports.providers}/v23.0",
        "whatsapp.phone_number_id": "100000000000001",
        "whatsapp.token": secrets.token_hex(16),
        "whatsapp.app_secret": secrets.token_hex(16),
        "whatsapp.verify_token": secrets.token_hex(8),
        "gateway.url": f"http://{LOCAL}:{ports.providers}",
        "gateway.pages": f"http://{LOCAL}:{ports.providers}",
        "gateway.key_id": "rzp_test_bijlighar",
        "gateway.key_secret": secrets.token_hex(16),
        "gateway.webhook_secret": secrets.token_hex(16),
    }


def _fill(home: Home, *, town: Town, ports: Ports, keys: str) -> None:
    """Fill the home through the doors that its commands use."""
    now = local_midnight(town.first_day)
    set_demo_time(home.database, now=now)
    line = Line(home)
    gate = line.found_gate()
    with line.database.write() as connection:
        offices.import_offices(connection, text=simulator.offices_csv(town=town))
        for person in town.persons:
            offices.add_person(
                connection,
                sign_in=person.sign_in,
                name=person.name,
                office=person.office,
                roles=[Role(role) for role in person.roles],
                now=now,
            )
        registry.import_network(connection, text=simulator.network_csv(town=town))
        text = simulator.registry_csv(town=town, host=LOCAL, port=ports.meters)
        registry.import_registry(connection, text=text, now=now)
        headend.store_keys_apart(
            connection,
            gate=gate,
            keys=headend.read_keys_file(keys),
            key_encryption_key=home.key(KEY_ENCRYPTION_KEY),
            now=now,
        )
        notices.record_consents(
            connection,
            phones=[consumer.phone for consumer in town.consumers if consumer.phone],
            action=ConsentAction.OPT_IN,
            how="form",
            text="WhatsApp पर बिल और सूचनाएँ भेजें / send bills and notices on WhatsApp",
            now=now,
        )
        keeper = next(person.sign_in for person in town.persons if Role.STORE_KEEPER.value in person.roles)
        planner = next(person.sign_in for person in town.persons if Role.ENGINEER.value in person.roles)
        rollout.take_in_hanging(connection, person=keeper, now=now)
        month = Month.of(town.first_day)
        rollout.plan_evenly(
            connection,
            office=town.office,
            planned=len(town.consumers),
            first=month,
            last=month if town.months == 1 else Month.of(town.last_day),
            person=planner,
            now=now,
        )
