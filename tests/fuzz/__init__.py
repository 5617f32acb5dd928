"""Coverage-guided fuzzing of every parser of the protocol."""
