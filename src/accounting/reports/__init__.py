"""What was spent: sums over the ledger, charts, and the comparison with a vendor's bill."""
