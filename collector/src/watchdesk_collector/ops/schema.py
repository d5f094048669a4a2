"""The tables of ops.db.

Times are integer microseconds since 1970 UTC, suffix `_at_us`. A migration in `migrations/versions/` makes what is declared here; a test compares
the two. Invariant: what must survive a restart is a row in one of these tables, and a change of state is written together with its consequences.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

host = sa.Table(
    "host",
    metadata,
    sa.Column("agent_id", sa.Text, primary_key=True),
    sa.Column("host_id", sa.BigInteger, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("first_seen_at_us", sa.BigInteger, nullable=False),
    sa.Column("last_seen_at_us", sa.BigInteger, nullable=False),
    sa.Column("boot_id", sa.Text, nullable=False),
    sa.Column("agent_version", sa.Text, nullable=False),
    sa.Column("clock_offset_s", sa.Float, nullable=False),
    sa.Column("removed_at_us", sa.BigInteger),
    sa.Index("one_host_per_name", "name", unique=True, sqlite_where=sa.text("removed_at_us IS NULL")),
)

# The spine: what happened, in the order it was written; rows are only ever added.
event = sa.Table(
    "event",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("host_id", sa.BigInteger),
    sa.Column("incident_id", sa.Integer),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Index("events_by_time", "at_us"),
    sa.Index("events_of_host", "host_id", "at_us"),
    sa.Index("events_of_incident", "incident_id", "id"),
    sqlite_autoincrement=True,
)

# How far each rule has read history: it never looks at or before this again.
rule_cursor = sa.Table(
    "rule_cursor",
    metadata,
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("at_us", sa.BigInteger, nullable=False),
)

# One row per series that is not inactive.
alert = sa.Table(
    "alert",
    metadata,
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("host_id", sa.BigInteger, nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("since_us", sa.BigInteger, nullable=False),
    sa.Column("fired_at_us", sa.BigInteger),
    sa.Column("sampled_at_us", sa.BigInteger, nullable=False),
    sa.Column("samples", sa.Integer, nullable=False),
    sa.Column("absent_us", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Float),
)

transition = sa.Table(
    "transition",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("host_id", sa.BigInteger, nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("from_state", sa.Text, nullable=False),
    sa.Column("to_state", sa.Text, nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("recorded_at_us", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("transitions_by_time", "at_us"),
    sa.Index("transitions_of_series", "rule", "fingerprint", "at_us"),
    sqlite_autoincrement=True,
)

# One row per firing of an alert: opened when it fires, resolved with it.
incident = sa.Table(
    "incident",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("host_id", sa.BigInteger, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("since_us", sa.BigInteger, nullable=False),
    sa.Column("opened_at_us", sa.BigInteger, nullable=False),
    sa.Column("recorded_at_us", sa.BigInteger, nullable=False),
    sa.Column("resolved_at_us", sa.BigInteger),
    sa.Column("value", sa.Float),
    sa.Column("reason", sa.Text),
    sa.Index("one_open_incident_per_alert", "rule", "fingerprint", unique=True, sqlite_where=sa.text("resolved_at_us IS NULL")),
    sa.Index("incidents_of_host", "host_id", "opened_at_us"),
    sa.Index("incidents_by_time", "opened_at_us"),
    sqlite_autoincrement=True,
)

# Why a stage of dispatch kept a receiver from being told of an incident; a row when the reason changes.
decision = sa.Table(
    "decision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("incident_id", sa.Integer, sa.ForeignKey("incident.id"), nullable=False),
    sa.Column("receiver", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("decisions_of_incident", "incident_id", "receiver", "id"),
    sqlite_autoincrement=True,
)

silence = sa.Table(
    "silence",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("host", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("created_at_us", sa.BigInteger, nullable=False),
    sa.Column("until_us", sa.BigInteger, nullable=False),
    sa.Column("removed_at_us", sa.BigInteger),
    sa.CheckConstraint("host IS NOT NULL OR rule IS NOT NULL", name="a_silence_names_something"),
    sa.Index("silences_by_end", "until_us"),
    sqlite_autoincrement=True,
)

# One row per message to one receiver. `state`: due, sent, given_up, dropped.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("idempotency_key", sa.Text, nullable=False, unique=True),
    sa.Column("receiver", sa.Text, nullable=False),
    sa.Column("notification", sa.JSON, nullable=False),
    sa.Column("created_at_us", sa.BigInteger, nullable=False),
    sa.Column("due_at_us", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("finished_at_us", sa.BigInteger),
    sa.Index("outbox_due", "due_at_us", sqlite_where=sa.text("state = 'due'")),
    sqlite_autoincrement=True,
)

# Which incidents a message tells of, and as what: `firing` or `resolved`.
outbox_incident = sa.Table(
    "outbox_incident",
    metadata,
    sa.Column("outbox_id", sa.Integer, sa.ForeignKey("outbox.id"), primary_key=True),
    sa.Column("incident_id", sa.Integer, sa.ForeignKey("incident.id"), primary_key=True),
    sa.Column("told", sa.Text, nullable=False),
    sa.Index("outbox_of_incident", "incident_id", "told"),
)

attempt = sa.Table(
    "attempt",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("outbox_id", sa.Integer, sa.ForeignKey("outbox.id"), nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("is_permanent", sa.Boolean),
    sa.Index("attempts_of_message", "outbox_id", "id"),
    sqlite_autoincrement=True,
)

# How often a host takes a measurement, since when, and until when if it no longer does or does so at another interval.
cadence = sa.Table(
    "cadence",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("host_id", sa.BigInteger, nullable=False),
    sa.Column("measurement", sa.Text, nullable=False),
    sa.Column("interval_us", sa.BigInteger, nullable=False),
    sa.Column("since_us", sa.BigInteger, nullable=False),
    sa.Column("until_us", sa.BigInteger),
    sa.Column("is_proven", sa.Boolean, nullable=False),
    sa.Index("cadences_of_host", "host_id"),
)

# One row per run of the collector; `alive_at_us` is when it was last known to run.
collector_run = sa.Table(
    "collector_run",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("started_at_us", sa.BigInteger, nullable=False),
    sa.Column("alive_at_us", sa.BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
