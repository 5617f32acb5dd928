"""Meter-days, registers, meter events; versions and quality: nothing changed without its history, no price."""
