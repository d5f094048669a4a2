"""Operational state: hosts, alerts, incidents, silences, the outbox and the events between them, in SQLite `ops.db`."""
