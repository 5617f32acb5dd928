"""The report of service levels: its facts from the books, and the document with the query behind each figure."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from bijlighar.base.period import IST, Month, Period, date_of, day_number
from bijlighar.headend import session_store
from bijlighar.headend.contract import Contract, Target
from bijlighar.headend.service_level import (
    UNKNOWN,
    DayLevel,
    Exclusion,
    Facts,
    HungMeter,
    MonthLevel,
    Tries,
    age_of,
    dark_days,
    deadline,
    judge_day,
    judge_month,
    last_judged,
    silent_groups,
    silent_meters,
)
from bijlighar.headend.supply import GASP_BELIEVED, SUPPLY_BACK, SUPPLY_FAILED
from bijlighar.readings import queries as readings
from bijlighar.registry import queries as registry
from bijlighar.storage.sql import text_of

ONE_DAY = timedelta(days=1)
SERIALS_SHOWN = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReport:
    """One day's service levels and the month they belong to; `queries` is the SQL that was run, by name."""

    contract: Contract
    facts: Facts
    day: DayLevel
    month: MonthLevel
    silent: tuple[HungMeter, ...]
    queries: dict[str, str]

    @property
    def is_over(self) -> bool:
        """Return whether the day's time was over when it was judged."""
        return deadline(Target.LATE, self.day.day, contract=self.contract) <= self.facts.as_of


def service_report(
    connection: Connection, *, contract: Contract, now: datetime, day: date | None = None
) -> ServiceReport:
    """Return the service levels of a day (by default the newest whose time is over) and of its month so far."""
    newest = last_judged(now, contract=contract)
    number = newest if day is None else day_number(day)
    month = Month.of(date_of(number))
    last = min(day_number(month.last), max(newest, day_number(month.first) - 1))
    as_of = min(now, deadline(Target.LATE, number, contract=contract))
    facts, queries = _facts(
        connection,
        first=day_number(month.first),
        last=max(last, number),
        day=number,
        as_of=as_of,
        contract=contract,
    )
    dark = dark_days(facts)
    silent = silent_meters(facts, contract=contract)
    return ServiceReport(
        contract=contract,
        facts=facts,
        day=judge_day(facts, day=number, contract=contract, dark=dark),
        month=judge_month(facts, month=month, last=last, contract=contract, dark=dark),
        silent=silent,
        queries=queries,
    )


def _facts(
    connection: Connection, *, first: int, last: int, day: int, as_of: datetime, contract: Contract
) -> tuple[Facts, dict[str, str]]:
    span = Period.of_local_days(date_of(first), date_of(last))
    known = session_store.models(connection)
    spans: dict[str, list[tuple[datetime, datetime | None]]] = {}
    for place in registry.installations(
        connection, period=Period(start=span.start, end=max(span.end, as_of))
    ):
        spans.setdefault(place.meter, []).append((place.from_at, place.to_at))
    meters = tuple(
        HungMeter(
            serial=device.serial,
            gateway=device.gateway,
            model=known.get(device.serial),
            spans=tuple(spans[device.serial]),
        )
        for device in registry.end_devices(connection)
        if device.communicates and device.serial in spans
    )
    read_at, complete_sql = readings.completed(
        connection, first=first, last=last, complete_pct=contract.complete_pct
    )
    power, power_sql = readings.happened(
        connection,
        codes=(*SUPPLY_FAILED, *SUPPLY_BACK),
        period=Period(start=span.start - GASP_BELIEVED, end=span.end),
    )
    fetched = Period(
        start=Period.of_local_day(date_of(day)).end, end=deadline(Target.LATE, day, contract=contract)
    )
    tries = session_store.tries_statement(period=fetched)
    heard = session_store.heard_statement(until=as_of)
    facts = Facts(
        first=first,
        last=last,
        as_of=as_of,
        meters=meters,
        read_at=read_at,
        power=power,
        tries={row[0]: Tries(sessions=row[1], failed=row[2]) for row in connection.execute(tries)},
        last_ok={row[0]: row[1] for row in connection.execute(heard)},
    )
    queries = {
        "meters": (
            "the registry's installations of meters with a URL in "
            f"{span.start.isoformat()} to {span.end.isoformat()}: those that hung from 00:00 to 24:00 IST of the day"
        ),
        "read": complete_sql,
        "power_failures": power_sql,
        "sessions": text_of(connection, tries),
        "heard": text_of(connection, heard),
    }
    return facts, queries


