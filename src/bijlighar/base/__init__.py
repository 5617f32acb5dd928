"""Money, energy, period, identifiers, the clock port and errors: what every room may use."""
