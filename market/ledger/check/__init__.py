"""The verifier's side: it needs data and pinned keys only, nothing of `write`."""
