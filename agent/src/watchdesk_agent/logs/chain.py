"""What is and was at one path: the file there now, and those renamed away that are not read to their end.

Before it: `source`, which found the path. After it: `follow`. Invariant: `files` are in the order of writing, oldest first, and a file leaves it
only when it was read to its end and has been quiet, so a writer that keeps a renamed file open for a while loses nothing.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from watchdesk_agent.logs.folder import Identity, Sibling, find_copy, find_marked, find_restored, identity_of, list_siblings
from watchdesk_agent.logs.follow import FollowedFile, begin, open_regular
from watchdesk_agent.logs.position import Mark, Position
from watchdesk_agent.logs.rotation import Turn

RETIRE_AFTER_S = 300.0  # a daemon told to reopen its log may take its time
RETIRE_UNLINKED_AFTER_S = 10.0  # its space on the disk is only freed when it is closed here

Adopt: TypeAlias = Callable[[Identity], FollowedFile | None]  # takes a file from another chain, whose path it has left


class FileChain:
    """Follows one path through rotation. `lost` counts files that were out of reach before they were read to their end."""

    def __init__(self, path: Path, *, position: Position | None, from_end: bool) -> None:
        self.path = path
        self.files: list[FollowedFile] = []
        self.trouble: str | None = None
        self.lost = 0
        self._unopened = list(position.marks) if position else []
        self._newest_ns = position.newest_ns if position else 0
        self._from_end = from_end and position is None

    def position(self) -> Position:
        """How far all of it was read."""
        marks = (*(file.mark for file in self.files), *self._unopened)
        return Position(marks=marks, newest_ns=max(self._newest_ns, *(file.modified_ns for file in self.files), 0))

    def look(self, *, now_us: int, adopt: Adopt) -> None:
        """Bring `files` up to date with what is in the folder. What cannot be opened is told by `trouble` and tried again next time."""
        try:
            self._look(adopt)
            self._retire(now_us)
            self.trouble = None
        except OSError as error:
            self.trouble = error.strerror or str(error)

    def rewritten(self, file: FollowedFile) -> None:
        """The file was truncated or written anew: what copytruncate copied away is read first, then the file from its start."""
        at = self.files.index(file)
        copy = self._copy_of(file.mark, since_ns=file.modified_ns)
        self.files[at : at + 1] = [*([copy] if copy else []), file.from_start()]

    def release(self, identity: Identity) -> FollowedFile | None:
        """Give up a file that is not at the path, so that it can be followed where it is now."""
        return None if identity_of(self.path) == identity else self._taken(identity)

    def identities(self) -> set[Identity]:
        """Device and inode of each file."""
        return {mark.identity for mark in self.position().marks}

    def close(self) -> None:
        for file in self.files:
            file.close()
        self.files = []

    def _look(self, adopt: Adopt) -> None:
        status = _stat(self.path)
        self._resume()
        identity = None if status is None else (status.st_dev, status.st_ino)
        for file in self.files:
            file.is_at_path = file is self.files[-1] and file.mark.identity == identity
        if status is not None and not (self.files and self.files[-1].is_at_path):
            self._arrive(status, adopt)
        self._from_end = False

    def _arrive(self, status: os.stat_result, adopt: Adopt) -> None:
        """Another file is at the path."""
        if self._from_end:
            self._start_at_end(status)
            return
        fd = open_regular(self.path)
        file = begin(fd, offset=0, is_at_path=True)
        adopted = self._taken(file.mark.identity) or adopt(file.mark.identity)  # renamed back, or from another path
        if adopted is not None:
            file.close()
            adopted.is_at_path = True
        self.files += [*self._missed(file.mark.identity), adopted or file]

    def _taken(self, identity: Identity) -> FollowedFile | None:
        file = next((file for file in self.files if file.mark.identity == identity), None)
        if file is not None:
            self.files.remove(file)
        return file

    def _start_at_end(self, status: os.stat_result) -> None:
        """A file that may not be opened today is read, when it may, from where it ended today."""
        self._unopened = [Mark(device=status.st_dev, inode=status.st_ino, offset=status.st_size)]
        self._from_end = False
        fd = open_regular(self.path)
        self._unopened = []
        self.files.append(begin(fd, offset=os.fstat(fd).st_size, is_at_path=True))

    def _resume(self) -> None:
        """Find the files of a loaded position again, under whatever name."""
        while self._unopened:
            mark = self._unopened[0]
            file = find_marked(mark, path=self.path)
            is_rewritten = file is None and identity_of(self.path) == mark.identity
            if is_rewritten:
                file = self._copy_of(mark, since_ns=self._newest_ns)
            elif file is None:
                file = find_restored(mark, path=self.path, known=self.identities())
            self._unopened.pop(0)
            if file is not None:
                self.files.append(file)
            elif not is_rewritten:
                self.lost += 1

    def _copy_of(self, mark: Mark, *, since_ns: int) -> FollowedFile | None:
        return find_copy(mark, path=self.path, known=self.identities(), since_ns=since_ns)

    def _missed(self, newest: Identity) -> Iterator[FollowedFile]:
        """Files that came to the path and left it between two looks, oldest first."""
        siblings = list_siblings(self.path)
        last = self.files[-1].mark.identity if self.files else None
        turn = next((sibling.turn for sibling in siblings if sibling.identity == last), None)
        known = {*self.identities(), newest}
        strangers = [sibling for sibling in siblings if sibling.turn is not None and sibling.identity not in known]
        for sibling in sorted(strangers, key=lambda sibling: sibling.turn or Turn("", 0)):
            if self._is_younger(sibling, turn):
                try:
                    yield begin(open_regular(sibling.path), offset=0, is_at_path=False)
                except OSError:
                    self.lost += 1

    def _is_younger(self, sibling: Sibling, turn: Turn | None) -> bool:
        """Than the newest file that was followed: by their names if both are of one style, by the time of writing otherwise."""
        if turn is not None and sibling.turn is not None and sibling.turn.style == turn.style:
            return sibling.turn > turn
        return sibling.modified_ns > self.position().newest_ns > 0

    def _retire(self, now_us: int) -> None:
        for file in list(self.files):
            after_s = RETIRE_UNLINKED_AFTER_S if file.is_unlinked else RETIRE_AFTER_S
            if not file.is_at_path and file.is_finished(now_us=now_us, after_s=after_s):
                self._newest_ns = max(self._newest_ns, file.modified_ns)
                self.files.remove(file)
                file.close()


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
