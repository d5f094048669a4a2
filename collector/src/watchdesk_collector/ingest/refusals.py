"""Refused agents, told once an hour per machine and kind: an agent with a wrong token tries again for as long as it runs, and says nothing new."""

import logging

from watchdesk_collector.clock import Clock

QUIET_S = 3600.0
REMEMBERED = 10_000

log = logging.getLogger(__name__)


class RefusalLog:
    """Remembers whom it told of; bounded, so that a scan of the port cannot fill memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._told_s: dict[tuple[str, str], float] = {}

    def tell(self, kind: str, peer: str, sentence: str) -> None:
        machine = peer.rpartition(":")[0]  # "ipv4:10.0.0.7:51234" without the port, which changes each time
        now_s = self._clock.monotonic_s()
        told_s = self._told_s.get((kind, machine))
        if told_s is not None and now_s - told_s < QUIET_S:
            return
        if len(self._told_s) >= REMEMBERED:
            self._told_s.clear()
        self._told_s[kind, machine] = now_s
        log.warning("agent at %s is refused: %s", machine, sentence)
