"""`gap` and `completeness`: what is expected is stored or stands in a gap, for whole hours, at any moment, hot or sealed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from collector.history.kit import CPU, DISK, HOST, START, batch, config, cpu, disk, hole, host, words
from fakes import FakeClock
from watchdesk_collector.attendance import Attendance, Backlog, Cadence, Downtime
from watchdesk_collector.clock import to_us
from watchdesk_collector.history import History
from watchdesk_collector.metrics import Metrics
from watchdesk_collector.model import Host, Table
from watchdesk_proto.catalogue import builtin

SECOND = 1_000_000
START_US = to_us(START)  # on the hour
[MISSED] = [measurement for measurement in builtin() if measurement.name == "missed"]


@dataclass
class Scene:
    """A history and what is known of its hosts; times are seconds since the start."""

    folder: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    hosts: list[Host] = field(default_factory=lambda: [host()])
    cadences: list[Cadence] = field(default_factory=list)
    backlogs: list[Backlog] = field(default_factory=list)
    downtimes: list[Downtime] = field(default_factory=list)
    seq: int = 0

    def open(self) -> None:
        self.history = History(
            path=self.folder,
            config=config(),
            catalogue=(CPU, DISK, MISSED),
            hosts=lambda: self.hosts,
            attendance=self.attend,
            clock=self.clock,
            metrics=Metrics(),
        )
        self.history.open()

    def attend(self) -> Attendance:
        return Attendance(now_us=to_us(self.clock.now()), cadences=self.cadences, backlogs=self.backlogs, downtimes=self.downtimes)

    def samples(self, measurement: str, *, interval: int = 1, since: int = 0, until: int | None = None, is_proven: bool = True) -> None:
        self.cadences.append(
            Cadence(
                host_id=HOST,
                measurement=measurement,
                interval_us=interval * SECOND,
                since_us=at_us(since),
                until_us=None if until is None else at_us(until),
                is_proven=is_proven,
            )
        )

    def store(self, *tables: Table) -> None:
        self.seq += 1
        self.history.commit([batch(self.seq, tables=tables)], [])

    def pass_time(self, seconds: float, *, heard: bool = True) -> None:
        self.clock.advance(seconds)
        if heard:
            self.hosts = [replace(one, last_seen_at=self.clock.now()) for one in self.hosts]

    def gaps(self, **span: datetime) -> list[tuple[Any, ...]]:
        """Measurement, cause, first slot, end, slots."""
        sql = "SELECT measurement, cause, epoch_us(ts), epoch_us(until), expected - stored FROM gap ORDER BY ts, measurement"
        return [(row[0], row[1], seconds(row[2]), seconds(row[3]), row[4]) for row in self.ask(sql, "gap", **span)]

    def completeness(self, **span: datetime) -> list[tuple[Any, ...]]:
        """Measurement, hour, expected, stored."""
        sql = "SELECT measurement, epoch_us(ts), expected, stored FROM completeness ORDER BY ts, measurement"
        return [(row[0], seconds(row[1]) // 3600, row[2], row[3]) for row in self.ask(sql, "completeness", **span)]

    def ask(self, sql: str, table: str, *, since: datetime | None = None, until: datetime | None = None) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.history.query(sql, tables=[table], since=since, until=until).to_pylist()]


def at_us(seconds: float) -> int:
    return START_US + round(seconds * SECOND)


def seconds(us: int) -> int:
    return (us - START_US) // SECOND


def cpu_rows(first: int, slots: int) -> Table:
    return cpu([at_us(first + number) for number in range(slots)], [0.5] * slots, [1] * slots)


def disk_rows(first: int, slots: int, *, mounts: int = 2) -> Table:
    """Each ten seconds a row per mount."""
    times = [at_us(first + 10 * number) for number in range(slots) for _ in range(mounts)]
    return disk(times, list(range(mounts)) * slots, [1] * len(times), [-1] * len(times), [f"/{number}" for number in range(mounts)])


def missed_rows(*rows: tuple[str, str, int, int, int]) -> Table:
    """Sampler, cause, first slot, slots, interval in seconds."""
    texts = sorted({text for sampler, cause, *_ in rows for text in (sampler, cause)})
    columns: Sequence[Sequence[Any]] = (
        [texts.index(sampler) for sampler, *_ in rows],
        [texts.index(cause) for _, cause, *_ in rows],
        [slots for *_, slots, _ in rows],
        [float(interval) for *_, interval in rows],
        [-1 for _ in rows],
    )
    return Table(schema_id=MISSED.schema_id, words=words([at_us(first) for _, _, first, _, _ in rows], *columns), texts=texts)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(folder=tmp_path)
    scene.open()
    yield scene
    scene.history.close()


def test_what_agents_tell_as_missed_is_a_gap_with_its_end(scene: Scene) -> None:
    scene.store(missed_rows(("cpu", "host_down", 10, 30, 1), ("disk", "spool_overflow", 20, 3, 10)))
    assert scene.gaps() == [("cpu", "host_down", 10, 40, 30), ("disk", "spool_overflow", 20, 50, 3)]


@pytest.mark.parametrize(("told", "shown"), [("overload", "agent_overload"), ("stale", "agent_overload"), ("suspend", "suspend")])
def test_causes_that_mean_an_overloaded_agent_are_one(scene: Scene, told: str, shown: str) -> None:
    scene.store(missed_rows(("cpu", told, 10, 1, 1)))
    assert [cause for _, cause, *_ in scene.gaps()] == [shown]


def test_what_is_expected_is_stored_or_stands_in_a_gap(scene: Scene) -> None:
    scene.samples("cpu", since=5)
    scene.samples("disk", interval=10, since=10)
    scene.store(cpu_rows(5, 595), disk_rows(10, 59))
    scene.store(missed_rows(("cpu", "agent_down", 600, 600, 1), ("disk", "agent_down", 600, 60, 10)))
    scene.store(cpu_rows(1200, 4200), disk_rows(1200, 420))
    scene.pass_time(5400)
    assert scene.completeness() == [("cpu", 0, 3595, 2995), ("disk", 0, 359, 299), ("cpu", 1, 1800, 1800), ("disk", 1, 180, 180)]
    [(missing,)] = scene.ask("SELECT sum(expected - stored) FROM gap WHERE measurement = 'cpu'", "gap")
    assert missing == 3595 - 2995


def test_sealed_rows_and_a_measurement_with_many_rows_per_slot_count_slots(scene: Scene) -> None:
    scene.samples("disk", interval=10)
    scene.store(disk_rows(0, 100, mounts=5))
    scene.history.seal()
    scene.store(disk_rows(1000, 20, mounts=5))
    scene.pass_time(1200)
    assert scene.completeness() == [("disk", 0, 120, 120)]


def test_the_newest_samples_of_a_host_that_is_heard_may_still_be_on_their_way(scene: Scene) -> None:
    scene.samples("cpu")
    scene.store(cpu_rows(0, 100))
    scene.pass_time(112)
    assert scene.completeness() == [("cpu", 0, 100, 100)]
    assert scene.gaps() == []


def test_what_is_missing_before_the_last_minute_counts_even_when_nobody_tells_why(scene: Scene) -> None:
    scene.samples("cpu")
    scene.store(cpu_rows(0, 100), cpu_rows(150, 50))
    scene.pass_time(200)
    assert scene.completeness() == [("cpu", 0, 200, 150)]


def test_a_host_that_is_not_heard_is_silent_until_now_in_every_measurement(scene: Scene) -> None:
    scene.samples("cpu")
    scene.samples("disk", interval=10)
    scene.store(cpu_rows(0, 95), disk_rows(0, 10))
    scene.pass_time(94.5)
    scene.pass_time(300, heard=False)
    assert scene.gaps() == [("cpu", "silent", 95, 395, 300), ("disk", "silent", 100, 400, 30)]
    assert scene.completeness() == [("cpu", 0, 395, 95), ("disk", 0, 40, 10)]


def test_what_a_host_never_told_is_not_expected_of_it(scene: Scene) -> None:
    scene.samples("cpu", is_proven=False)
    scene.samples("disk", interval=10)
    scene.pass_time(600, heard=False)
    assert {measurement for measurement, *_ in scene.gaps()} == {"disk"}
    assert {measurement for measurement, *_ in scene.completeness()} == {"disk"}


def test_a_host_that_is_not_watched_any_more_is_not_missed(scene: Scene) -> None:
    scene.samples("cpu")
    scene.store(cpu_rows(0, 60))
    scene.pass_time(60)
    scene.hosts = [replace(scene.hosts[0], removed_at=scene.clock.now())]
    scene.pass_time(7200, heard=False)
    assert scene.gaps() == []
    assert scene.completeness() == [("cpu", 0, 60, 60)]


def test_while_the_collector_was_down_that_is_the_cause_and_what_follows_is_silence(scene: Scene) -> None:
    scene.samples("cpu")
    scene.downtimes = [Downtime(since_us=at_us(100), until_us=at_us(200))]
    scene.pass_time(100)
    scene.pass_time(300, heard=False)
    assert scene.gaps() == [("cpu", "collector_down", 100, 200, 100), ("cpu", "silent", 200, 400, 200)]


def test_agents_have_a_minute_to_return_after_the_collector(scene: Scene) -> None:
    scene.samples("cpu")
    scene.downtimes = [Downtime(since_us=at_us(100), until_us=at_us(200))]
    scene.pass_time(100)
    scene.pass_time(130, heard=False)
    assert scene.gaps() == [("cpu", "collector_down", 100, 200, 100)]


def test_what_an_agent_could_not_send_is_a_network_cut_until_it_is_sent(scene: Scene) -> None:
    scene.samples("cpu")
    scene.store(cpu_rows(0, 10))  # seq 1
    scene.backlogs = [Backlog(host_id=HOST, epoch=batch(1).epoch, first=2, last=5, since_us=at_us(100), until_us=at_us(140))]
    scene.downtimes = [Downtime(since_us=at_us(90), until_us=at_us(110))]
    scene.pass_time(300)
    assert scene.gaps() == [("cpu", "collector_down", 100, 110, 10), ("cpu", "network_cut", 110, 140, 30)]
    scene.store(cpu_rows(100, 10))
    scene.store(cpu_rows(110, 10))
    assert scene.gaps() == [("cpu", "network_cut", 120, 140, 20)]
    scene.history.commit([], [hole(4, 5)])
    assert scene.gaps() == []


def test_a_sampler_whose_interval_changed_is_expected_by_each_for_its_time(scene: Scene) -> None:
    scene.samples("cpu", since=0, until=100)
    scene.samples("cpu", interval=10, since=100)
    scene.store(cpu_rows(0, 100), cpu([at_us(100 + 10 * number) for number in range(50)], [0.5] * 50, [1] * 50))
    scene.pass_time(600)
    assert scene.completeness() == [("cpu", 0, 150, 150)]


def test_only_hours_of_the_range_are_counted_and_those_whole(scene: Scene) -> None:
    scene.samples("cpu")
    scene.store(cpu_rows(0, 4 * 3600))
    scene.pass_time(4 * 3600)
    span = {"since": START + timedelta(minutes=90), "until": START + timedelta(minutes=150)}
    assert scene.completeness(**span) == [("cpu", 1, 3600, 3600), ("cpu", 2, 3600, 3600)]


def test_what_retention_removed_is_not_missing(scene: Scene) -> None:
    scene.samples("cpu", since=-86_400 * 365)
    scene.store(cpu_rows(0, 600))
    scene.history.seal()
    scene.pass_time(600)
    assert scene.completeness() == [("cpu", 0, 600, 600)]


@pytest.mark.parametrize("sql", ["SELECT * FROM gap", "SELECT * FROM completeness"])
def test_both_are_empty_when_nobody_is_expected(scene: Scene, sql: str) -> None:
    assert scene.ask(sql, sql.rsplit(maxsplit=1)[-1]) == []


def test_a_snapshot_answers_as_the_history_itself(scene: Scene) -> None:
    import duckdb
    from watchdesk_collector.history import hot_name

    scene.samples("cpu")
    scene.samples("disk", interval=10)
    scene.store(cpu_rows(0, 100), disk_rows(0, 10), missed_rows(("cpu", "agent_down", 100, 30, 1)))
    scene.history.seal()
    scene.store(cpu_rows(130, 70), disk_rows(130, 7))
    scene.pass_time(200)
    snapshot = scene.history.snapshot(["gap", "completeness"], columns=frozenset({"cause", "ratio"}))
    worker = duckdb.connect()
    worker.execute("SET TimeZone = 'UTC'")
    for name, rows in {"hosts": snapshot.hosts, **snapshot.relations, **{hot_name(n): t.hot for n, t in snapshot.tables.items()}}.items():
        worker.register(name, rows)
    for name, select in {**{n: t.relation for n, t in snapshot.tables.items()}, **snapshot.derived}.items():
        worker.execute(f'CREATE VIEW "{name}" AS {select}')
    for table in ("gap", "completeness"):
        sql = f"SELECT * FROM {table} ORDER BY ALL"
        assert worker.sql(sql).to_arrow_table().to_pylist() == scene.history.query(sql, tables=[table]).to_pylist() != []
