"""The files beside a path: where a file that was at the path has gone, whatever its name is now.

Before it: `chain`, which knows what it looks for. Invariant: nothing is decided by a name alone; a file is found by device and inode and by what it
holds, or by what it holds when it is a copy. Reads the outside world only.
"""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from watchdesk_agent.logs.follow import FollowedFile, open_regular
from watchdesk_agent.logs.position import HEAD_BYTES, Mark
from watchdesk_agent.logs.rotation import Turn, rotated_turn

Identity: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sibling:
    """A file beside the path; `turn` when its name is one that rotation makes of the path's."""

    path: Path
    identity: Identity
    modified_ns: int
    turn: Turn | None


def identity_of(path: Path) -> Identity | None:
    """Device and inode of what is at the path; None when nothing is."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def list_siblings(path: Path) -> list[Sibling]:
    """Regular files in the folder of the path; behind a symbolic link, in the folder of its target too."""
    folders = dict.fromkeys((path.parent, path.resolve().parent))
    try:
        return [sibling for folder in folders for sibling in _in_folder(folder, path.name)]
    except OSError:  # gone, or not to be listed
        return []


def find_marked(mark: Mark, *, path: Path) -> FollowedFile | None:
    """The file of a mark, opened: at the path, or renamed beside it. Looks twice, since a rename may happen during a look."""
    for _ in range(2):
        for candidate in (path, *(sibling.path for sibling in list_siblings(path) if sibling.identity == mark.identity)):
            if identity_of(candidate) != mark.identity:
                continue
            file = _open_if(candidate, mark, lambda identity: identity == mark.identity, is_at_path=candidate == path)
            if file is not None:
                return file
    return None


def find_copy(mark: Mark, *, path: Path, known: Collection[Identity], since_ns: int) -> FollowedFile | None:
    """What copytruncate copied a file to, opened behind what was read of the original.

    Only what was written since the last look (`since_ns`) can be the copy: older files may well begin alike. Siblings that may not be read are
    passed over.
    """
    if mark.head.length == 0:
        return None
    for sibling in list_siblings(path):
        if sibling.turn is not None and sibling.identity not in known and sibling.modified_ns >= since_ns:
            try:
                file = _open_if(sibling.path, mark, lambda identity: identity not in known, is_at_path=False)
            except OSError:
                continue
            if file is not None:
                return file
    return None


def find_restored(mark: Mark, *, path: Path, known: Collection[Identity]) -> FollowedFile | None:
    """The file of a mark under another inode, as after a restore from a backup: at the path, or beside it under a rotated name.

    Opened behind what was read. Marks whose head is short are not looked for: files that have just begun may well begin alike.
    """
    if mark.head.length < HEAD_BYTES:
        return None
    for candidate in (path, *(sibling.path for sibling in list_siblings(path) if sibling.turn is not None)):
        try:
            file = _open_if(candidate, mark, lambda identity: identity not in known, is_at_path=candidate == path)
        except OSError:
            continue
        if file is not None:
            return file
    return None


def _open_if(path: Path, mark: Mark, wanted: Callable[[Identity], bool], *, is_at_path: bool) -> FollowedFile | None:
    fd = open_regular(path)
    status = os.fstat(fd)
    if wanted((status.st_dev, status.st_ino)) and mark.describes(fd):
        return FollowedFile(fd, replace(mark, device=status.st_dev, inode=status.st_ino), is_at_path=is_at_path)
    os.close(fd)
    return None


def _in_folder(folder: Path, base: str) -> Iterator[Sibling]:
    with os.scandir(folder) as found:
        for entry in found:
            try:
                if entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    yield Sibling(Path(entry.path), (status.st_dev, status.st_ino), status.st_mtime_ns, rotated_turn(entry.name, base=base))
            except FileNotFoundError:
                continue
