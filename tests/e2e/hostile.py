"""Queries that try to take the collector down, while an agent sends: each is refused or dies, and acks go on as in a quiet minute.

.venv/bin/python tests/e2e/hostile.py --for 1m
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import Report, finish, parser
from load import LoadAgent, LoadedCollector, agent_measurements, encode, now_us
from watchdesk_proto.settings import parse_duration

BATCHES_PER_SECOND = 10
QUERIES = {
    "cross join": "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = 7",
    "text of 2 GB": "SELECT length(repeat('x', 2000000000))",
    "text of 2 GB by printf": "SELECT length(printf('%2000000000d', 1))",
    "list of 400 million": "SELECT list_sum(range(400000000))",
    "endless recursion": "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
    "sort of everything": "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY hash(range)) AS n FROM range(300000000))",
    "a file of this machine": "SELECT * FROM read_text('/etc/passwd')",
    "write a file": "COPY (SELECT 1) TO '/tmp/watchdesk-hostile'",
    "write in a WITH": "WITH x AS (INSERT INTO cpu SELECT * FROM cpu RETURNING *) SELECT * FROM x",
    "attach a database": "ATTACH '/tmp/watchdesk-hostile.duckdb'",
    "switch logging on": "SELECT * FROM enable_logging(storage = 'file', storage_config = {'path': '/tmp/watchdesk-hostile'})",
}


def run(quiet_s: float, *, deadline_s: float) -> Report:
    report = Report(f"Ack latency in {quiet_s:.0f} quiet seconds, then beside hostile queries")
    with tempfile.TemporaryDirectory() as folder:
        collector = LoadedCollector(Path(folder), toml=f'[sql]\ntimeout = "{deadline_s:.0f}s"\n')
        collector.start()
        try:
            with _sending(collector) as latencies_since:
                began = time.monotonic()
                time.sleep(quiet_s)
                quiet = latencies_since(began)
                began = time.monotonic()
                outcomes = {name: _ask(collector, query) for name, query in QUERIES.items()}
                hostile = latencies_since(began)
                hostile_s = time.monotonic() - began
            _judge(report, collector, outcomes)
            report.figure(f"acks in {quiet_s:.0f} quiet seconds", _spread(quiet))
            report.figure(f"acks in {hostile_s:.0f} hostile seconds", _spread(hostile))
            report.claim("99 of 100 acks beside hostile queries take less than a second", statistics.quantiles(hostile, n=100)[98] < 1.0)
        finally:
            collector.program.stop()
    return report


def _judge(report: Report, collector: LoadedCollector, outcomes: dict[str, tuple[float, str | None]]) -> None:
    for name, (duration_s, error) in outcomes.items():
        report.figure(name, f"{duration_s:5.1f} s  {error or 'answered'}")
    report.claim("every hostile query was refused or died", all(error for _, error in outcomes.values()))
    report.claim("the collector is the same process and healthy", collector.program.is_running and collector.api.is_healthy())
    report.claim("nothing was written", not list(Path("/tmp").glob("watchdesk-hostile*")))


def _ask(collector: LoadedCollector, query: str) -> tuple[float, str | None]:
    """How long it took, and the error in one line; None when it was answered."""
    began = time.monotonic()
    try:
        collector.api.sql(query)
    except OSError as error:
        return time.monotonic() - began, str(error)[:110]
    return time.monotonic() - began, None


@contextmanager
def _sending(collector: LoadedCollector) -> Iterator[Callable[[float], Sequence[float]]]:
    """An agent that sends at a steady pace; gives a function that tells the latencies of batches acked since a monotonic time."""
    agent = LoadAgent(address=collector.address, ca_file=collector.tls.authority, token=collector.token, host="steady")
    measurements = agent_measurements()
    agent.declare(measurements)
    ended = threading.Event()

    def send() -> None:
        requests = encode(measurements, epoch=agent.epoch, batches=20_000, ticks=1, first_us=now_us() - 86_400_000_000)
        for seq, request in enumerate(requests, start=1):
            if ended.wait(1 / BATCHES_PER_SECOND):
                return
            agent.send(seq, request)

    sender = threading.Thread(target=send, name="steady sender")
    sender.start()
    try:
        yield lambda since_s: [latency for at, latency in zip(agent.answered_at_s, agent.latencies_s, strict=False) if at >= since_s]
    finally:
        ended.set()
        sender.join()
        agent.finish()


def _spread(latencies_s: Sequence[float]) -> str:
    cuts = statistics.quantiles(latencies_s, n=100)
    return f"{len(latencies_s)}: median {1000 * cuts[49]:.0f} ms, 99 of 100 below {1000 * cuts[98]:.0f} ms, longest {1000 * max(latencies_s):.0f} ms"


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--for", dest="quiet_s", type=parse_duration, default=60.0, help="length of the quiet time; default 1m")
    finish(run(options.parse_args().quiet_s, deadline_s=30))
