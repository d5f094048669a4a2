"""Which paths a source's patterns name now.

Before it: `source`. After it: one `chain` per path. Invariant: what rotation left behind is not a path of its own: it belongs to the chain of the
path that it was at.
"""

import glob
import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from watchdesk_agent.logs.rotation import is_compressed_name, is_rotated_name

MAX_FILES = 256
_MOST_CANDIDATES = 20_000


def find_paths(pattern: str) -> list[Path]:
    """The paths that a pattern matches, existing or not when it holds no wildcard; without compressed files."""
    if not glob.has_magic(pattern):
        return [Path(pattern)]
    found = itertools.islice(glob.iglob(pattern, recursive=True), _MOST_CANDIDATES)  # noqa: PTH207 - Path.glob takes no absolute pattern
    return [path for path in map(Path, found) if not is_compressed_name(path.name) and not path.is_dir()]


def own_paths(found: Collection[Path], *, known: Collection[Path]) -> list[Path]:
    """Without the rotated names of others that were found or are known, and without links to files that were found themselves."""
    bases: dict[Path, set[str]] = {}
    for path in (*found, *known):
        bases.setdefault(path.parent, set()).add(path.name)
    return [path for path in dict.fromkeys(found) if not _is_rotated(path.name, bases[path.parent]) and not _is_link_into(path, found)]


def newest(paths: Sequence[Path]) -> list[Path]:
    """At most MAX_FILES of them, the most recently written."""
    if len(paths) <= MAX_FILES:
        return list(paths)
    return sorted(paths, key=_modified, reverse=True)[:MAX_FILES]


def unreadable_folder(pattern: str) -> Path | None:
    """The folder that keeps a pattern from matching because it may not be listed, if that is so."""
    parts = itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts)
    folder = Path(*parts)
    return folder if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK, effective_ids=True) else None


def _is_rotated(name: str, bases: Collection[str]) -> bool:
    return any(base != name and is_rotated_name(name, base=base) for base in _possible_bases(name) if base in bases)


def _possible_bases(name: str) -> Iterator[str]:
    """What is left of each `.` or `-`: few, whatever the number of files."""
    return (name[:at] for at in range(1, len(name)) if name[at] in ".-")


def _is_link_into(path: Path, found: Collection[Path]) -> bool:
    return path.is_symlink() and path.resolve() != path and path.resolve() in found


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
