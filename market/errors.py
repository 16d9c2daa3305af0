"""Errors of the market and of the ledger."""


class MarketError(ValueError):
    """Bad input to the market: the message says where, what was expected, what was got and what to do."""


class LedgerError(MarketError):
    """Bad input to the ledger: no such ledger, key or record, or one that cannot be used."""


class ChainError(MarketError):
    """A node, key, contract or transaction that cannot be used, or an answer that says nothing."""
