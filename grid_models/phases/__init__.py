"""Unbalanced power flow: conductors instead of buses, for three-phase and four-wire networks."""
