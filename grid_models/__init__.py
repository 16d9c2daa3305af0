"""Physics of the low-voltage feeder: devices, power flow, limits. No money, no orders."""
