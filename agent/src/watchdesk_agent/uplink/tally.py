"""What the uplink counts and knows, for the measurements `agent` and `host`."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Written by the uplink's threads, read by samplers; each field stands for itself."""

    is_connected: bool = False
    sent_batches: int = 0
    acked_batches: int = 0
    rejected_batches: int = 0
    clock_offset_s: float | None = None  # how far this host's clock is ahead of the collector's
