"""SET: people take part in a market that is running; its web application."""
