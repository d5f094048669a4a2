"""Which probe is due when. Pure: the runner asks it with the time.

A probe's slots are the multiples of its interval, moved by whole seconds that come from its name: many probes with one interval then do not all start
at once and disturb each other's timing. Invariant: slots never drift, for each follows from the last one and not from when it was served.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from watchdesk_agent.probes.config import ProbeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A probe whose time has come, and the slot that its row belongs to."""

    probe: ProbeConfig
    slot_us: int


def offset_us(probe: ProbeConfig) -> int:
    """Whole seconds below the interval, always the same for a name."""
    return zlib.crc32(probe.name.encode()) % max(1, int(probe.interval)) * 1_000_000


def next_slot_us(probe: ProbeConfig, now_us: int) -> int:
    """The first slot after `now_us`."""
    interval_us, moved_us = _interval_us(probe), offset_us(probe)
    return ((now_us - moved_us) // interval_us + 1) * interval_us + moved_us


class Agenda:
    """Holds each probe's next slot."""

    def __init__(self, probes: Sequence[ProbeConfig], *, now_us: int) -> None:
        self._next_us = {probe.name: next_slot_us(probe, now_us) for probe in probes}
        self._probes = tuple(probes)

    def take_due(self, now_us: int) -> list[Due]:
        """Those that are due, each once. A slot that is over before it was served (a suspended host, a stepped clock) is left out."""
        return [due for probe in self._probes if (due := self._take(probe, now_us)) is not None]

    def wait_us(self, now_us: int) -> int | None:
        """How long until one is due; None without probes."""
        return max(0, min(self._next_us.values()) - now_us) if self._next_us else None

    def _take(self, probe: ProbeConfig, now_us: int) -> Due | None:
        slot_us = self._next_us[probe.name]
        if slot_us > now_us + _interval_us(probe):
            self._next_us[probe.name] = next_slot_us(probe, now_us)  # the clock was set back
        if slot_us > now_us:
            return None
        self._next_us[probe.name] = next_slot_us(probe, now_us)
        return Due(probe=probe, slot_us=slot_us) if now_us - slot_us < _interval_us(probe) else None


def _interval_us(probe: ProbeConfig) -> int:
    return round(probe.interval * 1_000_000)
