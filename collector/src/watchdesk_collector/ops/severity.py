"""How bad it is, in three words that every part uses."""

from enum import StrEnum


class Severity(StrEnum):
    """From least to worst."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(Severity).index(self)
