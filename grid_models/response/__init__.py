"""How voltages and currents answer to small changes of power; reactive power control."""
