"""The driver of the demo: starts the town, moves its clock, asks its truth, writes the report."""
