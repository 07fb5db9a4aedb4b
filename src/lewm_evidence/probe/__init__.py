"""Starts the real viewers and asks them for what the records say must be there."""
