"""Checks of meters on the spot: what an office sends a fitter to look at, and what was found. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from bijlighar.base.lifecycle import LifeCycle
from bijlighar.base.words import Words


class CheckState(StrEnum):
    """Where the work order of a check stands."""

    PLANNED = "planned"
    ISSUED = "issued"
    FAILED = "failed"
    DONE = "done"
    CANCELLED = "cancelled"


class CheckEvent(StrEnum):
    """What happens to it."""

    ISSUE = "issue"
    REPORT = "report"
    FAIL = "fail"
    PLAN_AGAIN = "plan_again"
    CANCEL = "cancel"


CHECK_STEPS: LifeCycle[CheckState, CheckEvent] = MappingProxyType(
    {
        CheckState.PLANNED: {
            CheckEvent.ISSUE: CheckState.ISSUED,
            CheckEvent.CANCEL: CheckState.CANCELLED,
        },
        CheckState.ISSUED: {
            CheckEvent.REPORT: CheckState.DONE,
            CheckEvent.FAIL: CheckState.FAILED,
            CheckEvent.CANCEL: CheckState.CANCELLED,
        },
        CheckState.FAILED: {
            CheckEvent.PLAN_AGAIN: CheckState.PLANNED,
            CheckEvent.CANCEL: CheckState.CANCELLED,
        },
        CheckState.DONE: {},
        CheckState.CANCELLED: {},
    }
)
#: Those in which somebody has still to go: a meter has one such order at a time.
OPEN_CHECK_STATES = (CheckState.PLANNED, CheckState.ISSUED, CheckState.FAILED)

CHECK_STATE_NAMES: Mapping[CheckState, Words] = MappingProxyType(
    {
        CheckState.PLANNED: Words(hi="नियोजित", en="planned"),
        CheckState.ISSUED: Words(hi="फिटर को जारी", en="issued to the fitter"),
        CheckState.FAILED: Words(hi="जाँच नहीं हो सकी", en="could not be done"),
        CheckState.DONE: Words(hi="जाँच पूर्ण", en="done"),
        CheckState.CANCELLED: Words(hi="निरस्त", en="cancelled"),
    }
)


class CheckFinding(StrEnum):
    """What was found on the spot."""

    NORMAL = "normal"
    MENDED = "mended"
    EXCHANGE = "exchange"
    RECORDS = "records"
    SUSPICION = "suspicion"


CHECK_FINDING_NAMES: Mapping[CheckFinding, Words] = MappingProxyType(
    {
        CheckFinding.NORMAL: Words(hi="सब सामान्य", en="all is normal"),
        CheckFinding.MENDED: Words(hi="मौके पर ठीक किया", en="put right on the spot"),
        CheckFinding.EXCHANGE: Words(hi="मीटर बदलना होगा", en="the meter is to be exchanged"),
        CheckFinding.RECORDS: Words(hi="अभिलेख ग़लत हैं", en="the records are wrong"),
        CheckFinding.SUSPICION: Words(hi="आगे की जाँच चाहिए", en="to be looked into further"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    The work order to look at a meter on the spot.

    usage_point, account, transformer, office: of the place where the meter hung when it was ordered, or hung last.
    reason: why somebody is sent; `note` is what was found, or why it failed or was cancelled.
    revision: counts the steps; a form that names an older one is refused.
    ended_by, ended_at: who reported, or cancelled it, and when.
    """

    number: int
    meter: str
    usage_point: str | None
    account: str | None
    transformer: str | None
    office: str | None
    state: CheckState
    revision: int
    reason: str
    ordered_by: str
    ordered_at: datetime
    fitter: str | None = None
    issued_at: datetime | None = None
    finding: CheckFinding | None = None
    note: str = ""
    ended_by: str | None = None
    ended_at: datetime | None = None
