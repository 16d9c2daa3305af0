"""Models of PV, inverters, batteries and fuel cells: pure functions of scalars or arrays."""
