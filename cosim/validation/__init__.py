"""Trades that were cleared elsewhere, and the generation that a feeder can host, judged by AC power flow."""
