"""What becomes of a batch that can't be stored: a hole that says why, counted and told."""

import logging

from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Hole, Host, Outcome

log = logging.getLogger(__name__)


class DecodeError(Exception):
    """Input that can't be stored. `kind` is one of garbage, oversized, future, undeclared; the message is for people."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def reject(error: DecodeError, *, host: Host, epoch: int, seq: int, received_at_us: int, metrics: Metrics) -> Hole:
    """What is stored in the batch's place. Any thread."""
    metrics.rejects.labels(error.kind).inc()
    log.warning("batch %x/%d of host %s is rejected: %s", epoch, seq, host.name, error)
    return Hole(host_id=host.host_id, epoch=epoch, first=seq, last=seq, outcome=Outcome.REJECTED, reason=str(error), received_at_us=received_at_us)
