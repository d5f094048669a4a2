"""What the agent measures about itself: its spool and uplink, each sampler's health, and the slots that were missed."""

from watchdesk_proto.catalogue import Measurement, Type, counter, gauge, label, text

AGENT = Measurement(
    name="agent",
    help="The agent itself: its spool, its uplink and what it costs.",
    columns=(
        gauge("connected", "1 while the collector has welcomed the agent.", type=Type.INT64),
        gauge("spool_batches", "Batches in the spool, those that await the collector's checkpoint included.", type=Type.INT64),
        gauge("spool_bytes", "Bytes of these batches.", unit="bytes", type=Type.INT64),
        counter("dropped_batches_total", "Batches given up unsent: spool over its bounds, disk full, too large."),
        counter("at_risk_batches_total", "Batches given up after the collector stored and before it checkpointed them."),
        counter("dropped_rows_total", "Rows given up before they reached the spool, because it could not be written for very long."),
        counter("sent_batches_total", "Batches sent; one that is sent again counts again."),
        counter("acked_batches_total", "Batches that the collector said are durable."),
        counter("rejected_batches_total", "Batches that the collector refused for good."),
        counter("samples_total", "Rows taken, log lines included."),
        gauge("rss_bytes", "Resident memory of the agent.", unit="bytes", type=Type.INT64),
        counter("cpu_seconds_total", "Processor time of the agent, user and system.", unit="seconds", type=Type.FLOAT64),
    ),
)

AGENT_SAMPLER = Measurement(
    name="agent_sampler",
    help="Each sampler's health since its previous row.",
    columns=(
        label("sampler", "Its name."),
        gauge("success", "1 if every run succeeded, 0 if one failed; null if there was none.", type=Type.INT64),
        gauge("stale", "1 while a run has outlasted its slot and has not come back.", type=Type.INT64),
        gauge("duration_seconds", "The longest run.", unit="seconds"),
        gauge("lateness_seconds", "The longest delay between a slot and the start of its run.", unit="seconds"),
        counter("runs_total", "Runs that came back."),
        counter("failures_total", "Runs that failed."),
        counter("missed_slots_total", "Slots that were skipped; their causes stand in `missed`."),
        text("error", "Why the last failed run failed."),
    ),
)

MISSED = Measurement(
    name="missed",
    help="Slots of which no sample will come; ts is the first of them. `gap` shows them with their end, and with what is missing for other reasons.",
    columns=(
        label("sampler", "Its name."),
        label("cause", "overload, suspend, clock_step, stale, failure, absent, agent_down, host_down, spool_overflow or rejected."),
        gauge("slots", "How many consecutive slots.", type=Type.INT64),
        gauge("interval_seconds", "The time from one slot to the next.", unit="seconds"),
        text("reason", "More about the cause, where there is more to say."),
    ),
)

SELF_MEASUREMENTS = (AGENT, AGENT_SAMPLER, MISSED)
