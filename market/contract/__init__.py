"""Contracts for an EVM-compatible chain, and what talks to one: artifacts, ABI, JSON-RPC, keys, transactions, anchors."""
