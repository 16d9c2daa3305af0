"""Contracts for an EVM-compatible chain, and what talks to one."""
