"""AC power flow of many intervals at once, and the verdict on its results."""
