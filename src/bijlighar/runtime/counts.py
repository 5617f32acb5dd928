"""What has come of each step in all: counted from the facts where there are facts, else by the step's own runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection

from bijlighar.alarms import queries as alarms
from bijlighar.arrears import queries as arrears
from bijlighar.base.words import Words
from bijlighar.billing import queries as billing
from bijlighar.ledger import queries as ledger
from bijlighar.notices import queries as notices

Total = Callable[[Connection], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a step counts, and where its sum stands; without a total it is the sum of what its runs did."""

    what: Words
    total: Total | None = None


#: By the step's name. A callback may come twice for one payment, and a person takes a step without any run.
COUNTED: Mapping[str, Counted] = MappingProxyType(
    {
        "collect": Counted(what=Words(hi="मीटर-दिन पढ़े गए", en="meter-days read")),
        "read-now": Counted(what=Words(hi="माँगने पर पढ़े गए मीटर", en="meters read because a person asked")),
        "validate": Counted(what=Words(hi="मीटर-दिन जाँचे गए", en="meter-days looked at")),
        "balance": Counted(what=Words(hi="दिन बंद किए गए", en="days closed, or closed anew")),
        "bill": Counted(
            what=Words(hi="बिल एवं सुधार", en="bills and corrections"),
            total=lambda connection: billing.totals(connection)[0],
        ),
        "message": Counted(
            what=Words(hi="संदेश प्रदाता ने लिए", en="messages that a provider took"),
            total=lambda connection: notices.sent_and_delivered(connection)[0],
        ),
        "code": Counted(what=Words(hi="भेजे गए कोड", en="one-time codes handled")),
        "assess": Counted(what=Words(hi="वैधानिक सूचनाएँ", en="statutory notices"), total=arrears.count_notices),
        "list": Counted(
            what=Words(hi="सूचियों में लिए गए खाते", en="accounts put on lists"),
            total=lambda connection: arrears.totals(connection).listed,
        ),
        "approve": Counted(
            what=Words(hi="स्वीकृत आदेश", en="orders approved"),
            total=lambda connection: arrears.totals(connection).approved,
        ),
        "send": Counted(
            what=Words(hi="भेजे गए आदेश", en="orders sent or handed over"),
            total=lambda connection: arrears.totals(connection).sent,
        ),
        "relay": Counted(what=Words(hi="रिले पर प्रयास", en="tries at relays, to move or read them")),
        "payment": Counted(what=Words(hi="जमा भुगतान", en="payments posted"), total=ledger.count_payments),
        "follow": Counted(
            what=Words(hi="आपूर्तियाँ बहाल", en="supplies given back"),
            total=lambda connection: arrears.totals(connection).reconnected,
        ),
        "watch": Counted(what=Words(hi="अलार्म", en="alarms raised"), total=alarms.count),
        "escalate": Counted(what=Words(hi="सूचनाएँ ऊपर भेजी गईं", en="alarms taken further")),
        "siren": Counted(
            what=Words(hi="बार सायरन बजा", en="times the siren was called for"),
            total=alarms.count_activations,
        ),
        "commission": Counted(what=Words(hi="मीटर चालू हुए", en="meters commissioned")),
    }
)

_RUNS = Counted(what=Words(hi="इसके चलने पर गिने गए", en="counted by its runs"))


def counted(step: str) -> Counted:
    """Return what a step counts; of one that is not named here, what its own runs counted."""
    return COUNTED.get(step, _RUNS)
