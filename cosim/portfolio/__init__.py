"""A portfolio: many feeders, each a run of its own, as one table with a row a feeder."""

DEFAULT_KEEP = "worst 20"
"""Whose runs are kept: here, so that a command's help needs nothing else."""
