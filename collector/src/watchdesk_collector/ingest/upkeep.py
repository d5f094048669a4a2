"""Upkeep of history beside ingest: checkpoints, which let agents forget batches, and sealing of hot generations to Parquet.

Invariant: everything that writes goes through the one writer thread; the slow part of sealing (writing files) runs beside it and blocks no commit.
"""

import asyncio
import logging

from watchdesk_collector.history import CommitFailed, ExportFailed, History, HistoryFailed, HistoryFull
from watchdesk_collector.ingest.committer import OnWriter
from watchdesk_collector.ingest.roster import Roster
from watchdesk_collector.ops.hosts import HostDirectory

LOOK_EVERY_S = 5.0  # for a hot generation that has become too large before its time, as in a flood
log = logging.getLogger(__name__)


class Upkeep:
    """One round each checkpoint interval, or as soon as a rotation is due."""

    def __init__(self, *, history: History, on_writer: OnWriter, roster: Roster, hosts: HostDirectory, interval_s: float) -> None:
        self._history = history
        self._on_writer = on_writer
        self._roster = roster
        self._hosts = hosts
        self._interval_s = interval_s

    async def run(self) -> None:
        """Until cancelled; a round that fails is told and the next one tries again."""
        while True:
            await self._wait()
            await asyncio.to_thread(self._hosts.flush)
            try:
                await self.round()
            except (HistoryFull, ExportFailed, CommitFailed) as error:
                log.error("history could not be folded or sealed, the next round tries again: %s", error)
            except HistoryFailed as error:
                log.error("history failed and is reopened: %s", error)
                await self._on_writer(self._history.reopen)

    async def _wait(self) -> None:
        """Until the interval is over or a rotation is due."""
        left_s = self._interval_s
        while left_s > 0:
            await asyncio.sleep(min(LOOK_EVERY_S, left_s))
            left_s = 0.0 if self._history.rotation_is_due() else left_s - LOOK_EVERY_S

    async def round(self) -> None:
        await self._on_writer(self._history.checkpoint)
        for session in self._roster:
            session.tell_checkpointed(self._history.checkpointed(session.host.host_id))
        if self._history.rotation_is_due():
            await self._on_writer(self._history.rotate)
        change = await asyncio.to_thread(self._history.export)
        if change is not None:
            await self._on_writer(self._history.apply, change)

    async def compact(self) -> None:
        """Merge small files until nothing is worth it; for the hourly job."""
        while (change := await asyncio.to_thread(self._history.merge)) is not None:
            await self._on_writer(self._history.apply, change)

    async def retain(self) -> None:
        """Let go of what is too old or too much, and say so."""
        for removed in await self._on_writer(self._history.retain):
            file = removed.file
            log.info("%s of %s is removed from history (%s): %d rows, %d bytes", file.measurement, file.day, removed.reason, file.rows, file.bytes)
