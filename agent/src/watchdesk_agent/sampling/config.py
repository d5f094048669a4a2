"""Which mounts, interfaces and block devices are sampled: the tables below `[sampling]` that say so.

Each table has the same two keys. What `exclude` matches is left out, unless `include` matches it too; so `include` makes exceptions, and
`exclude = ["*"]` with an `include` samples nothing else. A list in the file replaces the default list.
"""

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from watchdesk_proto.settings import setting

_INCLUDE_HELP = "Globs of what is sampled although `exclude` matches it."


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFilter:
    """Mount points, as df shows them. Default: without kernel interfaces, sessions, and the mounts that container engines make and unmake."""

    include: tuple[str, ...] = setting((), help=_INCLUDE_HELP, example='["/var/lib/docker/volumes/*"]')
    exclude: tuple[str, ...] = setting(
        (
            "/proc/*",
            "/sys/*",
            "/dev/*",
            "/run/credentials/*",
            "/run/user/*",
            "/run/containerd/*",
            "/run/docker/*",
            "/var/lib/docker/*",
            "/var/lib/containers/*",
            "/var/lib/kubelet/*",
        ),
        help="Globs of mount points that the disk sampler leaves out; * also matches /.",
        example='["/mnt/scratch", "/media/*"]',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemFilter:
    """Types of file systems. Default: without those that store nothing of the operator's, and read-only images, which are always full."""

    include: tuple[str, ...] = setting((), help=_INCLUDE_HELP, example='["overlay"]')
    exclude: tuple[str, ...] = setting(
        (
            "autofs",
            "binfmt_misc",
            "bpf",
            "cgroup",
            "cgroup2",
            "configfs",
            "debugfs",
            "devpts",
            "devtmpfs",
            "efivarfs",
            "fuse.gvfsd-fuse",
            "fuse.lxcfs",
            "fuse.portal",
            "fusectl",
            "hugetlbfs",
            "iso9660",
            "mqueue",
            "nsfs",
            "overlay",
            "proc",
            "pstore",
            "ramfs",
            "rpc_pipefs",
            "securityfs",
            "selinuxfs",
            "squashfs",
            "sysfs",
            "tracefs",
        ),
        help="Globs of file system types that the disk sampler leaves out.",
        example='["tmpfs", "squashfs"]',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFilter:
    """Whole block devices (partitions are never sampled: their disk is). Default: without those that are no disk."""

    include: tuple[str, ...] = setting((), help=_INCLUDE_HELP, example='["loop0"]')
    exclude: tuple[str, ...] = setting(
        ("loop*", "ram*", "zram*", "fd*", "sr*"),
        help="Globs of kernel names of block devices that the disk_io sampler leaves out.",
        example='["dm-*"]',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceFilter:
    """Network interfaces. Default: what carries the host's traffic (network cards, bonds, VLANs, tunnels, bridges that an administrator named).

    Left out are the loopback, which no cable can break, and what container engines and hypervisors make by the dozen, whose traffic the
    host's own interfaces count once more.
    """

    include: tuple[str, ...] = setting((), help=_INCLUDE_HELP, example='["lo"]')
    exclude: tuple[str, ...] = setting(
        ("lo", "veth*", "vnet*", "tap*", "docker*", "br-*", "virbr*", "podman*", "cni*", "cali*", "flannel*", "lxc*", "lxdbr*", "dummy*", "ifb*"),
        help="Globs of interfaces that the network sampler leaves out.",
        example='["lo", "wg*"]',
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingFilters:
    """What of a host is sampled."""

    mounts: MountFilter = field(default_factory=MountFilter)
    filesystems: FilesystemFilter = field(default_factory=FilesystemFilter)
    devices: DeviceFilter = field(default_factory=DeviceFilter)
    interfaces: InterfaceFilter = field(default_factory=InterfaceFilter)


def selector(*, include: Sequence[str], exclude: Sequence[str]) -> Callable[[str], bool]:
    """Whether a name is sampled, under the rule of this module; case matters."""
    included, excluded = _any_of(include), _any_of(exclude)
    return lambda name: included(name) or not excluded(name)


def _any_of(globs: Sequence[str]) -> Callable[[str], bool]:
    if not globs:
        return lambda name: False
    pattern = re.compile("|".join(fnmatch.translate(glob) for glob in globs))
    return lambda name: pattern.match(name) is not None
