"""A thread for one sampler that may block, so that a dead mount makes this sampler stale and nothing else.

Before it: `schedule`, which offers it slots. Invariant: a slot is either settled by the thread, or abandoned by the schedule, never both.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from watchdesk_agent.model import Sampler, Samples


class Worker:
    """Its thread is a daemon: one that hangs in the kernel does not keep the agent from ending."""

    def __init__(
        self, sampler: Sampler, *, run: Callable[[Sampler, int], Samples | None], settle: Callable[[Sampler, int, Samples | None], None]
    ) -> None:
        self._sampler = sampler
        self._run = run
        self._settle = settle
        self._lock = threading.Lock()
        self._slots: SimpleQueue[int | None] = SimpleQueue()
        self._busy_with_us: int | None = None
        self._is_abandoned = False
        self._thread = threading.Thread(target=self._serve, name=f"sampler {sampler.name}", daemon=True)
        self._thread.start()

    def offer(self, slot_us: int) -> bool:
        """Have it serve a slot; False when it has not come back from an earlier one."""
        with self._lock:
            if self._busy_with_us is not None:
                return False
            self._busy_with_us = slot_us
            self._is_abandoned = False
        self._slots.put(slot_us)
        return True

    def abandon(self) -> int | None:
        """Wait no longer for the slot it is busy with: what it brings will be discarded. Returns that slot, None if it was abandoned before."""
        with self._lock:
            if self._busy_with_us is None or self._is_abandoned:
                return None
            self._is_abandoned = True
            return self._busy_with_us

    def close(self, timeout_s: float) -> None:
        """End the thread, unless it hangs for longer than this."""
        self._slots.put(None)
        self._thread.join(timeout_s)

    def _serve(self) -> None:
        while (slot_us := self._slots.get()) is not None:
            samples = self._run(self._sampler, slot_us)
            with self._lock:
                is_wanted = not self._is_abandoned
                if is_wanted:
                    self._settle(self._sampler, slot_us, samples)
                self._busy_with_us = None
