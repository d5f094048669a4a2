"""Settings of the uplink, `[collector]`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from watchdesk_proto.settings import setting

LOOPBACK = re.compile(r"(127(\.\d{1,3}){3}|localhost|\[::1\]):\d+")


def _check_address(address: str) -> str | None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        return f'is {address!r}; it must be a host and a port, like "collector.example:9740"'
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkConfig:
    """Where the collector is, and how agent and collector know each other."""

    address: str = setting(help="The collector's host and port.", check=_check_address, example='"collector.example:9740"')
    ca_file: Path | None = setting(
        None,
        help="Authority (PEM) that signed the collector's certificate. Default: the public ones.",
        example='"/etc/watchdesk/ca.crt"',
    )
    token_file: Path = setting(Path("/etc/watchdesk/agent.token"), help="File with the token that the collector made, its agent.token.")
    insecure: bool = setting(False, help="Speak without TLS; only to a collector on this very host, because the token travels in clear.")

    def problems(self) -> Iterable[tuple[str, str]]:
        """What does not fit together: key and complaint."""
        if self.insecure and not LOOPBACK.fullmatch(self.address):
            yield "insecure", "would send the token in clear over the network; remove it and set ca_file, or use a collector on 127.0.0.1"
        if self.insecure and self.ca_file is not None:
            yield "ca_file", "has no meaning with insecure = true; remove one of them"
