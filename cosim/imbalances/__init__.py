"""What meters say beside what a run committed to: judged by the network, deviations settled with the utility."""
