"""The spool: batches on disk, from when they are collected until the collector holds them for good."""

from watchdesk_agent.spool.file import SpoolError
from watchdesk_agent.spool.spool import Hole, Ranges, Spool, SpoolConfig, Spooled, SpoolStats

__all__ = ["Hole", "Ranges", "Spool", "SpoolConfig", "SpoolError", "SpoolStats", "Spooled"]
