"""The rule kind that looks at hosts instead of samples: when was each last heard?

Invariant: a host counts as silent only for time in which the collector listened, so a collector that was down accuses nobody when it returns.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from watchdesk_collector.alerting.step import Sample, Series
from watchdesk_collector.clock import to_us
from watchdesk_collector.model import Host


def silence_samples(hosts: Sequence[Host], *, silent_for_us: int, now_us: int, listening_since: datetime) -> Iterator[Sample]:
    """One sample for each host that is silent, at the moment it became so, or surely not, at the moment it was heard; none for those in between."""
    for host in hosts:
        series = Series(fingerprint=str(host.host_id), host_id=host.host_id, labels={})
        heard_us = to_us(host.last_seen_at)
        silent_at_us = max(heard_us, to_us(listening_since)) + silent_for_us
        facts = {"last_seen": _last_seen(host, listening_since)}
        if silent_at_us <= now_us:
            yield Sample(series=series, at_us=silent_at_us, fires=True, clears=False, value=(silent_at_us - heard_us) / 1_000_000, facts=facts)
        elif now_us - heard_us < silent_for_us:
            yield Sample(series=series, at_us=heard_us, fires=False, clears=True, value=0.0, facts=facts)


def _last_seen(host: Host, listening_since: datetime) -> str:
    heard = f"last heard {host.last_seen_at:%Y-%m-%d %H:%M:%S} UTC"
    if host.last_seen_at < listening_since:
        return f"{heard}, and not once since the collector is back, at {listening_since:%H:%M:%S} UTC"
    return heard
