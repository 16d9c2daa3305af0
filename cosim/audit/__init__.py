"""A finished run's ledger, checked by solving its intervals again with pandapower."""
