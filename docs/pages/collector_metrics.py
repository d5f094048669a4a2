"""docs/collector-metrics.md: the collector's own numbers, from the registry that /metrics shows."""

from prometheus_client import Metric
from watchdesk_collector.metrics import Metrics

_HEAD = """\
# The collector's own metrics

`GET /metrics` shows these in the Prometheus text format. What an agent counts about itself are measurements like any other: `agent`, `agent_sampler`
and `missed` in [metrics.md](metrics.md). This page is written by `make docs` from the registry.

| metric | type | meaning |
|---|---|---|
"""


def render() -> str:
    """The whole page."""
    families = sorted(Metrics().registry.collect(), key=lambda family: family.name)
    return _HEAD + "".join(_row(family) for family in families)


def _row(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return f"| `{name}` | {family.type} | {family.documentation} |\n"
