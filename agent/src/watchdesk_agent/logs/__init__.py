"""Error logs: files are followed through rotation, and what is grave in them leaves the host with its secrets masked.

    discover → chain (folder) → follow → assemble (screen → parse → join) → source (cap → mask → shorten) → reader → the spool

Invariant: `reader`'s, that lines and positions are stored together. `MEASUREMENTS` is what the catalogue is made from.
"""

from watchdesk_agent.logs.config import LogConfig, check_sources
from watchdesk_agent.logs.measurements import LOG, LOG_SOURCE
from watchdesk_agent.logs.reader import LogChunk, LogReader, LogSourceSampler

MEASUREMENTS = (LOG, LOG_SOURCE)

__all__ = ["LOG", "LOG_SOURCE", "MEASUREMENTS", "LogChunk", "LogConfig", "LogReader", "LogSourceSampler", "check_sources"]
