"""Wiring, settings, route, clock: no business decision."""
