"""Offices, the people in them, what their roles allow, and the record of what they did."""
