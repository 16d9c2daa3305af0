"""Hashes, Merkle trees, keys, signatures and sealed boxes; nothing here knows what the bytes mean."""
