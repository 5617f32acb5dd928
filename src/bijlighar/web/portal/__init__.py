"""The pages of consumers."""
