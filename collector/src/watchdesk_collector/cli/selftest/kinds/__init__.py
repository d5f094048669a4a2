"""The kinds of faults. A new one is a class in one of these modules and a line in `KINDS`."""

from collections.abc import Sequence

from watchdesk_collector.cli.selftest.kinds.clocks import ClockStep
from watchdesk_collector.cli.selftest.kinds.disks import HistoryFull, SpoolFull
from watchdesk_collector.cli.selftest.kinds.kind import Kind, NotHit
from watchdesk_collector.cli.selftest.kinds.network import Cut, Reset, Stall, Truncate
from watchdesk_collector.cli.selftest.kinds.processes import KillAgent, KillBoth, KillCollector, StopAgent, StopCollector
from watchdesk_collector.cli.selftest.kinds.sending import OutOfOrder, SentTwice
from watchdesk_collector.cli.selftest.kinds.states import ClonedIdentity, RestoredState
from watchdesk_collector.cli.selftest.kinds.steps import KillAt
from watchdesk_collector.history.steps import Step

__all__ = ["KINDS", "Kind", "NotHit"]

KINDS: Sequence[Kind] = (
    KillAgent(),
    KillCollector(),
    KillBoth(),
    StopAgent(),
    StopCollector(),
    SpoolFull(),
    HistoryFull(),
    ClonedIdentity(),
    RestoredState(),
    Cut(),
    Stall(),
    Reset(),
    Truncate(),
    ClockStep(),
    SentTwice(),
    OutOfOrder(),
    KillAt(name="kill_at_commit", steps=(Step.ROWS_INSERTED, Step.ROWS_COMMITTED)),
    KillAt(name="kill_at_seal", steps=(Step.FILE_WRITTEN, Step.FILE_RENAMED, Step.FILE_SYNCED)),
    KillAt(name="kill_at_manifest", steps=(Step.MANIFEST_WRITTEN,)),
    KillAt(name="kill_at_drop", steps=(Step.CHANGE_COMMITTED, Step.FILES_RETIRED, Step.FILE_UNLINKED)),
    KillAt(name="kill_at_checkpoint", steps=(Step.CHECKPOINTED, Step.GENERATION_BEGUN, Step.TABLES_DECLARED)),
)
