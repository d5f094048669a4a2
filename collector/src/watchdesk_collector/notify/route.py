"""Which alerts a receiver wants."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from watchdesk_proto.settings import setting

from watchdesk_collector.ops.severity import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """[notify.….NAME.only]: all alerts, unless told otherwise."""

    severity: Severity = setting(Severity.INFO, help="Alerts at least this bad: info, warning or critical.")
    hosts: tuple[str, ...] = setting(("*",), help="Host names it concerns; * and ? stand for any characters.", example='["db*"]')
    rules: tuple[str, ...] = setting(("*",), help="Rule names it concerns, in the same way.")

    def wants(self, *, severity: Severity, host: str, rule: str) -> bool:
        """Whether an alert is for this receiver."""
        is_bad_enough = severity.rank >= self.severity.rank
        return is_bad_enough and _matches(host, self.hosts) and _matches(rule, self.rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Somebody who is told: `email.NAME` or `webhook.NAME`."""

    name: str
    route: Route


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
