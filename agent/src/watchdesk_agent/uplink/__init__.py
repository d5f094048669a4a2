"""The uplink: one stream to the collector, opened again whenever it breaks."""

from watchdesk_agent.uplink.config import UplinkConfig
from watchdesk_agent.uplink.conversation import Introduction
from watchdesk_agent.uplink.credentials import CredentialError, check_credentials
from watchdesk_agent.uplink.tally import Tally
from watchdesk_agent.uplink.uplink import Uplink

__all__ = ["CredentialError", "Introduction", "Tally", "Uplink", "UplinkConfig", "check_credentials"]
