"""Blocks in SQLite: storing them, reading them in order, the registry of members, the end of the chain."""
