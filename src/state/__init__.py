"""What a fleet shares: a link to Redis, and the scripts that decide there."""
