"""The hash-linked, permissioned record of what was settled and why it was admissible."""
