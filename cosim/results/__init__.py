"""Tables, sums and summaries of a run, in memory or in a run directory."""
