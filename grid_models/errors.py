"""What the physics says about input it cannot use."""


class GridError(ValueError):
    """Bad network or device: the message says where, what was expected, what was got and what to do."""


class EngineDisagreementError(RuntimeError):
    """The fast engine and pandapower differ by more than they may: a defect of the program, never of the input."""
