"""Private records: commitments, sealed boxes and a member's own store."""
