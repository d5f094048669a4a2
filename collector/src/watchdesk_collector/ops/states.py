"""The states of an alert."""

from enum import StrEnum


class AlertState(StrEnum):
    """In the order an alert passes through them; a pending one may fall back to inactive."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
