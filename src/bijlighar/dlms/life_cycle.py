"""The life cycle of an association: one table for both roles; it does not know which side sends what."""

from enum import Enum

from bijlighar.base.lifecycle import LifeCycle


class State(Enum):
    """Where an association stands."""

    __hash__ = object.__hash__  # in C: the table is asked at every step

    IDLE = "idle"
    ASSOCIATING = "associating"
    CHALLENGED = "challenged"
    PROVING = "proving"
    ASSOCIATED = "associated"
    REQUESTED = "requested"
    RELEASING = "releasing"


class Step(Enum):
    """What moves it."""

    __hash__ = object.__hash__

    ASSOCIATE = "associate"
    ACCEPT = "accept"
    CHALLENGE = "challenge"
    REFUSE = "refuse"
    PROVE = "prove"
    PROVEN = "proven"
    REQUEST = "request"
    CONTINUE = "continue"
    RESPOND = "respond"
    NOTIFY = "notify"
    RELEASE = "release"
    RELEASED = "released"
    ABORT = "abort"


LIFE_CYCLE: LifeCycle[State, Step] = {
    State.IDLE: {Step.ASSOCIATE: State.ASSOCIATING, Step.ABORT: State.IDLE},
    State.ASSOCIATING: {
        Step.ACCEPT: State.ASSOCIATED,
        Step.CHALLENGE: State.CHALLENGED,
        Step.REFUSE: State.IDLE,
        Step.ABORT: State.IDLE,
    },
    State.CHALLENGED: {Step.PROVE: State.PROVING, Step.REFUSE: State.IDLE, Step.ABORT: State.IDLE},
    State.PROVING: {Step.PROVEN: State.ASSOCIATED, Step.REFUSE: State.IDLE, Step.ABORT: State.IDLE},
    State.ASSOCIATED: {
        Step.REQUEST: State.REQUESTED,
        Step.NOTIFY: State.ASSOCIATED,
        Step.RELEASE: State.RELEASING,
        Step.ABORT: State.IDLE,
    },
    State.REQUESTED: {
        Step.CONTINUE: State.REQUESTED,
        Step.RESPOND: State.ASSOCIATED,
        Step.NOTIFY: State.REQUESTED,
        Step.ABORT: State.IDLE,
    },
    State.RELEASING: {Step.RELEASED: State.IDLE, Step.ABORT: State.IDLE},
}
