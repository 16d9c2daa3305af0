"""Private records: commitments on the ledger, and the encrypted stores from which members open them."""
