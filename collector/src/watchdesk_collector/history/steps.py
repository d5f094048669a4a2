"""The moments of history's work between which a crash could leave something half done. A test may stop the process at each."""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias


class Step(StrEnum):
    """What has just happened."""

    TABLES_DECLARED = "tables_declared"  # committed, not checkpointed
    ROWS_INSERTED = "rows_inserted"  # not committed
    ROWS_COMMITTED = "rows_committed"  # not yet in the ranges
    GENERATION_BEGUN = "generation_begun"  # committed, not checkpointed
    FILE_WRITTEN = "file_written"  # under its temporary name, not synced
    FILE_RENAMED = "file_renamed"  # its folder not synced
    FILE_SYNCED = "file_synced"  # no manifest row yet
    MANIFEST_WRITTEN = "manifest_written"  # not committed
    CHANGE_COMMITTED = "change_committed"
    FILES_RETIRED = "files_retired"  # by retention, committed
    CHECKPOINTED = "checkpointed"  # files that left not yet unlinked
    FILE_UNLINKED = "file_unlinked"


Steps: TypeAlias = Callable[[Step], None]


def pass_by(_: Step) -> None:
    """What the product does at each step: nothing."""
