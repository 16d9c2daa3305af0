"""Curtailment rules: which exchanges of an interval are delivered when the network cannot carry all of them."""
