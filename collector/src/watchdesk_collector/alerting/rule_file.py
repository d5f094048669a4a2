"""Rules as they are written: `[[rule]]` tables in TOML, checked against the catalogue.

docs/rules.md tells the grammar. Invariant: a file is either read whole or answered with everything that is wrong with it, each with line and remedy.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdesk_proto.catalogue import Measurement
from watchdesk_proto.settings import ConfigError, Entry, Form, Problem, parse_array, parse_duration, read, setting

from watchdesk_collector.alerting.expression import ExpressionError, Node, parse_expression
from watchdesk_collector.alerting.meaning import Scope, Sort, complaints, subject, unit_of, unknown_name
from watchdesk_collector.alerting.rules import Condition, Hold, Rule, RuleKind, placeholders
from watchdesk_collector.alerting.wording import duration
from watchdesk_collector.ops.severity import Severity

DEFAULT_RULES = Path(__file__).parent / "default_rules.toml"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _check_name(name: str) -> str | None:
    return None if _NAME.fullmatch(name) else f"is {name!r}; a rule is called with lower case letters, digits, - and _, at most 63"


def _check_expression(written: str) -> str | None:
    try:
        parse_expression(written)
    except ExpressionError as error:
        return str(error)
    return None


def _check_summary(written: str) -> str | None:
    try:
        placeholders(written)
    except ValueError as error:
        return f"{error}; write {{{{ for a brace"
    return None


def _check_hold(written: str) -> str | None:
    try:
        _hold(written)
    except ValueError:
        return f'is {written!r}; write a time like "5m" or a number like "2 samples"'
    return None


def _check_runbook(written: str) -> str | None:
    return None if not written or written.startswith(("https://", "http://")) else "must be a link that starts with https://"


def _positive(seconds: float) -> str | None:
    return None if seconds > 0 else "must be more than zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSettings:
    """One [[rule]]."""

    name: str = setting(help="What the alert is called. A rule with the name of a default rule takes its place.", check=_check_name)
    enabled: bool = setting(True, help="false switches the rule off; a default rule is switched off with just its name and this.")
    kind: RuleKind = setting(RuleKind.THRESHOLD, help='"threshold" looks at samples, "silent" at when each host was last heard.')
    severity: Severity = setting(Severity.WARNING, help="How bad it is: info, warning or critical.")
    measurement: str = setting("", help="The table the rule reads.", example="disk")
    where: str = setting("", help="Which samples count; all without it.", check=_check_expression, example="filesystem != 'tmpfs'")
    by: tuple[str, ...] | None = setting(
        None, help="What gets an alert of its own; the host and every label unless told otherwise.", example='["host", "mount"]'
    )
    over: float | None = setting(
        None, form=Form.DURATION, check=_positive, help="Condition over windows this long, aligned to the clock, instead of over single samples."
    )
    when: str = setting("", help="When the alert starts.", check=_check_expression, example="used_ratio > 90%")
    clear: str = setting("", help="When it ends; as soon as `when` no longer holds, without it.", check=_check_expression, example="used_ratio < 85%")
    hold: str = setting("0s", key="for", help='How long `when` must hold without a break: a time, or "3 samples".', check=_check_hold)
    no_data: float = setting(
        "10m", form=Form.DURATION, check=_positive, help="The alert ends when its host sends everything else but no sample of it for this long."
    )
    silent_for: float = setting("1m", form=Form.DURATION, check=_positive, help='Kind "silent": how long a host may not be heard.')
    summary: str = setting("", help="One sentence; {host}, {value} and the columns of the measurement are filled in.", check=_check_summary)
    remedy: str = setting("", help="What to do about it.")
    runbook: str = setting("", help="A link to more.", check=_check_runbook)

    def problems(self) -> Iterable[tuple[str, str]]:
        """What must be there, and what has no business there, by kind."""
        if not self.enabled:
            return
        if not self.summary:
            yield "summary", "is missing; say in one sentence what is wrong, as the reader of the mail should see it"
        needed = ("measurement", "when") if self.kind is RuleKind.THRESHOLD else ()
        for key in needed:
            if not getattr(self, key):
                yield key, f"is missing; a rule of kind {self.kind} needs it"
        if self.kind is RuleKind.SILENT:
            for key in ("measurement", "where", "when", "clear", "over", "by"):
                if getattr(self, key):
                    yield key, f"has no meaning in a rule of kind {self.kind}; take it out"


def load_rules(paths: Sequence[Path], catalogue: Sequence[Measurement], *, builtin: bool = True) -> tuple[Rule, ...]:
    """The rules of all files, and the default ones but for those that a file replaces or switches off. **Errors**: ConfigError with all problems."""
    problems: list[Problem] = []
    own = _read_files(paths, catalogue, problems)
    default = _read_default(catalogue, problems) if builtin else {}
    if problems:
        raise ConfigError(problems)
    return tuple(rule for rule in (default | own).values() if rule is not None)


def _read_default(catalogue: Sequence[Measurement], problems: list[Problem]) -> dict[str, Rule | None]:
    return _read_files([DEFAULT_RULES], catalogue, problems)


def _read_files(paths: Sequence[Path], catalogue: Sequence[Measurement], problems: list[Problem]) -> dict[str, Rule | None]:
    """By name; None stands for a rule that is switched off."""
    rules: dict[str, Rule | None] = {}
    for path in paths:
        try:
            entries, wrong = parse_array(read(path, remedy="check the path"), "rule", RuleSettings, path=path)
        except ConfigError as error:
            problems += error.problems
            continue
        found = list(wrong)
        for entry in entries:
            if entry.value.name in rules:
                found.append(Problem(path, entry.line, f"there is a rule {entry.value.name!r} already; give this one another name"))
            rules[entry.value.name] = _rule(entry, catalogue, path, found)
        problems += sorted(found, key=lambda problem: problem.line or 0)
    return rules


def _rule(entry: Entry[RuleSettings], catalogue: Sequence[Measurement], path: Path, problems: list[Problem]) -> Rule | None:
    written = entry.value
    if not written.enabled:
        return None
    builder = _Builder(written, {measurement.name: measurement for measurement in catalogue})
    rule = builder.rule()
    for key, complaint in builder.complaints:
        problems.append(Problem(path, entry.lines.get(key, entry.line), f"rule {written.name!r}: {key} {complaint}"))
    return rule


class _Builder:
    """Turns one [[rule]] into a Rule, collecting complaints by key."""

    def __init__(self, written: RuleSettings, measurements: dict[str, Measurement]) -> None:
        self._written = written
        self._measurements = measurements
        self.complaints: list[tuple[str, str]] = []

    def rule(self) -> Rule | None:
        """None when there are complaints."""
        rule = self._silent() if self._written.kind is RuleKind.SILENT else self._threshold()
        return None if self.complaints else rule

    def _silent(self) -> Rule:
        self._check_placeholders(("host", "value", "last_seen"))
        silent_for = duration(self._written.silent_for)
        return self._make(condition=None, fires_when=f"not heard for {silent_for}", clears_when="heard again", units={"value": "seconds"})

    def _threshold(self) -> Rule | None:
        written = self._written
        measurement = self._measurements.get(written.measurement)
        if measurement is None:
            self.complaints.append(("measurement", unknown_name(written.measurement, self._measurements, kind="measurement")))
            return None
        labels = [label.name for label in measurement.labels]
        by = self._by(labels)
        self._check_placeholders(("host", "value", *(column.name for column in measurement.columns)))
        scope = Scope(measurement=measurement, by=by, over_windows=written.over is not None)
        when = self._expression("when", scope)
        clear = self._expression("clear", scope)
        where = self._expression("where", Scope(measurement=measurement, by=labels, over_windows=False))
        value = subject(when) if when is not None else None
        if when is not None and value is None:
            self.complaints.append(("when", "compares nothing; write something like used_ratio > 90%, so that messages can tell the value"))
        if when is None or value is None or self.complaints:
            return None
        facts = [name for name in dict.fromkeys(placeholders(written.summary)) if name not in ("host", "value", *by)]
        condition = Condition(
            measurement=measurement.name,
            labels=labels,
            by=by,
            over_us=round((written.over or 0) * 1_000_000),
            where=where,
            when=when,
            clear=clear,
            value=value,
            facts=facts,
        )
        return self._make(
            condition=condition,
            fires_when=self._in_words(written.when),
            clears_when=self._in_words(written.clear) if written.clear else f"no longer {self._in_words(written.when)}",
            units={"value": unit_of(value, measurement)} | {column.name: column.unit for column in measurement.columns},
        )

    def _make(self, *, condition: Condition | None, fires_when: str, clears_when: str, units: dict[str, str]) -> Rule:
        written = self._written
        return Rule(
            name=written.name,
            kind=written.kind,
            severity=written.severity,
            hold=_hold(written.hold),
            no_data_us=None if condition is None else round(written.no_data * 1_000_000),
            silent_for_us=round(written.silent_for * 1_000_000),
            condition=condition,
            fires_when=fires_when,
            clears_when=clears_when,
            summary=written.summary,
            remedy=" ".join(written.remedy.split()),
            runbook=written.runbook,
            units=units,
        )

    def _by(self, labels: Sequence[str]) -> Sequence[str]:
        """The labels that tell series apart. An alert belongs to a host, so `host` must be among what is written."""
        if self._written.by is None:
            return labels
        if "host" not in self._written.by:
            self.complaints.append(("by", 'must hold "host": an alert belongs to a host'))
        by = [name for name in self._written.by if name != "host"]
        for name in by:
            if name not in labels:
                self.complaints.append(("by", unknown_name(name, ["host", *labels], kind="label")))
        left_out = [label for label in labels if label not in by]
        if left_out and self._written.over is None:
            self.complaints.append(
                ("by", f'leaves out {", ".join(left_out)}, so several samples meet; add over = "1m" and an aggregate, or name every label')
            )
        return by

    def _expression(self, key: str, scope: Scope) -> Node | None:
        text = str(getattr(self._written, key))
        if not text:
            return None
        node = parse_expression(text)
        found = complaints(node, Sort.TRUTH, scope)
        self.complaints += [(key, complaint) for complaint in found]
        return None if found else node

    def _check_placeholders(self, known: Sequence[str]) -> None:
        for name in placeholders(self._written.summary):
            if name not in known:
                self.complaints.append(("summary", unknown_name(name, known, kind="placeholder")))

    def _in_words(self, condition: str) -> str:
        over = f" over {duration(self._written.over)}" if self._written.over else ""
        return f"{' '.join(condition.split())}{over}"


def _hold(written: str) -> Hold:
    """**Errors**: ValueError."""
    if match := re.fullmatch(r"(\d+) samples?", written):
        return Hold(us=0, samples=max(1, int(match[1])))
    return Hold(us=0 if written in ("0", "0s") else round(parse_duration(written) * 1_000_000), samples=1)
