"""A collector's alerting on a clock that stands still: real history, real ops.db, rules as text, hosts that send what a test says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from fakes import FakeClock
from watchdesk_collector.alerting.config import AlertingConfig
from watchdesk_collector.alerting.engine import AlertEngine, Change
from watchdesk_collector.alerting.rule_file import load_rules
from watchdesk_collector.clock import to_us
from watchdesk_collector.dispatch import DispatchConfig, Dispatcher
from watchdesk_collector.history import History, HistoryConfig
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Arrival, Host, Lane, Table
from watchdesk_collector.notify.route import Receiver, Route
from watchdesk_collector.ops.database import open_ops
from watchdesk_collector.ops.schema import outbox, transition
from watchdesk_proto.catalogue import Measurement, Type, builtin

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
OPS = Receiver(name="email.ops", route=Route())
Value = float | int | str | None

DISK_FULL = """
[[rule]]
name = "disk-full"
measurement = "disk"
by = ["host", "mount", "device", "filesystem"]
when = "used_ratio > 90%"
clear = "used_ratio < 85%"
for = "1m"
severity = "critical"
summary = "{mount} is {value} full"
remedy = "Delete something."
runbook = "https://wiki.example.org/disk"
"""
SILENT = """
[[rule]]
name = "host-silent"
kind = "silent"
silent_for = "1m"
severity = "critical"
summary = "{host} is silent: {last_seen}"
"""


class World:
    """Evaluates every 10 s with a grace of 15 s. `restart` is what a restart of the collector does to alerting."""

    def __init__(
        self,
        folder: Path,
        rules: str,
        *,
        hosts: Sequence[str] = ("web1",),
        receivers: Sequence[Receiver] = (OPS,),
        dispatch: DispatchConfig | None = None,
        catalogue: Sequence[Measurement] | None = None,
    ) -> None:
        self._folder = folder
        self._rules = rules
        self._receivers = receivers
        self._dispatch = dispatch or DispatchConfig()
        self._catalogue = builtin() if catalogue is None else catalogue
        self._seqs = Counter[int]()
        self.clock = FakeClock(START)
        self.hosts = {name: _host(number, name) for number, name in enumerate(hosts, start=11)}
        self.history = History(
            path=folder / "history",
            config=HistoryConfig(free_space_floor=1 << 20),
            catalogue=self._catalogue,
            hosts=self.watched,
            clock=self.clock,
            metrics=Metrics(),
        )
        self.history.open()
        self.restart()

    def restart(self, rules: str | None = None) -> None:
        """Forget everything that is not on disk; listening begins anew."""
        self._rules = self._rules if rules is None else rules
        path = self._folder / "rules.toml"
        path.write_text(self._rules, encoding="utf-8")
        loaded = load_rules([path], self._catalogue, builtin=False)
        self.ops = open_ops(self._folder / "ops.db")
        self.metrics = Metrics()
        dispatcher = Dispatcher(
            receivers=self._receivers,
            rules=loaded,
            hosts=self.watched,
            config=self._dispatch,
            base_url="https://watchdesk.example.org/",
            metrics=self.metrics,
        )
        self.engine = AlertEngine(
            history=self.history,
            hosts=self.watched,
            engine=self.ops,
            rules=loaded,
            dispatcher=dispatcher,
            config=AlertingConfig(),
            clock=self.clock,
            metrics=self.metrics,
            started_at=self.clock.now(),
        )

    def watched(self) -> Sequence[Host]:
        return list(self.hosts.values())

    def hear(self, *names: str) -> None:
        """These hosts sent something just now; all of them without names."""
        for name in names or list(self.hosts):
            self.hosts[name] = replace(self.hosts[name], last_seen_at=self.clock.now())

    def store(self, host: str, measurement: str, rows: Sequence[Mapping[str, Value]], *, at: Sequence[datetime] | None = None) -> None:
        """Rows of a host, stamped now unless told otherwise; columns that are not named are null."""
        schema = next(one for one in self._catalogue if one.name == measurement)
        stamps = [to_us(stamp) for stamp in (at or [self.clock.now()] * len(rows))]
        host_id = self.hosts[host].host_id
        self._seqs[host_id] += 1
        arrival = Arrival(
            host_id=host_id,
            epoch=1,
            seq=self._seqs[host_id],
            lane=Lane.LIVE,
            received_at_us=to_us(self.clock.now()),
            content_hash=1,
            bytes=1,
            tables=[_table(schema, rows, stamps)],
        )
        self.history.commit([arrival], [])

    def disk(self, host: str, used_ratio: float | None, *, mount: str = "/") -> None:
        """One disk sample."""
        self.store(host, "disk", [{"mount": mount, "device": "/dev/sda1", "filesystem": "ext4", "used_ratio": used_ratio, "read_only": 0}])

    def run(self, seconds: int, *, used: Mapping[str, float] | None = None, heard: bool = True) -> list[Change]:
        """Let time pass in steps of 10 s; in each, hosts send a disk sample and rules are evaluated."""
        changes: list[Change] = []
        for _ in range(seconds // 10):
            self.clock.advance(10)
            for host, ratio in (used or {}).items():
                self.disk(host, ratio)
            if heard:
                self.hear()
            changes += self.engine.evaluate_once()
        return changes

    def messages(self) -> list[sa.RowMapping]:
        """All of the outbox, oldest first."""
        with self.ops.connect() as connection:
            return list(connection.execute(sa.select(outbox).order_by(outbox.c.id)).mappings())

    def transitions(self) -> list[tuple[str, str, int]]:
        """State, state, and seconds since the start, of everything that ever changed."""
        with self.ops.connect() as connection:
            rows = connection.execute(sa.select(transition).order_by(transition.c.id)).mappings()
            return [(row["from_state"], row["to_state"], (row["at_us"] - to_us(START)) // 1_000_000) for row in rows]


def states(changes: Sequence[Change]) -> list[str]:
    """What each change led to."""
    return [str(change.transition.to_state) for change in changes]


def _host(host_id: int, name: str) -> Host:
    return Host(
        host_id=host_id,
        agent_id=f"agent-{host_id}",
        name=name,
        first_seen_at=START - timedelta(days=1),
        last_seen_at=START,
        boot_id="boot",
        agent_version="0.1.0",
        clock_offset_s=0.0,
        connected=True,
    )


def _table(schema: Measurement, rows: Sequence[Mapping[str, Value]], stamps: Sequence[int]) -> Table:
    words = np.empty((1 + len(schema.columns), len(rows)), np.int64)
    words[0] = stamps
    texts: dict[str, int] = {}
    for line, column in enumerate(schema.columns, start=1):
        values = [row.get(column.name) for row in rows]
        if column.type is Type.FLOAT64:
            words[line] = np.array([np.nan if value is None else value for value in values], np.float64).view(np.int64)
        elif column.type is Type.INT64:
            words[line] = [-(2**63) if value is None else value for value in values]
        else:
            words[line] = [-1 if value is None else texts.setdefault(str(value), len(texts)) for value in values]
    return Table(schema_id=schema.schema_id, words=words, texts=list(texts))
