"""Where reading stopped, written so that it is found again: after a restart, a rename, a truncation.

Kept by the spool, in the transaction that holds the lines before it. Invariant: a position belongs to a file, not to a name: it is recognised by
device and inode, by a fingerprint of the file's first bytes and by one of the bytes just before the offset, so a reused inode or a rewritten file
is never taken for it.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass

HEAD_BYTES = 1024
ANCHOR_BYTES = 128


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A run of bytes, known by length and hash; the log's own text is not stored a second time."""

    length: int = 0
    digest: str = ""

    def matches(self, data: bytes) -> bool:
        """Whether `data` starts with the run."""
        return self.length == 0 or (len(data) >= self.length and fingerprint(data[: self.length]) == self)


def fingerprint(data: bytes) -> Fingerprint:
    """The fingerprint of all of `data`."""
    return Fingerprint(len(data), hashlib.blake2b(data, digest_size=8).hexdigest()) if data else Fingerprint()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far one file was read. `inside`: the offset is within a line that was too long, whose rest is skipped."""

    device: int
    inode: int
    offset: int
    inside: bool = False
    head: Fingerprint = Fingerprint()
    anchor: Fingerprint = Fingerprint()

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode

    def describes(self, fd: int) -> bool:
        """Whether the open file holds what was read up to the offset, whatever its inode."""
        if os.fstat(fd).st_size < self.offset or not self.head.matches(os.pread(fd, self.head.length, 0)):
            return False
        return self.anchor.matches(os.pread(fd, self.anchor.length, self.offset - self.anchor.length))


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the files of one path were read: those renamed away that are not finished, oldest first, then the one at the path.

    `newest_ns` is the latest modification seen of any of them: what is younger was written after the last look.
    """

    marks: tuple[Mark, ...] = ()
    newest_ns: int = 0

    def dump(self) -> str:
        """As the spool keeps it."""
        return json.dumps({"newest_ns": self.newest_ns, "files": [asdict(mark) for mark in self.marks]}, separators=(",", ":"))


def load_position(document: str) -> Position:
    """The inverse of `dump`. **Errors**: ValueError, KeyError or TypeError for anything else."""
    raw = json.loads(document)
    marks = (Mark(**{**entry, "head": Fingerprint(**entry["head"]), "anchor": Fingerprint(**entry["anchor"])}) for entry in raw["files"])
    return Position(marks=tuple(marks), newest_ns=raw["newest_ns"])
