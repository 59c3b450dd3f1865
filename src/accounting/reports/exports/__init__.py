"""Vendors' usage and cost exports, each format read by a file of its own."""
