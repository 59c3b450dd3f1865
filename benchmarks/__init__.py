"""What Switchgear costs, measured. `make bench` runs all of it."""
