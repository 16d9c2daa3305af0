"""Stochastic hosting capacity: devices at random sites, of random sizes and phases, until the first broken limit."""
