"""Hashes, Merkle trees, keys and signatures: pure functions of bytes."""
