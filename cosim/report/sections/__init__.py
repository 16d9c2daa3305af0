"""Sections of the report page: what is said, in which order."""
