"""Sections of the report page: texts, and which tables and figures they show."""
