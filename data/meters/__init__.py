"""Meters as people have them: files of many layouts become energies by meter and interval, with an account of all."""
