"""Which findings call for a person, and how the queue follows what is found. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bijlighar.base.lifecycle import next_state
from bijlighar.validation.model import (
    EXCEPTION_STEPS,
    ExceptionEvent,
    ExceptionState,
    Outcome,
    Rule,
    Severity,
    ValidationException,
    ValidationFinding,
)

#: A shorter gap is estimated without anybody's help.
GAP_MIN = timedelta(hours=24)
#: A finding that has grown to more than this many times what was settled calls for a person again.
GROWTH_MAX = 2
#: Of what these rules find an estimate may take the place.
ESTIMATED = frozenset({Rule.MISSING, Rule.NEGATIVE, Rule.SPIKE})
_GRAVITY = tuple(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What is to be written: `exception` of None is a new one; `event` of None: only the finding changed."""

    exception: ValidationException | None
    finding: ValidationFinding
    event: ExceptionEvent | None


def calls_for_person(finding: ValidationFinding) -> bool:
    """Return whether a finding, joined over midnight, is for a person to look at."""
    if finding.rule is Rule.MISSING:
        return finding.end - finding.start >= GAP_MIN
    return finding.severity is not Severity.INFO


def outcomes_of(rule: Rule) -> tuple[Outcome, ...]:
    """Return how what a rule has found may be settled."""
    return tuple(outcome for outcome in Outcome if outcome is not Outcome.ESTIMATED or rule in ESTIMATED)


def followed(
    standing: Sequence[ValidationException], findings: Iterable[ValidationFinding]
) -> tuple[Followed, ...]:
    """
    Return what must be written so that the queue says what `findings` say.

    A finding goes on the exception of its meter, rule and channel that begins with it, else on one that overlaps it,
    a live one before one that is closed; a live exception that no finding goes on with has vanished.
    """
    changes: list[Followed] = []
    free = {each.number: each for each in standing}
    wanted = sorted(findings, key=lambda found: (found.start, found.rule, found.channel))
    matched: list[tuple[ValidationFinding, ValidationException | None]] = []
    for is_exact in (True, False):
        rest: list[ValidationFinding] = []
        for finding in wanted:
            fitting = [each for each in free.values() if _fits(each, finding, is_exact=is_exact)]
            if not fitting:
                rest.append(finding)
                continue
            chosen = min(fitting, key=lambda each: (each.state is ExceptionState.CLOSED, each.number))
            del free[chosen.number]
            matched.append((finding, chosen))
        wanted = rest
    matched += [(finding, None) for finding in wanted]
    for finding, exception in sorted(
        matched, key=lambda pair: (pair[0].start, pair[0].rule, pair[0].channel)
    ):
        if exception is None:
            changes.append(Followed(exception=None, finding=finding, event=ExceptionEvent.APPEAR))
            continue
        event = _event(exception, finding)
        if event is not None or exception.finding != finding:
            changes.append(Followed(exception=exception, finding=finding, event=event))
    changes += [
        Followed(exception=each, finding=each.finding, event=ExceptionEvent.VANISH)
        for each in free.values()
        if each.state is not ExceptionState.CLOSED
    ]
    return tuple(changes)


def state_after(change: Followed) -> ExceptionState:
    """Return the state of an exception when a change is written."""
    if change.exception is None:
        return ExceptionState.OPEN
    if change.event is None:
        return change.exception.state
    return next_state(EXCEPTION_STEPS, change.exception.state, change.event)


def _fits(exception: ValidationException, finding: ValidationFinding, *, is_exact: bool) -> bool:
    own = exception.finding
    if (own.meter, own.rule, own.channel) != (finding.meter, finding.rule, finding.channel):
        return False
    if is_exact:
        return own.start == finding.start
    return own.start < finding.end and finding.start < own.end


def _event(exception: ValidationException, finding: ValidationFinding) -> ExceptionEvent | None:
    if exception.state is ExceptionState.CLOSED:
        return ExceptionEvent.RETURN
    if exception.state is ExceptionState.SETTLED:
        is_graver = _GRAVITY.index(finding.severity) > _GRAVITY.index(exception.finding.severity)
        is_longer = finding.intervals > GROWTH_MAX * (exception.settled_intervals or 0)
        if is_graver or is_longer:
            return ExceptionEvent.GROW
    return None
