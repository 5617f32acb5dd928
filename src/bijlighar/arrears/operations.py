"""What other rooms may do: assess, lists and approvals, send, follow, give supply back, halt, record by hand."""

from importlib import resources

from bijlighar.arrears.assessing import assess, lapse_orders
from bijlighar.arrears.by_hand import (
    add_reason,
    end_circumstance,
    enter_circumstance,
    record_manual,
    withdraw_reason,
)
from bijlighar.arrears.errors import BrokenPolicy
from bijlighar.arrears.following import follow_commands
from bijlighar.arrears.listing import approve, draw_up_list
from bijlighar.arrears.releasing import Signer, ensure_reconnects, release_paid
from bijlighar.arrears.sending import halt, resume, send_approved

__all__ = [
    "Signer",
    "add_reason",
    "approve",
    "assess",
    "draw_up_list",
    "end_circumstance",
    "ensure_reconnects",
    "enter_circumstance",
    "follow_commands",
    "halt",
    "lapse_orders",
    "record_manual",
    "release_paid",
    "resume",
    "send_approved",
    "shipped_policy",
    "withdraw_reason",
]

SHIPPED = "mp"


def shipped_policy(name: str = SHIPPED) -> str:
    """
    Return the text of a policy that is shipped with the package.

    :raises BrokenPolicy: if none of that name is.
    """
    file = resources.files("bijlighar.arrears") / "policies" / f"{name}.toml"
    if not file.is_file():
        raise BrokenPolicy(f"no policy named {name!r} is shipped")
    return file.read_text(encoding="utf-8")
