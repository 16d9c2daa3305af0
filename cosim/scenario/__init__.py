"""What is simulated: the scenario model, its events, its TOML files. Knows nothing of networks, markets or runs."""
