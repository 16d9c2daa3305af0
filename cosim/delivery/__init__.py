"""What cleared exchanges become: windows of settled intervals, setpoints, redispatch, compensation, losses.

Integers of the market in, integers or kW out; no power flow is solved here.
"""
