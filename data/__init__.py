"""Inputs: profiles, houses, files of the user. No power flow, no market."""
