"""The state directory: one agent at a time, and the identity that makes it the same host after a restart.

Invariant: the identity is a file of its own, so that it outlives a spool that had to be set aside; whoever copies the directory copies the identity.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StateError(Exception):
    """The state directory cannot be used; the message names it and the remedy."""


@contextmanager
def hold_state_dir(path: Path) -> Iterator[None]:
    """Make the directory if need be, and keep other agents out of it. **Errors**: StateError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"state_dir {path} cannot be used: {error.strerror}; create it for the agent's user, or set another state_dir") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StateError(f"another agent is running with state_dir {path}; stop it, or set another state_dir") from error
    finally:
        os.close(lock)


def read_agent_id(path: Path) -> str:
    """The agent's identity, made at its first start. **Errors**: StateError when the file holds something else, or cannot be written."""
    file = path / "agent_id"
    try:
        if not file.exists():
            _write_durably(file, f"{uuid.uuid4()}\n")
        return str(uuid.UUID(file.read_text(encoding="ascii").strip()))
    except ValueError as error:
        raise StateError(f"{file} does not hold an agent id; restore it, or remove it to start as a new host") from error
    except OSError as error:
        raise StateError(f"{file} cannot be written: {error.strerror}; make room or set the rights of state_dir") from error


def read_marker(path: Path) -> str:
    """Tells the state directory from each of its copies: the inode of the identity's file, and when that was last changed, which none can keep."""
    status = (path / "agent_id").stat()
    return f"{status.st_ino}:{status.st_ctime_ns}"


def _write_durably(file: Path, content: str) -> None:
    """Whole or not at all, even through a power failure."""
    fresh = file.with_name(file.name + ".new")
    with fresh.open("w", encoding="ascii") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.rename(file)
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
