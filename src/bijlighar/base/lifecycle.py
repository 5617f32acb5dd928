"""A life cycle is a table `{state: {event: next state}}`; one function steps it and one draws it."""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from bijlighar.base.errors import BijligharError

State = TypeVar("State", bound=Enum)
Event = TypeVar("Event", bound=Enum)
LifeCycle = Mapping[State, Mapping[Event, State]]


class IllegalStep(BijligharError):
    """The life cycle has no such step."""

    code = "base.illegal-step"


def next_state(table: LifeCycle[State, Event], state: State, event: Event) -> State:
    """
    Return the state after `event`.

    :raises IllegalStep: if the table has no such step.
    """
    try:
        return table[state][event]
    except KeyError:
        raise IllegalStep(f"{event.name.lower()} is not possible from {state.name.lower()}") from None


def mermaid(table: LifeCycle[State, Event]) -> str:
    """Return the table as a Mermaid state diagram, in the table's own order."""
    lines = ["stateDiagram-v2"]
    first = next(iter(table))
    lines.append(f"    [*] --> {first.name}")
    for state, steps in table.items():
        if not steps:
            lines.append(f"    {state.name} --> [*]")
        lines.extend(
            f"    {state.name} --> {after.name}: {event.name.lower()}" for event, after in steps.items()
        )
    return "\n".join(lines)
