"""Energy communities as the law of four countries has them, and how their gains are shared: integers of Wh and nEUR."""
