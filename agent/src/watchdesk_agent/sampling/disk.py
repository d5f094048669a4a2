"""disk: how full each file system is, and whether it still answers.

**Source**: `/proc/1/mountinfo` (proc(5)), which shows the host's mounts even from within a sandbox, and statvfs(3) on each mount point.
One row per file system: of bind mounts, subvolumes and other second mounts of one device, the one with the shortest path is kept, as df does.
A file system behind a network or a FUSE daemon is asked from a thread of its own, so that a dead server costs its own row and no other.
"""

import errno
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdesk_proto.catalogue import Measurement, Type, gauge, label

from watchdesk_agent.model import Instant, Row
from watchdesk_agent.sampling.config import SamplingFilters, selector
from watchdesk_agent.sampling.context import SamplingContext, read_text
from watchdesk_agent.sampling.rates import ratio

MEASUREMENT = Measurement(
    name="disk",
    help="How full each file system is, as df shows it. One row per file system, under its shortest mount point.",
    columns=(
        label("mount", "Where it is mounted."),
        label("device", "What is mounted, such as /dev/sda1 or server:/export."),
        label("filesystem", "Its type, such as ext4 or nfs4."),
        gauge("total_bytes", "Its size.", unit="bytes", type=Type.INT64),
        gauge("used_bytes", "What is in use.", unit="bytes", type=Type.INT64),
        gauge("available_bytes", "What is left for everybody but root.", unit="bytes", type=Type.INT64),
        gauge(
            "used_ratio",
            "used_bytes divided by used_bytes + available_bytes, as df's percentage: 1 means that programs can no longer write.",
            unit="ratio",
        ),
        gauge("inodes_total", "Files that it has room for; null where there is no such bound.", type=Type.INT64),
        gauge("inodes_free", "Files that can still be made.", type=Type.INT64),
        gauge("inodes_used_ratio", "Share of the inodes in use.", unit="ratio"),
        gauge("read_only", "1 when it is mounted read-only, or the kernel made it so after an error; 0 otherwise.", type=Type.INT64),
        gauge(
            "responding",
            "0 when it does not answer within 2 seconds, or answers with an error (its sizes are null then); 1 otherwise.",
            type=Type.INT64,
        ),
    ),
)

_ANSWER_WITHIN_S = 2.0
_REMOTE = re.compile(
    r"fuse(\..*)?|fuseblk|nfs4?|cifs|smb3|smbfs|9p|afs|ceph|glusterfs|lustre|beegfs|gpfs|ocfs2|gfs2|orangefs|davfs|virtiofs|vboxsf|vmhgfs"
)
_READ_ONLY_OPTIONS = frozenset({"ro", "emergency_ro", "shutdown"})  # ext4 no longer says "ro" after an error since Linux 6.15
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of mountinfo. `identity` is the kernel's number of the file system (major:minor), the same for all its mounts."""

    identity: str
    point: str
    device: str
    filesystem: str
    is_read_only: bool

    @property
    def is_remote(self) -> bool:
        """Whether it can hang because something outside this kernel does."""
        return _REMOTE.fullmatch(self.filesystem) is not None


def parse_mountinfo(mountinfo: str) -> list[Mount]:
    """All mounts, in the order in which they were mounted."""
    return [_parse_mount(line) for line in mountinfo.splitlines()]


def _parse_mount(line: str) -> Mount:
    """Fields before " - " are of the mount, those after it of the file system; between them stands any number of optional ones."""
    of_mount, _, of_filesystem = line.partition(" - ")
    _, _, identity, _, point, options = of_mount.split(" ")[:6]
    filesystem, device, super_options = of_filesystem.split(" ", 2)
    return Mount(
        identity=identity,
        point=_unescape(point),
        device=_unescape(device),
        filesystem=filesystem,
        is_read_only=not _READ_ONLY_OPTIONS.isdisjoint([*options.split(","), *super_options.split(",")]),
    )


