"""Communities by law from a run's ledger: terms, delivered energies, settlements, tables, and the game behind them."""
