"""Bills: what a house bought, sold and paid for the network in a month, from the ledger, as a page and as CSV."""
