"""Operating envelopes: for each customer and interval a range of power within which any combination is safe."""
