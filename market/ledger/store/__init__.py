"""Blocks in SQLite: reading them back in order, the registry of members, the newest block."""