def service_document(report: ServiceReport) -> dict[str, object]:
    """Return the report as a JSON object; each figure names the query and what of it was counted."""
    contract, day, month, facts = report.contract, report.day, report.month, report.facts
    tries = [facts.tries[meter.serial] for meter in facts.meters if meter.serial in facts.tries]
    return {
        "day": date_of(day.day).isoformat(),
        "contract": contract.id,
        "as_of": facts.as_of.astimezone(IST).isoformat(),
        "final": report.is_over,
        "meters": day.meters,
        "excluded": _counted(day.excluded.values()),
        "targets": {str(target): _target(report, target) for target in Target},
        "retries": {
            "meters": sum(one.sessions > 1 for one in tries),
            "sessions": sum(one.sessions for one in tries),
            "retries": sum(one.sessions - 1 for one in tries),
            "failed": sum(one.failed for one in tries),
            "most": max((one.sessions for one in tries), default=0),
            "query": _query("sessions", "per meter: sessions - 1 are retries; failed ones summed"),
        },
        "silent": _silent(report),
        "unread": list(day.unread[:SERIALS_SHOWN]),
        "late": list(day.late[:SERIALS_SHOWN]),
        "month": _month(report, month),
        "queries": report.queries,
    }


def _query(name: str, counted: str) -> dict[str, str]:
    return {"of": name, "counted": counted}


def _target(report: ServiceReport, target: Target) -> dict[str, object]:
    contract, reached = report.contract, report.day.reached[target]
    until = deadline(target, report.day.day, contract=contract).astimezone(IST)
    wanted = contract.target_pct(target)
    return {
        "by": until.isoformat(),
        "counted": reached.counted,
        "read": reached.read,
        "pct": _number(reached.pct),
        "target_pct": _number(wanted),
        "met": None if reached.pct is None else reached.pct >= wanted,
        "query": _query(
            "read", f"rows of day = {report.day.day} with at <= {until.isoformat()}, of the meters that count"
        ),
    }


def _silent(report: ServiceReport) -> dict[str, object]:
    facts, silent = report.facts, report.silent
    by: dict[str, Callable[[HungMeter], str]] = {
        "gateway": lambda meter: meter.gateway or UNKNOWN,
        "model": lambda meter: meter.model or UNKNOWN,
        "firmware": lambda meter: meter.firmware,
        "age": lambda meter: age_of(meter, as_of=facts.as_of),
    }
    found: dict[str, object] = {"meters": len(silent), "hours": report.contract.silent_hours}
    for name, property_of in by.items():
        groups = silent_groups(facts, silent=silent, by=property_of)
        found[f"by_{name}"] = [
            {name: group.name, "meters": group.meters, "silent": group.silent} for group in groups
        ]
    found["serials"] = [
        {"meter": meter.serial, "last_heard": _when(facts.last_ok.get(meter.serial))}
        for meter in silent[:SERIALS_SHOWN]
    ]
    found["query"] = _query(
        "heard", f"hanging meters without a row, or with at < as_of - {report.contract.silent_hours} h"
    )
    return found


def _month(report: ServiceReport, month: MonthLevel) -> dict[str, object]:
    contract = report.contract
    judged = "none" if month.last is None else date_of(month.last).isoformat()
    return {
        "month": str(month.month),
        "judged_to": None if month.last is None else judged,
        "final": month.is_final,
        "working_meters": month.working,
        "not_working": list(month.not_working[:SERIALS_SHOWN]),
        "meter_days": month.meter_days,
        "meter_month_paise": contract.meter_month_paise,
        "gross_paise": month.gross_paise,
        "gross_query": _query(
            "read",
            f"meters read in time on >= {contract.working_pct} % of the days that count; the days each hung, summed, "
            f"/ {month.days} x {contract.meter_month_paise} paise, rounded once, half up",
        ),
        "deductions": [
            {
                "target": str(each.target),
                "counted": each.reached.counted,
                "read": each.reached.read,
                "pct": _number(each.reached.pct),
                "deduct_pct": _number(each.deduct_pct),
                "query": _query(
                    "read", f"rows of day {report.facts.first} to {month.last} in time for this target"
                ),
            }
            for each in month.deductions
        ],
        "deduct_pct": _number(month.deduct_pct),
        "cap_pct": _number(contract.cap_pct),
        "capped": month.is_capped,
        "deducted_paise": month.deducted_paise,
        "payable_paise": month.payable_paise,
        "payable_query": _query(
            "read", "gross_paise - gross_paise x deduct_pct / 100, rounded once, half up"
        ),
    }


def _counted(reasons: Iterable[Exclusion]) -> dict[str, int]:
    return {str(reason): count for reason, count in sorted(Counter(reasons).items())}


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(IST).isoformat()
