"""Local prices: what one kWh more costs at each node of the network, interval by interval."""
