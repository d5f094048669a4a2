"""The agent under test: the real one, with a ledger of what its spool was told, and a wall clock that can be set. For `watchdesk selftest`.

Nothing of a running product agent imports this. Invariant: a batch is in the ledger before the spool can hold it; every other line follows the fact
that it tells, whole, so that a ledger is right whenever its agent was killed. An ack may come before its batch is said to be spooled, and twice.

    spooling EPOCH SEQ JSON             about to be kept; times of its rows (microseconds since 1970 UTC) by measurement: {"cpu":[...],...}
    spooled EPOCH SEQ
    acked EPOCH FIRST LAST              the collector says so, in an Ack or in its Welcome; may cover seqs that were dropped or rejected
    dropped EPOCH FIRST LAST REASON     given up, as the collector will be told
    rejected EPOCH FIRST LAST REASON    the collector's reason
    forgotten EPOCH FIRST LAST          a Welcome lacks what was acked before it
"""

import argparse
import json
import logging
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from watchdesk_agent.lean import lean_imports

with lean_imports():
    from watchdesk_proto.v1 import ingest_pb2 as pb

    from watchdesk_agent.app import run
    from watchdesk_agent.clock import Clock, SystemClock
    from watchdesk_agent.config import read_config
    from watchdesk_agent.spool import Hole, Ranges, Spool, SpoolConfig, Spooled

NO_BYTES = zlib.compress(b"")


class Ledger:
    """A file that lines are appended to, by several processes one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *words: object) -> None:
        line = " ".join(map(str, words)).replace("\n", " ")
        os.write(self._file, f"{line}\n".encode())

    def acked(self) -> dict[int, set[int]]:
        """Seqs by epoch, so far."""
        acked: dict[int, set[int]] = {}
        with self._path.open(encoding="utf-8") as lines:
            for _, epoch, first, last in (line.split() for line in lines if line.startswith("acked ")):
                acked.setdefault(int(epoch), set()).update(range(int(first), int(last) + 1))
        return acked


class LedgeredSpool:
    """A spool that notes in a ledger what it was told; all else is the spool's own. As thread-safe as the spool is."""

    def __init__(self, spool: Spool, ledger: Ledger) -> None:
        self._spool = spool
        self._ledger = ledger
        self._names = _names_of(spool.declarations())
        self._next_seq = 1
        self._acked = ledger.acked()
        self._told_holes: set[Hole] = set()
        self._tell_holes()  # of an agent that was killed before it could

    def __getattr__(self, name: str) -> object:
        return getattr(self._spool, name)

    def append(self, payloads: Sequence[bytes], *, declarations: Mapping[int, bytes], positions: Mapping[str, str], **more: Any) -> bool:
        self._names |= _names_of(declarations)
        first, self._next_seq = self._next_seq, self._next_seq + len(payloads)
        epoch, last = self._spool.epoch, self._next_seq - 1
        for seq, payload in enumerate(payloads, first):
            self._ledger.write("spooling", epoch, seq, self._times(payload))
        is_kept = self._spool.append(payloads, declarations=declarations, positions=positions, **more)
        for seq in range(first, self._next_seq) if is_kept else ():
            self._ledger.write("spooled", epoch, seq)
        if payloads and not is_kept:
            self._ledger.write("dropped", epoch, first, last, "disk_full")
        self._tell_holes()
        return is_kept

    def finish(self, ranges: Ranges) -> None:
        self._tell_acked(ranges)
        self._spool.finish(ranges)

    def reconcile(self, durable: Ranges) -> None:
        self._tell_forgotten(durable)
        self._tell_acked(durable)
        self._spool.reconcile(durable)

    def reject(self, epoch: int, seq: int, reason: str) -> None:
        self._ledger.write("rejected", epoch, seq, seq, reason)
        self._spool.reject(epoch, seq, reason)

    def give_up(self, spooled: Spooled) -> None:
        self._spool.give_up(spooled)
        self._tell_holes()

    def _tell_acked(self, ranges: Ranges) -> None:
        for epoch, spans in ranges.items():
            for first, last in spans:
                self._ledger.write("acked", epoch, first, last)
                self._acked.setdefault(epoch, set()).update(range(first, last + 1))

    def _tell_forgotten(self, durable: Ranges) -> None:
        """Of the epochs that a Welcome answers for."""
        for epoch in {self._spool.epoch, *self._spool.epochs()}:
            known = {seq for first, last in durable.get(epoch, ()) for seq in range(first, last + 1)}
            for seq in sorted(self._acked.get(epoch, set()) - known):
                self._ledger.write("forgotten", epoch, seq, seq)

    def _tell_holes(self) -> None:
        for hole in self._spool.holes():
            if hole not in self._told_holes:
                self._told_holes.add(hole)
                self._ledger.write("dropped", hole.epoch, hole.first, hole.last, hole.reason)

    def _times(self, payload: bytes) -> str:
        times: dict[str, list[int]] = {}
        for schema_id, stamps in _read_times(pb.Batch.FromString(payload)):
            times.setdefault(self._names[schema_id], []).extend(stamps)
        return json.dumps(times, separators=(",", ":"))


def _read_times(batch: pb.Batch) -> Iterator[tuple[int, Sequence[int]]]:
    """Schema and times of each table, packed or not."""
    for table in batch.tables:
        yield table.schema_id, _int64s(table.words, 0, table.rows)
    layout, content, offset = pb.Layout.FromString(batch.layout), batch.content or zlib.decompress(batch.deflated or NO_BYTES), 0
    for schema_id, width, rows in zip(layout.schema_ids, layout.widths, layout.rows, strict=True):
        yield schema_id, _int64s(content, offset, rows)
        offset += 8 * width * rows


def _int64s(words: bytes, offset: int, count: int) -> Sequence[int]:
    return memoryview(words)[offset : offset + 8 * count].cast("q")


def _names_of(declarations: Mapping[int, bytes]) -> dict[int, str]:
    return {schema_id: pb.Declaration.FromString(payload).measurement for schema_id, payload in declarations.items()}


class SetClock:
    """The machine's clocks, the wall clock ahead by the seconds that stand in a file; it is right while there is none.

    Whoever sets it replaces the file, for it may be read at any moment.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._machine = SystemClock()

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead_s())

    def monotonic_s(self) -> float:
        return self._machine.monotonic_s()

    def boottime_s(self) -> float:
        return self._machine.boottime_s()

    def _ahead_s(self) -> float:
        try:
            return float(self._path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """As `watchdesk-agent run`."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    clock = SetClock(options.clock) if options.clock else SystemClock()
    return run(read_config(options.config), clock=clock, make_spool=_with_ledger(Ledger(options.ledger)))


def _with_ledger(ledger: Ledger) -> Callable[..., Spool]:
    def make(path: Path, *, config: SpoolConfig, epoch: int, clock: Clock) -> Spool:
        return cast(Spool, LedgeredSpool(Spool(path, config=config, epoch=epoch, clock=clock), ledger))

    return make


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="watchdesk_agent.selftest", description="An agent under test.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--ledger", type=Path, required=True, metavar="FILE", help="what it spooled and what became of it is appended here")
    parser.add_argument("--clock", type=Path, metavar="FILE", help="seconds that its wall clock is ahead")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
