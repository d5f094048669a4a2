"""The measurements of logs: the entries themselves, and what became of the lines of each source."""

from watchdesk_proto.catalogue import Measurement, Type, counter, gauge, label, text

LOG = Measurement(
    name="log",
    help="Entries of log files at or above the configured severity. ts is the time that the entry states, when plausible, else the time of reading.",
    columns=(
        label("source", "Name of the configured source"),
        label("path", "The file, by the name it had when it was written"),
        label("severity", "info, warning, error or critical"),
        text("unit", "The program or logger that wrote it, where it says so"),
        text("message", "The entry with secrets masked; of a traceback, its last line comes first"),
        gauge("lines", "Lines of the file that were joined into it", type=Type.INT64),
    ),
)

LOG_SOURCE = Measurement(
    name="log_source",
    help="What became of the lines of each log source, since the agent started.",
    columns=(
        label("source", "Name of the configured source"),
        gauge("files", "Files that are followed, renamed ones that are not finished included", type=Type.INT64),
        gauge("unreadable_files", "Files that cannot be read now", type=Type.INT64),
        counter("lines_read_total", "Lines read"),
        counter("entries_sent_total", "Entries handed to the spool"),
        counter("dropped_rate_total", "Entries dropped over max_lines_per_minute"),
        counter("truncated_total", "Lines and entries that were cut because they were too long"),
        counter("masked_total", "Secrets replaced"),
        counter("undecodable_total", "Lines in which NULs or bytes that are not UTF-8 were replaced"),
        counter("lost_files_total", "Files that were out of reach before they were read to their end"),
    ),
)
