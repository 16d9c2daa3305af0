"""What cosim says about input it cannot use; the command line turns it into exit code 2."""


class ScenarioError(ValueError):
    """Bad scenario: the message says file and key, what was expected, what was got and what to do."""


class ConservationError(RuntimeError):
    """Energy or money does not balance to the last unit: a defect of the program, never of the input."""
