"""Small disks that can be filled: a tmpfs for a state directory, for whoever may mount one."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

FILLER = "filler"
_BLOCK_BYTES = 1 << 20


@cache
def obstacle() -> str | None:
    """Why no tmpfs can be mounted here, in a sentence; None when one can. Found out by mounting one."""
    if os.geteuid() != 0:
        return "needs root, to mount a small disk that can be filled"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with _tmpfs(Path(folder), size_bytes=_BLOCK_BYTES):
                return None
        except (OSError, subprocess.CalledProcessError):
            return "needs the right to mount a small disk that can be filled"


@contextmanager
def mounted(folder: Path, *, size_bytes: int) -> Iterator[None]:
    """An empty disk of its own at `folder`, until the end; nothing where it cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    with nullcontext() if obstacle() else _tmpfs(folder, size_bytes=size_bytes):
        yield


@contextmanager
def _tmpfs(folder: Path, *, size_bytes: int) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "watchdesk-selftest", folder], check=True, capture_output=True)
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
