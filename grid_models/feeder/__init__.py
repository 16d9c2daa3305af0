"""Feeders: generated, read from a file or by name; their topology and their participants."""
