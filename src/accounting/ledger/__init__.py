"""Where attempts are booked: rows, the journal that keeps them through a crash, the database."""
