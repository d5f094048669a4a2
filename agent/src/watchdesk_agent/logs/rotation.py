"""The names that rotation gives: which files in a folder were once at a path, and in which order.

Before it: `chain`, which has found another file at its path. Invariant: pure; order is that of writing, oldest first.
"""

import re
from dataclasses import dataclass

_COMPRESSED = re.compile(r"\.(?:gz|xz|bz2|zst|lz4|zip)$")
_SUFFIX = re.compile(r"[.-]?(?:(?P<number>\d{1,4})|(?P<date>\d{4}-?\d\d-?\d\d(?:[-_T.]?\d[\d.:-]*)?|\d{9,}))")


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """The place of a rotated file among its kind: `.2` was written before `.1`, `-20261123` before `-20261124`."""

    style: str
    rank: int
    date: str = ""


def rotated_turn(name: str, *, base: str) -> Turn | None:
    """The turn of `name` when it is what rotation makes of `base`: `app.log.1`, `app.log-20261124`, `app-20261124.log`; None otherwise.

    Compressed files have none: they are not read.
    """
    stem, dot, extension = base.rpartition(".")
    candidates = [name.removeprefix(base)] if name.startswith(base) else []
    if stem and name.startswith(stem) and name.endswith(dot + extension):
        candidates.append(name[len(stem) : len(name) - len(dot + extension)])
    for suffix in candidates:
        match = _SUFFIX.fullmatch(suffix) if suffix[:1] in (".", "-") else None
        if match is not None:
            return Turn("number", -int(match["number"])) if match["number"] else Turn("date", 0, match["date"])
    return None


def is_rotated_name(name: str, *, base: str) -> bool:
    """Whether `name` is `base` with what rotation appends, compressed or not."""
    return name.startswith(base) and rotated_turn(_COMPRESSED.sub("", name), base=base) is not None


def is_compressed_name(name: str) -> bool:
    """Whether the file holds compressed text, to judge by its name."""
    return _COMPRESSED.search(name) is not None
