"""Many feeders in one run: their heads, what would mend them, their report."""
