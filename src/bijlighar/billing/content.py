"""The canonical JSON of a bill: all that it rests on, enough to compute it again offline; and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from bijlighar.base.period import Month
from bijlighar.base.words import Words
from bijlighar.billing.model import (
    AccountFacts,
    Bill,
    BillKind,
    BillLine,
    Computed,
    Determinants,
    Place,
    Segment,
)
from bijlighar.tariffs.model import Area, Usage

#: The version of this form; a reader of another version refuses.
FORM = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """
    What stands at the head of a bill: its number, days, the bill that it corrects, how the account stood at issue.

    last_payment: sum [paise] and IST day of the last payment before the bill, None if there was none.
    """

    number: str
    kind: BillKind
    account: str
    month: Month
    seq: int
    of: str | None
    issued_on: date
    due_on: date
    previous_paise: int
    last_payment: tuple[int, date] | None


def canonical(document: Mapping[str, object]) -> str:
    """
    Return JSON with sorted keys and no spare space: the same values are the same octets.

    >>> canonical({"b": 1, "a": "क"})
    '{"a":"क","b":1}'
    """
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def write(
    *,
    heading: Heading,
    facts: AccountFacts,
    place: Place,
    determinants: Determinants,
    computed: Computed,
    lines: Sequence[BillLine],
) -> str:
    """
    Return the content of a bill; `lines` are those billed: the computed ones, or a correction's differences.

    The computed lines of the whole month are kept as `fresh`, with the terms of their explanation.
    """
    paid = heading.last_payment
    usage, book, fresh = computed.usage, computed.book, computed.priced
    category = book.category(code=usage.category, on=usage.on)
    return canonical(
        {
            "form": FORM,
            "number": heading.number,
            "kind": heading.kind.value,
            "account": heading.account,
            "month": str(heading.month),
            "seq": heading.seq,
            "of": heading.of,
            "issued_on": heading.issued_on.isoformat(),
            "due_on": heading.due_on.isoformat(),
            "previous_paise": heading.previous_paise,
            "last_payment": None
            if paid is None
            else {"amount_paise": paid[0], "paid_on": paid[1].isoformat()},
            "facts": asdict(facts),
            "place": _place(place),
            "determinants": _determinants(determinants),
            "usage": _usage(usage),
            "category_name": asdict(category.name),
            "windows": [
                {"code": window.code, "name": asdict(window.name), "energy_wh": usage.windows_wh[window.code]}
                for window in category.windows
                if window.code in usage.windows_wh
            ],
            "book": {
                "id": book.id,
                "digest": book.digest,
                "order": book.order.en,
                "order_hi": book.order.hi,
            },
            "fresh": [
                {
                    "code": line.code,
                    "amount_paise": line.amount_paise,
                    "steps": [[str(step.quantity), str(step.rate_paise)] for step in why.steps],
                }
                for line, why in zip(fresh.lines, computed.explained, strict=True)
            ],
            "fresh_total_paise": fresh.total_paise,
            "lines": [_line(line) for line in lines],
            "total_paise": sum(line.amount_paise for line in lines),
        }
    )


def bill_of(*, content: str, token: str) -> Bill:
    """Return the bill that a content describes."""
    document = json.loads(content)
    determinants = document["determinants"]
    return Bill(
        number=document["number"],
        kind=BillKind(document["kind"]),
        account=document["account"],
        month=Month.parse(document["month"]),
        seq=document["seq"],
        of=document["of"],
        issued_on=date.fromisoformat(document["issued_on"]),
        due_on=date.fromisoformat(document["due_on"]),
        energy_wh=document["usage"]["energy_wh"],
        estimated=sum(segment["estimated"] for segment in determinants["segments"]),
        lines=tuple(
            BillLine(
                code=line["code"],
                name=Words(**line["name"]),
                head=line["head"],
                amount_paise=line["amount_paise"],
                why=Words(**line["why"]),
            )
            for line in document["lines"]
        ),
        total_paise=document["total_paise"],
        previous_paise=document["previous_paise"],
        book_id=document["book"]["id"],
        book_digest=document["book"]["digest"],
        token=token,
        content=content,
    )


def usage_of(content: str) -> Usage:
    """Return what a bill priced, to price it again."""
    usage = json.loads(content)["usage"]
    return Usage(**{**usage, "area": Area(usage["area"]), "on": date.fromisoformat(usage["on"])})


def facts_of(content: str) -> AccountFacts:
    """Return the account facts that a bill rests on."""
    return AccountFacts(**json.loads(content)["facts"])


def place_of(content: str) -> Place:
    """Return where the account of a bill is supplied."""
    place = json.loads(content)["place"]
    return Place(**{**place, "office_name": Words(**place["office_name"])})


def fresh_total_paise(content: str) -> int:
    """Return the total [paise] of the whole month as the bill computed it."""
    return int(json.loads(content)["fresh_total_paise"])


def determinants_of(content: str) -> Determinants:
    """Return what was measured for a bill."""
    stored = json.loads(content)["determinants"]
    return Determinants(
        account=stored["account"],
        month=Month.parse(stored["month"]),
        period_from=date.fromisoformat(stored["period_from"]),
        period_to=date.fromisoformat(stored["period_to"]),
        smart=stored["smart"],
        segments=tuple(
            Segment(
                **{
                    **segment,
                    "from_at": datetime.fromisoformat(segment["from_at"]),
                    "to_at": datetime.fromisoformat(segment["to_at"]),
                    "half_hours_wh": tuple(segment["half_hours_wh"]),
                }
            )
            for segment in stored["segments"]
        ),
    )


def _line(line: BillLine) -> dict[str, Any]:
    return {
        "code": line.code,
        "name": asdict(line.name),
        "head": line.head,
        "amount_paise": line.amount_paise,
        "why": asdict(line.why),
    }


def _place(place: Place) -> dict[str, Any]:
    return {**asdict(place), "office_name": asdict(place.office_name)}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        **asdict(usage),
        "area": usage.area.value,
        "on": usage.on.isoformat(),
        "windows_wh": dict(usage.windows_wh),
    }


def _determinants(determinants: Determinants) -> dict[str, Any]:
    return {
        "account": determinants.account,
        "month": str(determinants.month),
        "period_from": determinants.period_from.isoformat(),
        "period_to": determinants.period_to.isoformat(),
        "smart": determinants.smart,
        "segments": [
            {
                **asdict(segment),
                "from_at": segment.from_at.isoformat(),
                "to_at": segment.to_at.isoformat(),
                "half_hours_wh": list(segment.half_hours_wh),
            }
            for segment in determinants.segments
        ],
    }
