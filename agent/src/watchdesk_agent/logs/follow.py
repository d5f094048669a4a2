"""One open file and how far it was read; the file may be renamed, unlinked or rewritten meanwhile.

Before it: `chain`, which opens it. After it: `assemble`, which takes its blocks. Invariant: bytes are handed out only after the file was found to
be the one that the mark describes, checked after the read, so that nothing of a rewritten file is taken for a continuation.
"""

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path

from watchdesk_agent.logs.assemble import BLOCK_BYTES, Assembled
from watchdesk_agent.logs.position import ANCHOR_BYTES, HEAD_BYTES, Mark, fingerprint


class RewrittenError(Exception):
    """The file no longer holds what was read from it: it was truncated, or written anew in place."""


class FollowedFile:
    """Owns the descriptor until `close`."""

    def __init__(self, fd: int, mark: Mark, *, is_at_path: bool) -> None:
        self._fd = fd
        self._anchor = os.pread(fd, mark.anchor.length, mark.offset - mark.anchor.length)
        self.mark = mark
        self.is_at_path = is_at_path
        self.modified_ns = 0
        self.quiet_since_us: int | None = None
        self.waiting_since_us: int | None = None

    @property
    def descriptor(self) -> int:
        """For looking at the file; reading positions are not shared."""
        return self._fd

    def block(self, *, now_us: int) -> bytes:
        """Up to BLOCK_BYTES from the offset; empty at the end. **Errors**: RewrittenError; OSError when the device fails."""
        status = os.fstat(self._fd)
        if status.st_size == self.mark.offset and status.st_mtime_ns == self.modified_ns:
            return b""
        data = os.pread(self._fd, BLOCK_BYTES, self.mark.offset)
        if not self.mark.describes(self._fd):
            raise RewrittenError
        if status.st_mtime_ns != self.modified_ns:
            self.quiet_since_us = now_us
        self.modified_ns = status.st_mtime_ns
        if self.mark.head.length < HEAD_BYTES:
            self.mark = replace(self.mark, head=fingerprint(os.pread(self._fd, HEAD_BYTES, 0)))
        if self.waiting_since_us is None or not data:
            self.waiting_since_us = min(
                now_us, status.st_mtime_ns // 1000
            )  # quiet since its last write, which may be longer than since the last look
        return data

    def advance(self, data: bytes, assembled: Assembled) -> None:
        """Move behind what was consumed of the block."""
        self._anchor = (self._anchor + data[: assembled.consumed])[-ANCHOR_BYTES:]
        offset = self.mark.offset + assembled.consumed
        self.mark = replace(self.mark, offset=offset, inside=assembled.inside, anchor=fingerprint(self._anchor))
        self.waiting_since_us = None

    def waited_s(self, *, now_us: int) -> float:
        """How long there has been something behind the offset that was not consumed."""
        return 0.0 if self.waiting_since_us is None else (now_us - self.waiting_since_us) / 1e6

    @property
    def is_unlinked(self) -> bool:
        """Whether it has no name any more."""
        return os.fstat(self._fd).st_nlink == 0

    def is_finished(self, *, now_us: int, after_s: float) -> bool:
        """Whether it was read to its end and has not grown for `after_s`."""
        if self.quiet_since_us is None:
            self.quiet_since_us = now_us
        return os.fstat(self._fd).st_size == self.mark.offset and (now_us - self.quiet_since_us) / 1e6 >= after_s

    def from_start(self) -> "FollowedFile":
        """The same file, rewritten, from its first byte; this object keeps nothing open."""
        return begin(self._fd, offset=0, is_at_path=self.is_at_path)

    def close(self) -> None:
        os.close(self._fd)


def begin(fd: int, *, offset: int, is_at_path: bool) -> FollowedFile:
    """Follow an open file from `offset`; a line that the offset cuts is skipped."""
    status = os.fstat(fd)
    anchor = os.pread(fd, min(ANCHOR_BYTES, offset), max(0, offset - ANCHOR_BYTES))
    mark = Mark(
        device=status.st_dev,
        inode=status.st_ino,
        offset=offset,
        inside=bool(anchor) and not anchor.endswith(b"\n"),
        head=fingerprint(os.pread(fd, HEAD_BYTES, 0)),
        anchor=fingerprint(anchor),
    )
    return FollowedFile(fd, mark, is_at_path=is_at_path)


def open_regular(path: Path) -> int:
    """A descriptor for reading. **Errors**: OSError, also for what is not a regular file; a FIFO is never waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "is not a regular file", str(path))
