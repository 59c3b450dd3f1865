"""From one call to the right provider: plan, attempts, failover, streams."""
