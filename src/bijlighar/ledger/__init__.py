"""Double-entry ledger: transfers, dues, payments, holds and receipts."""
