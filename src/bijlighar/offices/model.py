"""Offices, people, roles, acts, views, sessions and the entries of the audit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.words import Words


class OfficeLevel(StrEnum):
    """The level of an office in the company, highest first."""

    COMPANY = "company"
    REGION = "region"
    CIRCLE = "circle"
    DIVISION = "division"
    TOWN_OFFICE = "town-office"


LEVEL_NAMES: Mapping[OfficeLevel, Words] = MappingProxyType(
    {
        OfficeLevel.COMPANY: Words(hi="कंपनी", en="company"),
        OfficeLevel.REGION: Words(hi="रीजन", en="region"),
        OfficeLevel.CIRCLE: Words(hi="वृत्त", en="circle"),
        OfficeLevel.DIVISION: Words(hi="डिवीजन", en="division"),
        OfficeLevel.TOWN_OFFICE: Words(hi="वितरण केंद्र", en="town office"),
    }
)


class Role(StrEnum):
    """What a person is employed to do."""

    CLERK = "clerk"
    APPROVER = "approver"
    OPERATOR = "operator"
    THEFT_OFFICER = "theft_officer"
    STORE_KEEPER = "store_keeper"
    FITTER = "fitter"
    ENGINEER = "engineer"
    ADMIN = "admin"


ROLE_NAMES: Mapping[Role, Words] = MappingProxyType(
    {
        Role.CLERK: Words(hi="लिपिक", en="clerk"),
        Role.APPROVER: Words(hi="अनुमोदनकर्ता", en="approver"),
        Role.OPERATOR: Words(hi="नियंत्रण केंद्र संचालक", en="control-centre operator"),
        Role.THEFT_OFFICER: Words(hi="विजिलेंस अधिकारी", en="vigilance officer"),
        Role.STORE_KEEPER: Words(hi="भंडारपाल", en="store keeper"),
        Role.FITTER: Words(hi="मीटर फिटर", en="meter fitter"),
        Role.ENGINEER: Words(hi="अभियंता", en="engineer"),
        Role.ADMIN: Words(hi="प्रणाली प्रशासक", en="system administrator"),
    }
)


class Act(StrEnum):
    """What a person may do that others must be able to trace."""

    DRAW_UP_LIST = "draw_up_list"
    APPROVE_LIST = "approve_list"
    SEND_LIST = "send_list"
    HALT = "halt"
    RESUME = "resume"
    ACKNOWLEDGE_ALARM = "acknowledge_alarm"
    RECORD_NOTICE_SERVED = "record_notice_served"
    RECORD_MANUAL_ORDER = "record_manual_order"
    PROTECT_ACCOUNT = "protect_account"
    PLACE_HOLD = "place_hold"
    RELEASE_HOLD = "release_hold"
    REVERSE_PAYMENT = "reverse_payment"
    ORDER_RECONNECTION = "order_reconnection"
    AUTHORISE_THEFT_CUT = "authorise_theft_cut"
    AUTHORISE_SAFETY_CUT = "authorise_safety_cut"
    PLAN_ROLLOUT = "plan_rollout"
    RECEIVE_STOCK = "receive_stock"
    ISSUE_STOCK = "issue_stock"
    INSTALL_METER = "install_meter"
    ORDER_CHECK = "order_check"
    IMPORT_REGISTRY = "import_registry"
    IMPORT_READINGS = "import_readings"
    EXPORT_READINGS = "export_readings"
    IMPORT_KEYS = "import_keys"
    EDIT_READING = "edit_reading"
    CONFIRM_EDIT = "confirm_edit"
    SEAL_MONTH = "seal_month"
    OPEN_MONTH = "open_month"
    CONFIRM_OPENING = "confirm_opening"
    REMOVE_READINGS = "remove_readings"
    OPEN_CASE = "open_case"
    WORK_CASE = "work_case"
    INSPECT_CASE = "inspect_case"
    CONFIRM_THEFT = "confirm_theft"
    ASSESS_CASE = "assess_case"
    RUN_BILLS = "run_bills"
    CORRECT_BILL = "correct_bill"
    CHANGE_POLICY = "change_policy"
    MANAGE_OFFICES = "manage_offices"
    MANAGE_PEOPLE = "manage_people"
    READ_METER = "read_meter"
    MAINTAIN_METER = "maintain_meter"
    SEND_SQUAD = "send_squad"
    PROPOSE_CUT = "propose_cut"
    MESSAGE_CONSUMER = "message_consumer"
    SILENCE_SIREN = "silence_siren"
    ARM_CONSOLE = "arm_console"
    VIEW_CONSUMER = "view_consumer"
    WORK_EXCEPTION = "work_exception"


class View(StrEnum):
    """A part of the pages that a person may see."""

    ALARMS = "alarms"
    NETWORK = "network"
    LISTS = "lists"
    COMMANDS = "commands"
    ROLLOUT = "rollout"
    EXCEPTIONS = "exceptions"
    LOSSES = "losses"
    CASES = "cases"
    COLLECTIONS = "collections"
    AUDIT = "audit"
    PEOPLE = "people"


def _roles(*roles: Role) -> frozenset[Role]:
    return frozenset(roles)


#: Those who answer an alarm.
_WATCH = _roles(Role.OPERATOR, Role.ENGINEER, Role.THEFT_OFFICER)

#: Which roles allow which act: the one place where this is decided. A test holds every act to have a line here.
ROLES_OF_ACT: Mapping[Act, frozenset[Role]] = MappingProxyType(
    {
        Act.DRAW_UP_LIST: _roles(Role.CLERK),
        Act.APPROVE_LIST: _roles(Role.APPROVER),
        Act.SEND_LIST: _roles(Role.APPROVER, Role.OPERATOR),
        # Stopping is always the safe side: every role of the control centre and the town may do it.
        Act.HALT: _roles(Role.CLERK, Role.APPROVER, Role.OPERATOR, Role.ENGINEER, Role.ADMIN),
        Act.RESUME: _roles(Role.APPROVER, Role.OPERATOR),
        Act.ACKNOWLEDGE_ALARM: _roles(Role.OPERATOR, Role.THEFT_OFFICER, Role.ENGINEER),
        Act.RECORD_NOTICE_SERVED: _roles(Role.CLERK),
        Act.RECORD_MANUAL_ORDER: _roles(Role.CLERK, Role.FITTER, Role.OPERATOR, Role.ENGINEER),
        Act.PROTECT_ACCOUNT: _roles(Role.CLERK, Role.APPROVER, Role.OPERATOR),
        Act.PLACE_HOLD: _roles(Role.CLERK, Role.APPROVER, Role.OPERATOR),
        Act.RELEASE_HOLD: _roles(Role.APPROVER),
        Act.REVERSE_PAYMENT: _roles(Role.APPROVER),
        Act.ORDER_RECONNECTION: _roles(Role.CLERK, Role.APPROVER, Role.OPERATOR),
        Act.AUTHORISE_THEFT_CUT: _roles(Role.THEFT_OFFICER),
        Act.AUTHORISE_SAFETY_CUT: _roles(Role.OPERATOR, Role.ENGINEER),
        Act.PLAN_ROLLOUT: _roles(Role.ENGINEER, Role.APPROVER),
        Act.RECEIVE_STOCK: _roles(Role.STORE_KEEPER),
        Act.ISSUE_STOCK: _roles(Role.STORE_KEEPER),
        Act.INSTALL_METER: _roles(Role.FITTER, Role.ENGINEER),
        Act.ORDER_CHECK: _roles(Role.CLERK, Role.APPROVER, Role.ENGINEER),
        Act.IMPORT_REGISTRY: _roles(Role.ENGINEER, Role.ADMIN),
        Act.IMPORT_READINGS: _roles(Role.CLERK, Role.ENGINEER, Role.ADMIN),
        Act.EXPORT_READINGS: _roles(Role.ENGINEER, Role.ADMIN),
        Act.IMPORT_KEYS: _roles(Role.ADMIN),
        # To propose an edit is not to confirm it: two persons stand for each.
        Act.EDIT_READING: _roles(Role.CLERK, Role.ENGINEER),
        Act.CONFIRM_EDIT: _roles(Role.APPROVER, Role.ENGINEER),
        Act.SEAL_MONTH: _roles(Role.APPROVER, Role.ENGINEER),
        # To ask for the opening of a sealed month is not to decide it: two persons stand for each.
        Act.OPEN_MONTH: _roles(Role.CLERK, Role.APPROVER, Role.ENGINEER),
        Act.CONFIRM_OPENING: _roles(Role.APPROVER, Role.ENGINEER),
        Act.REMOVE_READINGS: _roles(Role.ENGINEER, Role.ADMIN),
        Act.OPEN_CASE: _WATCH | _roles(Role.CLERK, Role.APPROVER),
        Act.WORK_CASE: _roles(Role.APPROVER, Role.ENGINEER, Role.THEFT_OFFICER),
        Act.INSPECT_CASE: _roles(Role.ENGINEER, Role.FITTER, Role.THEFT_OFFICER),
        # To report theft is not to confirm it: two persons stand for each, the second a theft officer.
        Act.CONFIRM_THEFT: _roles(Role.THEFT_OFFICER),
        Act.ASSESS_CASE: _roles(Role.ENGINEER, Role.THEFT_OFFICER),
        Act.RUN_BILLS: _roles(Role.CLERK, Role.APPROVER),
        Act.CORRECT_BILL: _roles(Role.APPROVER),
        Act.CHANGE_POLICY: _roles(Role.APPROVER, Role.ADMIN),
        Act.MANAGE_OFFICES: _roles(Role.ADMIN),
        Act.MANAGE_PEOPLE: _roles(Role.ADMIN),
        Act.READ_METER: _WATCH,
        # New keys and firmware: two persons order them together.
        Act.MAINTAIN_METER: _roles(Role.ENGINEER, Role.ADMIN),
        Act.SEND_SQUAD: _WATCH,
        # To propose is not to authorise: a cut for theft is authorised by the theft officer alone.
        Act.PROPOSE_CUT: _WATCH,
        Act.MESSAGE_CONSUMER: _WATCH,
        Act.SILENCE_SIREN: _WATCH,
        Act.ARM_CONSOLE: _WATCH,
        Act.VIEW_CONSUMER: _WATCH | _roles(Role.CLERK, Role.APPROVER),
        Act.WORK_EXCEPTION: _roles(Role.CLERK, Role.ENGINEER),
    }
)

#: Which roles see which pages; whose offices are shown in them is decided by the tree of offices.
ROLES_OF_VIEW: Mapping[View, frozenset[Role]] = MappingProxyType(
    {
        View.ALARMS: _WATCH | _roles(Role.APPROVER),
        View.NETWORK: _WATCH | _roles(Role.CLERK, Role.APPROVER),
        View.LISTS: _roles(Role.CLERK, Role.APPROVER, Role.ENGINEER),
        View.COMMANDS: _WATCH | _roles(Role.CLERK, Role.APPROVER),
        View.ROLLOUT: _roles(
            Role.CLERK, Role.APPROVER, Role.ENGINEER, Role.STORE_KEEPER, Role.FITTER, Role.ADMIN
        ),
        View.EXCEPTIONS: _roles(Role.CLERK, Role.APPROVER, Role.ENGINEER, Role.THEFT_OFFICER),
        View.LOSSES: _WATCH | _roles(Role.CLERK, Role.APPROVER),
        # A fitter is sent to inspect, and says what was found.
        View.CASES: _WATCH | _roles(Role.CLERK, Role.APPROVER, Role.FITTER),
        View.COLLECTIONS: _roles(Role.CLERK, Role.APPROVER, Role.ENGINEER),
        View.AUDIT: _roles(Role.ENGINEER, Role.ADMIN),
        View.PEOPLE: _roles(Role.ADMIN),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """
    An office of the company.

    code: what files and commands call it.
    name: what people call it.
    parent: the office above it, None for the company's head office.
    """

    code: str
    name: Words
    level: OfficeLevel
    parent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person who works in an office; `sign_in` is the name they sign in with."""

    sign_in: str
    name: str
    office: str
    roles: frozenset[Role]
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """
    A person who is signed in; the times are of the wall clock, not of the home's.

    person: as they stand now, not as they stood when they signed in.
    seen_at: when they last asked for something, to the minute.
    expires_at: when they must sign in again, whatever they do.
    """

    person: Person
    started_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session just begun; its `token` is the browser's secret, and nothing here keeps it."""

    token: str = field(repr=False)
    session: Session


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """
    One act of one person.

    number: 1, 2, 3, … without a gap.
    detail: canonical JSON, as it was hashed.
    previous_hash, entry_hash: SHA-256 in hex; the first entry's previous hash is 64 zeros.
    """

    number: int
    at: datetime
    person: str
    act: str
    subject: str
    detail: str
    previous_hash: str
    entry_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCheck:
    """What checking the audit found: `broken_at` is the number of the first entry that does not fit, or None."""

    entries: int
    broken_at: int | None
