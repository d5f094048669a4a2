"""The collector's own numbers, in Prometheus exposition at /metrics. Each part counts what it does here; docs/metrics.md lists them all."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """One registry, made in `app.py` and handed to the parts that count."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.batches = Counter("watchdesk_ingest_batches", "Batches taken, by outcome.", ["outcome"], registry=registry)
        self.values = Counter("watchdesk_ingest_values", "Numbers and texts stored.", registry=registry)
        self.rejects = Counter("watchdesk_ingest_rejects", "Batches refused, by kind of reason.", ["kind"], registry=registry)
        self.refusals = Counter("watchdesk_ingest_refusals", "Streams refused, by kind of reason.", ["kind"], registry=registry)
        self.streams = Gauge("watchdesk_ingest_streams", "Streams open now.", registry=registry)
        self.queue_batches = Gauge("watchdesk_ingest_queue_batches", "Batches waiting for the next commit.", registry=registry)
        self.queue_bytes = Gauge("watchdesk_ingest_queue_bytes", "Bytes of the batches waiting for the next commit, unpacked.", registry=registry)
        self.greetings = Gauge("watchdesk_ingest_greetings", "Agents that have connected and wait to be welcomed.", registry=registry)
        self.commit_seconds = Histogram(
            "watchdesk_history_commit_seconds",
            "Time from BEGIN to the return of COMMIT.",
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        )
        self.evaluation_seconds = Histogram(
            "watchdesk_alerting_evaluation_seconds",
            "Time that one evaluation of all rules took.",
            registry=registry,
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
        )
        self.evaluation_failures = Counter(
            "watchdesk_alerting_evaluation_failures",
            "Evaluations that failed and are made up for later; the rule is empty when ops.db failed.",
            ["rule"],
            registry=registry,
        )
        self.alerts_firing = Gauge("watchdesk_alerts_firing", "Alerts firing now, by severity.", ["severity"], registry=registry)
        self.attempts = Counter(
            "watchdesk_notify_attempts", "Attempts to send a message: sent, failed, or refused for good.", ["receiver", "outcome"], registry=registry
        )
        self.messages_given_up = Counter("watchdesk_notify_messages_given_up", "Messages that will never be sent.", ["receiver"], registry=registry)
        self.messages_due = Gauge("watchdesk_notify_messages_due", "Messages waiting to be sent.", registry=registry)
        self.heartbeats = Counter("watchdesk_notify_heartbeats", "Heartbeats, by outcome.", ["outcome"], registry=registry)
        self.checkpoint_seconds = Histogram(
            "watchdesk_history_checkpoint_seconds",
            "Time that a checkpoint kept commits waiting.",
            registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        )
        self.sealed_rows = Counter("watchdesk_history_sealed_rows", "Rows moved from hot tables to Parquet files.", registry=registry)
        self.retired_bytes = Counter("watchdesk_history_retired_bytes", "Bytes of files that retention took out of history.", registry=registry)
        self.event_streams = Gauge("watchdesk_web_event_streams", "Open pages that are told about fresh data.", registry=registry)
        self.status_seconds = Histogram(
            "watchdesk_web_status_seconds",
            "Time that reading and rendering the status page took.",
            registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
        )
