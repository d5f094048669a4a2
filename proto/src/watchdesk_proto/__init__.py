"""What agent and collector agree on: the wire (`v1`), the catalogue of measurements, the configuration grammar."""
