"""Pages, JSON and event streams over HTTP: what people and other programs read of the collector."""
