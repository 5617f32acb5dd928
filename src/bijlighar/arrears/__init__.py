"""Ageing, lists, approvals, disconnect and reconnect orders, and the interlocks before the relay."""
