"""Prices: the table, what may stand in it, and whose prices a call is billed at."""
