"""Money and matching: orders, prices, exchanges, settlement, ledger. No network."""
