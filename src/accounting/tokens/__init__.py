"""Tokens: how many a request has, about and at most."""
