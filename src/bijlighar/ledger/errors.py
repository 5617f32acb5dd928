"""The errors of this room."""

from bijlighar.base.errors import BijligharError


class LedgerError(BijligharError):
    """The root of the errors of this room."""

    code = "ledger.error"


class InvalidTransfer(LedgerError):
    """A transfer is not above zero, or debits and credits the same head."""

    code = "ledger.invalid-transfer"


class KeyConflict(LedgerError):
    """A key that is already posted came again with other contents."""

    code = "ledger.key-conflict"


class DueNotPosted(LedgerError):
    """A due does not equal what its document posted to the receivable."""

    code = "ledger.due-not-posted"


class InvalidPayment(LedgerError):
    """A payment, hold or receipt number cannot be right."""

    code = "ledger.invalid-payment"


class UnknownPayment(LedgerError):
    """No such payment is known."""

    code = "ledger.unknown-payment"


class UnknownLedgerAccount(LedgerError):
    """No such customer account is registered."""

    code = "ledger.unknown-account"


class BrokenEvent(LedgerError):
    """The body of a payment callback cannot be understood."""

    code = "ledger.broken-event"


class GatewayUnavailable(LedgerError):
    """The payment gateway does not answer, or asks to be called later; trying again is right."""

    code = "ledger.gateway-unavailable"


class GatewayRefused(LedgerError):
    """The payment gateway answers that the call is wrong; trying again is useless."""

    code = "ledger.gateway-refused"
