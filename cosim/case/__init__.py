"""A case: everything a run needs, read and built once from a scenario and then frozen."""
