"""`run`: fold over the intervals of a scenario, record them, sum them up."""
