"""Spending limits: which apply to an attempt, and how they are never exceeded."""
