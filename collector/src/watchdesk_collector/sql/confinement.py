"""Taking rights away from the process that runs a query, for good: what remains is reading one folder and what was handed over open.

Several walls, each of which holds alone against most things: another user (when the collector is root), Landlock (where the kernel has it), resource
limits. Invariant: after `confine` no file can be opened for writing, no process or thread be started, no TCP connection be made (Landlock 4).

**Source**: landlock(7), prctl(2), setrlimit(2); numbers from linux/landlock.h and linux/prctl.h.
"""

import contextlib
import ctypes
import os
import resource
from pathlib import Path

_NOBODY = 65534
_LOWER_PRIORITY = 10  # ingest and alerting go first

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_SIGKILL = 9

# The same on every architecture that has Landlock.
_SYS_LANDLOCK_CREATE_RULESET = 444
_SYS_LANDLOCK_ADD_RULE = 445
_SYS_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
_LANDLOCK_RULE_PATH_BENEATH = 1
_READ_FILE = 1 << 2
_FS_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many low bits of the file system rights the version knows
_NEWEST_KNOWN_ABI = 5
_NET_RIGHTS = 0b11  # bind and connect TCP, since version 4
_SCOPES = 0b11  # abstract sockets and signals out of the sandbox, since version 6

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("fd", ctypes.c_int32))


def confine(*, address_space_bytes: int, cpu_s: int) -> bool:
    """Confine this process to reading below its working folder. Returns whether Landlock is in force.

    What was opened before stays open, and can be opened again as `/proc/self/fd/N` when its mode lets everybody read.
    """
    _go_first_when_memory_is_short()
    os.nice(_LOWER_PRIORITY)
    _become_nobody()
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    has_landlock = _landlock_to_working_folder()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NPROC, 0)
    _limit(resource.RLIMIT_CPU, cpu_s)
    _limit(resource.RLIMIT_AS, address_space_bytes)
    return has_landlock


def _go_first_when_memory_is_short() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _become_nobody() -> None:
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # without it /proc/self belongs to root, and /proc/self/fd is shut


def _landlock_to_working_folder() -> bool:
    abi = _libc.syscall(_SYS_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    if abi < 1:
        return False
    fs_rights = (1 << _FS_RIGHTS_BY_ABI[min(abi, _NEWEST_KNOWN_ABI)]) - 1
    rules = _Ruleset(fs=fs_rights, net=_NET_RIGHTS if abi >= 4 else 0, scoped=_SCOPES if abi >= 6 else 0)
    ruleset = _checked(_libc.syscall(_SYS_LANDLOCK_CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules), 0))
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    rule = _PathBeneath(allowed=_READ_FILE, fd=here)
    _checked(_libc.syscall(_SYS_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH_BENEATH, ctypes.byref(rule), 0))
    _checked(_libc.syscall(_SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0))
    os.close(here)
    os.close(ruleset)
    return True


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "landlock")
    return result


def _limit(which: int, value: int) -> None:
    resource.setrlimit(which, (value, value))
