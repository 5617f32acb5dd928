"""Sessions with meters: schedules, keys and counters, the relay behind its gate, and what meters push."""
