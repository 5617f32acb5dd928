"""The life cycle of a job, and the lanes in which jobs wait."""

from enum import IntEnum, StrEnum

from bijlighar.base.lifecycle import LifeCycle


class Lane(IntEnum):
    """What goes first: a smaller lane is claimed before a greater one."""

    RECONNECT = 0
    DISCONNECT = 1
    PAYMENT = 2
    NOTICE = 3
    BULK = 4


class JobState(StrEnum):
    """Where a job stands."""

    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class JobEvent(StrEnum):
    """What happens to a job."""

    CLAIM = "claim"
    FINISH = "finish"
    RETRY = "retry"
    FAIL = "fail"
    DOUBT = "doubt"
    RECOVER = "recover"
    EXPIRE = "expire"
    CANCEL = "cancel"


#: The life cycle of a job. UNKNOWN is an end: another job looks at the world and settles the matter.
JOB_LIFE: LifeCycle[JobState, JobEvent] = {
    JobState.READY: {
        JobEvent.CLAIM: JobState.RUNNING,
        JobEvent.EXPIRE: JobState.EXPIRED,
        JobEvent.CANCEL: JobState.CANCELLED,
    },
    JobState.RUNNING: {
        JobEvent.FINISH: JobState.DONE,
        JobEvent.RETRY: JobState.READY,
        JobEvent.FAIL: JobState.FAILED,
        JobEvent.DOUBT: JobState.UNKNOWN,
        JobEvent.RECOVER: JobState.READY,
    },
    JobState.DONE: {},
    JobState.FAILED: {},
    JobState.UNKNOWN: {},
    JobState.EXPIRED: {},
    JobState.CANCELLED: {},
}
