"""What an operator may set about alerting."""

from dataclasses import dataclass
from pathlib import Path

from watchdesk_proto.settings import Form, setting


def _positive(seconds: float) -> str | None:
    return None if seconds > 0 else "must be more than zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertingConfig:
    """The [alerting] table."""

    rules: tuple[Path, ...] = setting((), help="Files with rules of your own; see docs/rules.md.", example='["/etc/watchdesk/rules.toml"]')
    builtin: bool = setting(True, help="Whether the default rules are on.")
    interval: float = setting("10s", form=Form.DURATION, check=_positive, help="How often rules are evaluated.")
    grace: float = setting(
        "15s",
        form=Form.DURATION,
        help="How far behind the clock rules read, so that samples have arrived: longer than the agents' flush_interval. "
        "Samples that arrive later than this do not move alerts.",
    )