def _unescape(text: str) -> str:
    r"""The kernel writes spaces, tabs, line feeds, # and \ as \ooo."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def choose_mounts(mounts: Iterable[Mount], wanted: Callable[[Mount], bool]) -> list[Mount]:
    """The wanted mounts, one per file system; a mount hidden below a later one on the same point is not seen by anybody, so not chosen."""
    visible = {mount.point: mount for mount in mounts}
    by_identity: dict[str, Mount] = {}
    for mount in sorted(filter(wanted, visible.values()), key=lambda mount: (len(mount.point), mount.point)):
        by_identity.setdefault(mount.identity, mount)
    return list(by_identity.values())


def wanted_mounts(filters: SamplingFilters) -> Callable[[Mount], bool]:
    """A mount is sampled when both its point and its type are. A read-only tmpfs never is: nothing fills it, and sandboxes hide folders with it."""
    point_wanted = selector(include=filters.mounts.include, exclude=filters.mounts.exclude)
    type_wanted = selector(include=filters.filesystems.include, exclude=filters.filesystems.exclude)

    def wanted(mount: Mount) -> bool:
        if mount.filesystem == "tmpfs" and mount.is_read_only:
            return False
        return point_wanted(mount.point) and type_wanted(mount.filesystem)

    return wanted


def measure_disk(mount: Mount, answer: os.statvfs_result) -> Row:
    """The row of a file system that answered."""
    unit = answer.f_frsize
    used, available = (answer.f_blocks - answer.f_bfree) * unit, answer.f_bavail * unit
    inodes = answer.f_files or None
    return (
        *(mount.point, mount.device, mount.filesystem),
        answer.f_blocks * unit,
        used,
        available,
        ratio(used, used + available),
        inodes,
        answer.f_ffree if inodes else None,
        ratio(inodes - answer.f_ffree, inodes) if inodes else None,
        int(mount.is_read_only),
        1,
    )


def silent_disk(mount: Mount) -> Row:
    """The row of a file system that did not answer, or answered with an error."""
    return (*(mount.point, mount.device, mount.filesystem), *(None,) * 7, int(mount.is_read_only), 0)


class DiskSampler:
    """Holds the questions that remote file systems have not answered yet."""

    name = "disk"
    measurement = MEASUREMENT
    interval_s = 10.0
    may_block = True

    def __init__(
        self,
        context: SamplingContext,
        *,
        statvfs: Callable[[str], os.statvfs_result] = os.statvfs,
        answer_within_s: float = _ANSWER_WITHIN_S,
    ) -> None:
        self._proc_root = context.proc_root
        self._wanted = wanted_mounts(context.filters)
        self._statvfs = statvfs
        self._answer_within_s = answer_within_s
        self._questions: dict[str, Question] = {}

    def sample(self, at: Instant) -> Sequence[Row]:
        mounts = choose_mounts(parse_mountinfo(read_mountinfo(self._proc_root)), self._wanted)
        questions = self._ask({mount.point: mount for mount in mounts})
        until_s = time.monotonic() + self._answer_within_s
        answers = {m.point: questions[m.point].wait(until_s) if m.is_remote else ask(self._statvfs, m.point) for m in mounts}
        return [row for mount in mounts if (row := _row(mount, answers[mount.point])) is not None]

    def _ask(self, mounts: Mapping[str, Mount]) -> Mapping[str, "Question"]:
        """Ask every remote file system anew, but those that still owe an answer: a dead server holds one thread, not one per tick."""
        pending = {point: question for point, question in self._questions.items() if point in mounts and question.is_pending}
        remote = [point for point, mount in mounts.items() if mount.is_remote and point not in pending]
        self._questions = pending | {point: Question(self._statvfs, point) for point in remote}
        return self._questions


class Question:
    """One statvfs on a thread of its own. The thread is a daemon: one that never returns does not keep the agent from ending."""

    def __init__(self, statvfs: Callable[[str], os.statvfs_result], point: str) -> None:
        self._statvfs = statvfs
        self._point = point
        self._answer: os.statvfs_result | OSError | None = None
        self._thread = threading.Thread(target=self._run, name=f"statvfs {point}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._answer = ask(self._statvfs, self._point)

    @property
    def is_pending(self) -> bool:
        """Whether the answer is still owed."""
        return self._thread.is_alive()

    def wait(self, until_s: float) -> os.statvfs_result | OSError:
        """The answer; TimeoutError as a value when there is none at `until_s` of the monotonic clock."""
        self._thread.join(max(0.0, until_s - time.monotonic()))
        return self._answer if self._answer is not None else TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), self._point)


def ask(statvfs: Callable[[str], os.statvfs_result], point: str) -> os.statvfs_result | OSError:
    """A file system's answer, or its error as a value."""
    try:
        return statvfs(point)
    except OSError as error:
        return error


def read_mountinfo(proc_root: Path) -> str:
    """The mounts of process 1; where `hidepid` hides it, our own. **Errors**: OSError."""
    try:
        return read_text(proc_root / "1" / "mountinfo")
    except (FileNotFoundError, PermissionError):
        return read_text(proc_root / "self" / "mountinfo")


def _row(mount: Mount, answer: os.statvfs_result | OSError) -> Row | None:
    """None for what this agent cannot see (another user's FUSE mount, one hidden by the sandbox) and for what has no size (a pseudo file system)."""
    if isinstance(answer, PermissionError | FileNotFoundError):
        return None
    if isinstance(answer, OSError):
        return silent_disk(mount)
    return measure_disk(mount, answer) if answer.f_blocks else None
