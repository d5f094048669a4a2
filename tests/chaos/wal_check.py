"""One start on a damaged write-ahead log, in this process: copy, damage, open, have agents send again, compare with the truth."""

import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.history.kit import EPOCH
from wal_history import DECLARED, EVERY, HOSTS, LOG, Truth, key_of, open_history, store
from watchdesk_collector.history import History, HistoryError, RangeSet
from watchdesk_collector.model import Arrival, Hole

SEAL_EVERY = 25
DIGEST = "SELECT '{name}' AS name, host_id, count(*) AS rows, sum(hash({columns})::HUGEINT)::VARCHAR AS hash FROM {name} GROUP BY host_id"
BATCH_COLUMNS = ("epoch", "seq", "seq_to", "lane", "outcome", "reason", "content_hash")

Digest = dict[tuple[str, int], tuple[int, str]]


@dataclass(frozen=True)
class Damage:
    """What is done to a log: `cut` at a place, `flip` a bit of the byte there, or write all from there on `twice`."""

    kind: str
    place: int
    bit: int = 0

    def apply(self, log: bytes) -> bytes:
        if self.kind == "cut":
            return log[: self.place]
        if self.kind == "twice":
            return log + log[self.place :]
        return log[: self.place] + bytes([log[self.place] ^ 1 << self.bit]) + log[self.place + 1 :]


@dataclass(frozen=True)
class Result:
    """What came of it. `failure` and `difference` are empty when all is well."""

    failure: str = ""
    difference: str = ""
    sent_again: int = 0
    set_aside: int = 0  # bytes


class Checker:
    """Starts on copies of one recorded history, below a folder of its own."""

    def __init__(self, recorded: Path, scratch: Path, seed: int) -> None:
        self._recorded = recorded
        self._folder = scratch / "history"
        self._truth = Truth(seed)
        self._log = (recorded / LOG).read_bytes()
        self._expected = self._digest_of_truth()
        self._starts = 0

    def check(self, damage: Damage) -> Result:
        self._copy(damage.apply(self._log))
        self._starts += 1
        try:
            history, recovery = open_history(self._folder)
        except Exception as error:  # whatever it is, the collector would not start
            return Result(failure=f"{type(error).__name__}: {error}")
        try:
            gone = self._gone(history)
            difference = self._send_again(history, gone, random.Random(damage.place)) or self._difference(history)
            if not difference and self._starts % SEAL_EVERY == 0:
                history.seal()
                history.reopen()
                difference = self._difference(history)
        except HistoryError as error:
            difference = f"{type(error).__name__}: {error}"
        finally:
            history._close()
        return Result(difference=difference, sent_again=len(gone), set_aside=sum(one.bytes for one in recovery.unreplayed))

    def _copy(self, log: bytes) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.copytree(self._recorded, self._folder, copy_function=_link_parquet)
        (self._folder / LOG).write_bytes(log)

    def _gone(self, history: History) -> list[Arrival | Hole]:
        return [entry for entry in self._truth.entries if _seqs(entry).isdisjoint(_durable(history, entry.host_id))]

    def _send_again(self, history: History, gone: Sequence[Arrival | Hole], rng: random.Random) -> str:
        """As agents do: what the collector lacks and they still have. One more is looked at as if its ack had been lost. Returns what went wrong."""
        if forgotten := [key_of(entry) for entry in gone if key_of(entry) in self._truth.forgotten]:
            return f"agents were told to forget what is gone: {forgotten}"
        if refusal := history.declare(DECLARED):
            return refusal
        store(history, gone)
        again = rng.choice([entry for entry in self._truth.entries if isinstance(entry, Arrival)])
        if history.content_hash(again.host_id, again.epoch, again.seq) != again.content_hash:
            return f"{key_of(again)} would be taken for another batch when it is sent again"
        return ""

    def _difference(self, history: History) -> str:
        """How history differs from the truth."""
        for host_id in HOSTS:
            sent = sorted(seq for entry in self._truth.entries if entry.host_id == host_id for seq in _seqs(entry))
            if _durable(history, host_id) != sent:
                return f"host {host_id}: seqs {_durable(history, host_id)} instead of {sent}"
        found = _digest(history)
        return "" if found == self._expected else f"rows: {sorted(found.items() ^ self._expected.items())}"

    def _digest_of_truth(self) -> Digest:
        """Of the undamaged history, which is first compared with the truth row by row."""
        self._copy(self._log)
        history, _ = open_history(self._folder)
        for name, measurement in EVERY.items():
            columns = ", ".join(f'"{column.name}"' for column in measurement.columns)
            rows = history.query(f"SELECT host_id, epoch_us(ts) AS us, {columns} FROM {name}", tables=[name])
            stored = sorted((tuple(row.values()) for row in rows.to_pylist()), key=repr)
            if stored != self._truth.rows(name):
                raise AssertionError(f"{name} of the undamaged history is not what was committed")
        digest = _digest(history)
        history._close()
        return digest


def _link_parquet(source: str, target: str) -> None:
    """Sealed files never change, so that a second name will do."""
    if source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


def _seqs(entry: Arrival | Hole) -> set[int]:
    return {entry.seq} if isinstance(entry, Arrival) else set(range(entry.first, entry.last + 1))


def _durable(history: History, host_id: int) -> list[int]:
    return [seq for first, last in history.durable(host_id).get(EPOCH + host_id, RangeSet()) for seq in range(first, last + 1)]


def _digest(history: History) -> Digest:
    """(measurement, host) → rows, and a hash over all that is in them."""
    columns = {name: [column.name for column in measurement.columns] for name, measurement in EVERY.items()} | {"batch": list(BATCH_COLUMNS)}
    parts = [DIGEST.format(name=name, columns=", ".join(f'"{column}"' for column in ("ts", *its))) for name, its in columns.items()]
    rows = history.query(" UNION ALL ".join(parts), tables=list(columns)).to_pylist()
    return {(row["name"], row["host_id"]): (row["rows"], row["hash"]) for row in rows}
