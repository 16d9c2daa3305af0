"""The story of one interval, and the fold of a run over its intervals."""
