"""The Watchdesk agent: samples its host, keeps batches in a bounded spool, streams them to the collector."""

__version__ = "0.1.0"
