"""What Switchgear costs, measured. `make bench` times the import and lists the rest."""
