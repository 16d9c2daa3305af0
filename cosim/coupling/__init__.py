"""Coupling with other simulators: a run that is stepped interval by interval, and what mosaik sees of it."""
