"""Alarms: their life cycle, who acknowledged them, and the siren."""
