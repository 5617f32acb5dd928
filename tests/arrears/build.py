"""Facts for tests: an account that may be cut, and changes to it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from importlib import resources

from bijlighar.arrears.model import (
    DueFact,
    Facts,
    NoticeFact,
    OrderFact,
    SentCounts,
    SupplyFact,
)
from bijlighar.arrears.rules import Policy, load_policy
from bijlighar.base.period import IST

POLICY_TEXT = (resources.files("bijlighar.arrears") / "policies" / "mp.toml").read_text(encoding="utf-8")
POLICY: Policy = load_policy(POLICY_TEXT)
#: Thursday, 17 July 2025, 11:00 IST: an hour and a day on which supply may be cut.
NOW = datetime(2025, 7, 17, 11, 0, tzinfo=IST).astimezone(UTC)
TODAY = date(2025, 7, 17)


def due(
    document: str = "B1",
    *,
    open_paise: int = 150_000,
    issued_on: date = date(2025, 5, 1),
    due_on: date = date(2025, 5, 11),
    is_bill: bool = True,
) -> DueFact:
    return DueFact(
        document=document,
        is_bill=is_bill,
        open_paise=open_paise,
        issued_on=issued_on,
        due_on=due_on,
        first_due_on=issued_on,
    )


def notice(*documents: str, served_on: date | None = date(2025, 6, 21)) -> NoticeFact:
    return NoticeFact(
        reference=f"S56-{documents[0]}",
        documents=documents,
        amount_paise=1,
        queued_on=date(2025, 6, 20),
        served_on=served_on,
    )


OLD = due("B1")
SECOND = due("B2", open_paise=90_000, issued_on=date(2025, 6, 1), due_on=date(2025, 6, 11))

CUTTABLE = Facts(
    account="N1",
    office="MHOW",
    category="LV-1.2",
    dues=(OLD, SECOND),
    unallocated_paise=0,
    holds_paise=0,
    protest_paise=0,
    average_month_paise=120_000,
    notices=(notice("B1", "B2"),),
    protections=(),
    circumstances=(),
    supply=SupplyFact(
        meter="M1",
        has_relay=True,
        feeder="F1",
        last_contact=datetime(2025, 7, 17, 0, 0, tzinfo=UTC),
        open_reasons=frozenset(),
    ),
    other_order=None,
    order=OrderFact(
        number=1,
        meter="M1",
        drawn_by="asha",
        approved_by="vijay",
        approved_at=datetime(2025, 7, 14, 6, 0, tzinfo=UTC),
        warned_at=datetime(2025, 7, 14, 6, 5, tzinfo=UTC),
    ),
    sent=SentCounts(last_hour=0, office_today=0, office_accounts=300),
    halted=False,
)


def facts(**changes: object) -> Facts:
    return replace(CUTTABLE, **changes)  # type: ignore[arg-type]


def order(**changes: object) -> OrderFact:
    assert CUTTABLE.order is not None
    return replace(CUTTABLE.order, **changes)  # type: ignore[arg-type]


def supply(**changes: object) -> SupplyFact:
    return replace(CUTTABLE.supply, **changes)  # type: ignore[arg-type]
