"""Probes: active attempts to reach a target, each on a cadence of its own.

Before them on the pipe: the configuration. After them: batches, as for samplers. Adding a kind takes two places: its file, and its line in `KINDS`.
"""

from collections.abc import Callable, Mapping

from watchdesk_agent.probes.attempt import Prober
from watchdesk_agent.probes.config import ProbeConfig, ProbeKind
from watchdesk_agent.probes.tcp import TcpProber


def _http(probe: ProbeConfig) -> Prober:
    from watchdesk_agent.probes.http import HttpProber  # noqa: PLC0415  # pulls in ssl: megabytes that an agent without such probes need not spend

    return HttpProber(probe)


KINDS: Mapping[ProbeKind, Callable[[ProbeConfig], Prober]] = {
    ProbeKind.TCP: TcpProber,
    ProbeKind.HTTP: _http,
}
