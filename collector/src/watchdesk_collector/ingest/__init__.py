"""Ingest: from the agents' streams to history, and acks back. The only place of the collector that knows protobuf."""

from watchdesk_collector.ingest.committer import Committer
from watchdesk_collector.ingest.config import IngestConfig
from watchdesk_collector.ingest.refusals import RefusalLog
from watchdesk_collector.ingest.roster import Roster
from watchdesk_collector.ingest.server import create_server
from watchdesk_collector.ingest.service import IngestService
from watchdesk_collector.ingest.upkeep import Upkeep

__all__ = ["Committer", "IngestConfig", "IngestService", "RefusalLog", "Roster", "Upkeep", "create_server"]
