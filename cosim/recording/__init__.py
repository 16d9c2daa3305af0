"""From final intervals to ledger records. Only consumes results; nothing flows back into the simulation."""
