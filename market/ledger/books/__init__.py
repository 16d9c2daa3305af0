"""Accounts replayed from records: energy, money and lots must balance."""
