"""A member's own node: it fetches, verifies, keeps, cosigns and serves a log of somebody else, and compares two."""
