"""Small disks that can be filled: a tmpfs for a state directory, for whoever may mount one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILLER = "filler"
_BLOCK_BYTES = 1 << 20


def obstacle() -> str | None:
    """Why no tmpfs can be mounted here, in a sentence; None when one can."""
    if os.geteuid() != 0:
        return "needs root, to mount a small disk that can be filled"
    return None


@contextmanager
def mounted(folder: Path, *, size_bytes: int) -> Iterator[None]:
    """An empty disk of its own at `folder`, until the end; nothing where it cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    if obstacle() is not None:
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "watchdesk-selftest", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def filled(folder: Path, *, leaving_bytes: int) -> Iterator[None]:
    """The disk at `folder` has at most so much room, until the end."""
    filler = folder / FILLER
    try:
        _fill(filler, leaving_bytes)
        yield
    finally:
        filler.unlink(missing_ok=True)


def _fill(filler: Path, leaving_bytes: int) -> None:
    """Others may write meanwhile: what they leave is taken, down to the wanted room."""
    with filler.open("wb", buffering=0) as file:
        while (excess := _free_bytes(filler.parent) - leaving_bytes) > 0:
            try:
                file.write(bytes(min(excess, _BLOCK_BYTES)))
            except OSError:
                return


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
