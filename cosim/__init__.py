"""The story of an interval: market, setpoints, power flow, verdict, settlement, ledger."""
