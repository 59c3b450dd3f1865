"""From another router's configuration to ours: pure translation, no network, no secrets copied."""
