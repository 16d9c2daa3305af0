"""Ctrl-C: where a command may be stopped, and what becomes of the processes it has started."""
