"""A portfolio: many feeders, each a run of its own, as one table with a row a feeder."""
