"""Studies: many runs or markets at once, their tables and figures."""
