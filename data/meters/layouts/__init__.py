"""Layouts of meter data, one a module: each makes `Parsed` of a file's text."""
