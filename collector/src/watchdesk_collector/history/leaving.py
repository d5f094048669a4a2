"""Files that left the manifest and wait to leave the disk: readers with an older snapshot may still open them.

Invariant: none is unlinked before a checkpoint has made its leaving certain, for a lost write-ahead log would bring its manifest row back.
"""

from collections.abc import Iterable
from pathlib import Path

from watchdesk_collector.history.steps import Step, Steps

STAY_S = 300.0


class Leaving:
    """Outlives a reopened instance; belongs to the writer thread."""

    def __init__(self) -> None:
        self._left_s: dict[Path, float] = {}

    def note(self, paths: Iterable[Path], *, at_s: float) -> None:
        self._left_s.update(dict.fromkeys(paths, at_s))

    def paths(self) -> frozenset[Path]:
        return frozenset(self._left_s)

    def unlink_due(self, *, now_s: float, steps: Steps) -> None:
        """Right after a checkpoint: unlink what left long enough ago."""
        for path in [path for path, left_s in self._left_s.items() if now_s - left_s >= STAY_S]:
            path.unlink(missing_ok=True)
            del self._left_s[path]
            steps(Step.FILE_UNLINKED)
