"""The command line. It reads arguments, calls the rooms below, and prints; nothing is computed here."""
