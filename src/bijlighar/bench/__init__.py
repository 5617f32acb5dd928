"""The benchmarks behind `bijlighar bench`."""
