"""Feeders under one medium-voltage net: voltages and powers of their heads are exchanged until they agree."""
