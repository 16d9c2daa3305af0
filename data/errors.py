"""What the data package says about input it cannot use."""


class DataError(ValueError):
    """Bad input data: the message says where, what was expected, what was got and what to do."""
