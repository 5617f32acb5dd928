"""Rules on readings, estimates with quality and reason: never a raw value overwritten."""
