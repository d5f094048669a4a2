"""Whether positions that came from elsewhere fit the files of this host as they are now.

Before it: positions that the collector kept, of an agent that went on from a copy of this one's state. After it: `reader`, which reads on from those
that fit. Invariant: one is taken only if its newest file is here and holds what was read of it, so logs that were set back as well, as with a
snapshot of the whole machine, are read on from the agent's own positions and lose nothing.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from watchdesk_agent.logs.folder import find_copy, find_marked, find_restored, identity_of, list_siblings
from watchdesk_agent.logs.position import Mark, Position, load_position

FILE = "file"  # the first word of a key that names a source and a path; others hold no position in a file


def file_key(source: str, path: Path) -> str:
    """Under which a position in the files of a path is kept."""
    return f"{FILE} {source} {path}"


def recognised(positions: Mapping[str, str]) -> dict[str, str]:
    """Those that fit."""
    return {key: document for key, document in positions.items() if _fits(key, document)}


def _fits(key: str, document: str) -> bool:
    kind, *names = key.split(" ", 2)
    if kind != FILE or len(names) != 2:
        return True
    with suppress(ValueError, KeyError, TypeError, OSError):
        return _fits_files(load_position(document), Path(names[1]))
    return False


def _fits_files(position: Position, path: Path) -> bool:
    if not position.marks:
        return identity_of(path) is None and all(sibling.modified_ns <= position.newest_ns for sibling in list_siblings(path) if sibling.turn)
    return _is_here(position.marks[-1], path=path, newest_ns=position.newest_ns)


def _is_here(mark: Mark, *, path: Path, newest_ns: int) -> bool:
    file = find_marked(mark, path=path)
    if file is None and identity_of(path) == mark.identity:
        file = find_copy(mark, path=path, known={mark.identity}, since_ns=newest_ns)
    elif file is None:
        file = find_restored(mark, path=path, known=())
    if file is None:
        return False
    file.close()
    return True
