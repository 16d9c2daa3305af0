"""Intervals with an outage: each connected part of the network by itself, its grid former, its dispatch."""
