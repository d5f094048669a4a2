"""Migrations of ops.db, applied by `ops.database.open_ops`. A released one is never edited: a change is a new file in `versions/`."""
