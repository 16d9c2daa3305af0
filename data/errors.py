"""Errors of the data package."""


class DataError(ValueError):
    """Bad input data: the message says where, what was expected, what was got and what to do."""
