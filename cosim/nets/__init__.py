"""A network as given, solved and judged: no participants, its own elements at their own powers."""
