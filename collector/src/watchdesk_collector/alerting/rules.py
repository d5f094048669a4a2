"""A rule, read and checked: what the engine evaluates and what messages quote."""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from watchdesk_collector.alerting.expression import Node
from watchdesk_collector.alerting.wording import measured
from watchdesk_collector.ops.severity import Severity

Fact: TypeAlias = str | float | None


class RuleKind(StrEnum):
    """What a rule looks at."""

    THRESHOLD = "threshold"  # samples of a measurement
    SILENT = "silent"  # when each host was last heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """How long a condition must last before an alert fires: a time, or a number of samples in a row."""

    us: int
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a threshold rule reads. `by` are the labels, without the host, that tell its series apart; `over_us` the width of windows, 0 for none."""

    measurement: str
    labels: Sequence[str]  # of the measurement
    by: Sequence[str]
    over_us: int
    where: Node | None
    when: Node
    clear: Node | None  # None: as soon as `when` no longer holds
    value: Node
    facts: Sequence[str]  # columns beyond `by` that the summary quotes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `fires_when` and `clears_when` are the conditions in the words of its author; `units` tells how the summary's numbers are written."""

    name: str
    kind: RuleKind
    severity: Severity
    hold: Hold
    no_data_us: int | None  # None: silence does not resolve it
    silent_for_us: int
    condition: Condition | None
    fires_when: str
    clears_when: str
    summary: str
    remedy: str
    runbook: str
    units: Mapping[str, str]

    def value_text(self, value: float | None) -> str:
        """The value as people read it: "93.1 %", "1.2 GiB", "5m"."""
        return measured(value, self.units.get("value", ""))

    def summarise(self, *, host: str, labels: Mapping[str, str], value: float | None, facts: Mapping[str, Fact]) -> str:
        """The summary with its placeholders filled in."""
        words: dict[str, str] = {name: self._fact_text(name, fact) for name, fact in facts.items()}
        return self.summary.format_map(words | dict(labels) | {"host": host, "value": self.value_text(value)})

    def _fact_text(self, name: str, fact: Fact) -> str:
        if isinstance(fact, str):
            return fact
        return measured(fact, self.units.get(name, ""))


def placeholders(template: str) -> Sequence[str]:
    """The names in {braces} of a summary. **Errors**: ValueError when braces do not match or hold more than a name."""
    names = []
    for _, name, form, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if form or conversion or not name.isidentifier():
            raise ValueError(f"has {{{name}}}; braces hold just the name of a column, {{host}} or {{value}}")
        names.append(name)
    return names
