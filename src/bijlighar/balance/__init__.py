"""Transformer and feeder input against what their consumers used: losses."""
