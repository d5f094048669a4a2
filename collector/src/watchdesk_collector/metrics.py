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
        self.commit_seconds = Histogram(
            "watchdesk_history_commit_seconds",
            "Time from BEGIN to the return of COMMIT.",
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        )
