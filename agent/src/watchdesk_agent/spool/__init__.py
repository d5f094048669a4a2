"""The spool: batches on disk, from when they are collected until the collector holds them for good."""

from watchdesk_agent.spool.file import SpoolError
from watchdesk_agent.spool.model import Hole, SpoolConfig, Spooled, SpoolStats
from watchdesk_agent.spool.order import TheirPositions
from watchdesk_agent.spool.spool import Spool
from watchdesk_agent.spool.statements import Ranges

__all__ = ["Hole", "Ranges", "Spool", "SpoolConfig", "SpoolError", "SpoolStats", "Spooled", "TheirPositions"]
