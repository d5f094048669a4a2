"""Configuration files of an arena: defaults, but for intervals so short that all of the product's work happens within seconds."""

from pathlib import Path

from watchdesk_collector.cli.demo.certificates import TlsFiles
from watchdesk_collector.cli.selftest.seats import AgentSeat, CollectorSeat
from watchdesk_collector.cli.selftest.writer import SOURCE

FLOOR_BYTES = 32 << 20


def collector(seat: CollectorSeat, tls: TlsFiles) -> str:
    """Without rules: an alert has its own tests."""
    return f"""\
state_dir = "{seat.state_dir}"
[ingest]
listen = "{seat.address}"
tls_cert = "{tls.certificate}"
tls_key = "{tls.key}"
[web]
listen = "127.0.0.1:{seat.web_port}"
[history]
checkpoint_interval = "1s"
generation_age = "2s"
free_space_floor = "{FLOOR_BYTES >> 20}MiB"
[sql]
rows = 1000000
timeout = "50s"
[alerting]
builtin = false
"""


def agent(seat: AgentSeat, collector: CollectorSeat, tls: TlsFiles) -> str:
    """Samples and sends several times a second, and follows a log."""
    return f"""\
{_head(seat, seat.state_dir, f"127.0.0.1:{seat.relay.port}", collector, tls)}
[sampling]
interval = "500ms"
flush_interval = "250ms"
[[log]]
name = "{SOURCE}"
files = ["{seat.application_log}"]
start_at = "beginning"
max_lines_per_minute = 1000000
"""


def copied_agent(seat: AgentSeat, state_dir: Path, collector: CollectorSeat, tls: TlsFiles, *, probe: str) -> str:
    """A copy of an agent, as on another machine: it measures no more than a probe, for all else could not be told from what the original measures."""
    return f"""\
{_head(seat, state_dir, collector.address, collector, tls)}
[sampling]
interval = "30d"
flush_interval = "250ms"
[[probe]]
name = "{probe}"
kind = "tcp"
target = "127.0.0.1:{collector.web_port}"
interval = "500ms"
timeout = "250ms"
"""


def _head(seat: AgentSeat, state_dir: Path, address: str, collector: CollectorSeat, tls: TlsFiles) -> str:
    return f"""\
host = "{seat.host}"
state_dir = "{state_dir}"
[collector]
address = "{address}"
ca_file = "{tls.authority}"
token_file = "{collector.agent_token_file}"\
"""
