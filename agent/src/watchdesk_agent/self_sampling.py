"""Samplers of the agent itself: `agent` and `agent_sampler`."""

from collections.abc import Callable, Sequence

import psutil

from watchdesk_agent.flush import Flush
from watchdesk_agent.model import Instant, Row
from watchdesk_agent.schedule import Health
from watchdesk_agent.self_measurements import AGENT, AGENT_SAMPLER
from watchdesk_agent.spool import SpoolStats
from watchdesk_agent.uplink import Tally


def measure_agent(*, spool: SpoolStats, tally: Tally, rows_taken: int, rows_dropped: int, rss_bytes: int, cpu_s: float) -> Row:
    """The row of `agent`."""
    lost = (spool.dropped_batches, spool.at_risk_batches, rows_dropped)
    answered = (tally.sent_batches, tally.acked_batches, tally.rejected_batches)
    return (int(tally.is_connected), spool.batches, spool.bytes, *lost, *answered, rows_taken, rss_bytes, cpu_s)


class AgentSampler:
    """Asks the parts of the agent what they hold and have counted."""

    name = "agent"
    measurement = AGENT
    interval_s = 10.0
    may_block = True  # the spool may be busy on a slow disk

    def __init__(self, *, spool_stats: Callable[[], SpoolStats], tally: Tally, flush: Flush) -> None:
        self._spool_stats = spool_stats
        self._tally = tally
        self._flush = flush
        self._process = psutil.Process()

    def sample(self, at: Instant) -> Sequence[Row]:
        with self._process.oneshot():
            rss_bytes, cpu = self._process.memory_info().rss, self._process.cpu_times()
        return [
            measure_agent(
                spool=self._spool_stats(),
                tally=self._tally,
                rows_taken=self._flush.rows_taken,
                rows_dropped=self._flush.rows_dropped,
                rss_bytes=rss_bytes,
                cpu_s=cpu.user + cpu.system,
            )
        ]


class SamplerHealthSampler:
    """Tells how each sampler fared since the previous row."""

    name = "agent_sampler"
    measurement = AGENT_SAMPLER
    interval_s = 10.0
    may_block = False

    def __init__(self, health: Health) -> None:
        self._health = health

    def sample(self, at: Instant) -> Sequence[Row]:
        return self._health.take_rows()
