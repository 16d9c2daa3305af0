"""Tables of the report, computed from a run's tables."""
