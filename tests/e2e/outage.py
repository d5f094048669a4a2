"""The collector is away while the agent goes on sampling. Afterwards every slot of `cpu` is there exactly once, but for slots that the agent itself
recorded as missed, and fresh samples did not wait behind the backlog.

    .venv/bin/python tests/e2e/outage.py --for 5m
"""

import time
from datetime import UTC, datetime

from harness import HOST, Report, Site, finish, parser, site
from watchdesk_proto.settings import parse_duration

PROOF = f"""
WITH slot AS (
    SELECT ts, count(*) AS copies, lead(ts) OVER (ORDER BY ts) AS next_ts FROM cpu WHERE host = '{HOST}' GROUP BY ts
), absent AS (
    SELECT unnest(generate_series(ts + INTERVAL 1 SECOND, next_ts - INTERVAL 1 SECOND, INTERVAL 1 SECOND)) AS ts
    FROM slot WHERE next_ts > ts + INTERVAL 1 SECOND
), recorded AS (
    SELECT unnest(generate_series(ts, ts + to_seconds(slots - 1), INTERVAL 1 SECOND)) AS ts
    FROM missed WHERE host = '{HOST}' AND sampler = 'cpu'
)
SELECT
    (SELECT date_diff('second', min(ts), max(ts)) + 1 FROM slot) AS expected,
    (SELECT count(*) FROM slot) AS present,
    (SELECT count(*) FROM slot WHERE copies > 1) AS doubled,
    (SELECT count(*) FROM absent) AS absent,
    (SELECT count(*) FROM absent WHERE ts IN (SELECT ts FROM recorded)) AS recorded_as_missed
"""


def run(outage_s: float) -> Report:
    report = Report(f"The collector is away for {outage_s:.0f} s")
    with site() as here:
        here.start()
        time.sleep(5)
        here.collector.stop()
        time.sleep(outage_s)
        report.figure("batches in the spool at the collector's return", here.unsent_batches())
        _come_back(here, report)
        here.agent.stop()
        _prove(here, report)
    return report


def _come_back(here: Site, report: Report) -> None:
    returned_at, began = datetime.now(UTC), time.monotonic()
    here.start_collector()
    answered_s = time.monotonic() - began
    here.wait("a fresh sample", lambda: here.number(f"SELECT count(*) FROM cpu WHERE ts >= TIMESTAMPTZ '{returned_at.isoformat()}'") > 0)
    fresh_s = time.monotonic() - began
    report.figure("collector answers after its start", f"{answered_s:.1f} s")
    report.figure("fresh sample stored after its start", f"{fresh_s:.1f} s")
    report.claim("the live lane is fresh within 10 s of the collector's start", fresh_s < 10)
    here.wait("the backlog", lambda: here.unsent_batches() <= 1, timeout_s=300)
    report.figure("backlog stored after its start", f"{time.monotonic() - began:.1f} s")


def _prove(here: Site, report: Report) -> None:
    print(PROOF)
    expected, present, doubled, absent, recorded = here.rows(PROOF)[0]
    report.figure(
        "slots of cpu: expected, present, doubled, absent, of these recorded as missed", f"{expected}, {present}, {doubled}, {absent}, {recorded}"
    )
    lanes = here.rows("SELECT lane, count(*), sum(rows) FROM batch WHERE outcome = 'stored' GROUP BY lane ORDER BY lane")
    report.figure("batches and rows by lane", lanes)
    report.claim("every slot of cpu is there exactly once, but for those recorded as missed", doubled == 0 and absent == recorded)
    report.claim("the backlog came in the backfill lane", any(lane == "backfill" for lane, _, _ in lanes))


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--for", dest="outage_s", type=parse_duration, default=300.0, help="how long the collector is away; default 5m")
    finish(run(options.parse_args().outage_s))
