"""tcp: the target accepts a connection."""

from watchdesk_agent.probes.attempt import Attempt
from watchdesk_agent.probes.config import ProbeConfig
from watchdesk_agent.probes.connect import connect
from watchdesk_agent.probes.target import parse_address


class TcpProber:
    """Connects, and hangs up."""

    def __init__(self, probe: ProbeConfig) -> None:
        self._address = parse_address(probe.target)

    def attempt(self, attempt: Attempt) -> None:
        connect(self._address, attempt).close()
