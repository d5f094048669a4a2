"""What the guest boots from: Debian's kernel, an initramfs with its disk and network drivers, and a read-only root with the collector in it.

Built once and kept in the checkout's `.cache/power-loss`; what changed since is built again. Needs root, and Debian's packages named in `TOOLS`.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache" / "power-loss"
HERE = Path(__file__).resolve().parent
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "cpio": "cpio",
    "modprobe": "kmod",
}
PACKAGES = ("python3", "busybox-static", "socat", "e2fsprogs")
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "ext4")
SITE_PACKAGES = "usr/local/lib/python3.11/dist-packages"


class ImageError(Exception):
    """The guest cannot be built here; the message says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What qemu is given."""

    kernel: Path
    initramfs: Path
    root: Path


def build() -> Image:
    """The image of the checkout as it is now. **Errors**: ImageError."""
    _check_tools()
    kernel = _newest_kernel()
    CACHE.mkdir(parents=True, exist_ok=True)
    tree = CACHE / "tree"
    _once(CACHE / "tree.key", _key(CHECKOUT / "requirements" / "collector.lock", text=" ".join(PACKAGES)), lambda: _make_tree(tree))
    image = Image(kernel=kernel, initramfs=CACHE / "initramfs", root=CACHE / "root.img")
    _once(CACHE / "initramfs.key", _key(HERE / "guest_initramfs.sh", text=kernel.name), lambda: _make_initramfs(tree, kernel, image.initramfs))
    product = (CHECKOUT / "proto", CHECKOUT / "collector", HERE / "guest_init.sh", CACHE / "tree.key")
    _once(CACHE / "root.key", _key(*product), lambda: _make_root(tree, image.root))
    return image


def _check_tools() -> None:
    if os.geteuid() != 0:
        raise ImageError("The guest's Debian is unpacked with its own users and devices: run this as root.")
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise ImageError(f"A guest is built and run here: run 'apt-get install {' '.join(sorted(set(missing)))}' first.")


def _newest_kernel() -> Path:
    kernels = [path for path in Path("/boot").glob("vmlinuz-*") if Path("/lib/modules", path.name.removeprefix("vmlinuz-")).is_dir()]
    if not kernels:
        raise ImageError("There is no kernel with its modules here for the guest to boot: run 'apt-get install linux-image-amd64' first.")
    return max(kernels, key=lambda path: path.stat().st_mtime)


def _once(key_file: Path, key: str, make: Callable[[], None]) -> None:
    """Run `make` unless the last time it ended well was for the same key."""
    if key_file.exists() and key_file.read_text() == key:
        return
    key_file.unlink(missing_ok=True)
    make()
    key_file.write_text(key)


def _key(*sources: Path, text: str = "") -> str:
    digest = hashlib.sha256(text.encode())
    for path in _files(sources):
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    for source in sources:
        found = sorted(source.rglob("*")) if source.is_dir() else [source]
        yield from (path for path in found if path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts))


def _make_tree(tree: Path) -> None:
    """Debian 12 with the collector's dependencies, each file checked against its hash."""
    print("==> the guest's Debian, and in it what the collector runs on (a minute, once)", flush=True)
    shutil.rmtree(tree, ignore_errors=True)
    sources = [str(path) for path in (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d/debian.sources")) if path.exists()]
    _run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", tree, *sources[:1])
    lock = CHECKOUT / "requirements" / "collector.lock"
    _pip("--no-deps", "--require-hashes", "--target", tree / SITE_PACKAGES, "-r", lock)
    (tree / SITE_PACKAGES / "watchdesk.pth").write_text("/opt/watchdesk\n")
    (tree / "state").mkdir()
    shutil.rmtree(tree / "var/cache/apt")


def _make_initramfs(tree: Path, kernel: Path, initramfs: Path) -> None:
    version = kernel.name.removeprefix("vmlinuz-")
    staging = CACHE / "initramfs.d"
    shutil.rmtree(staging, ignore_errors=True)
    for folder in ("bin", "modules", "proc", "dev", "root"):
        (staging / folder).mkdir(parents=True)
    shutil.copy(tree / "bin/busybox", staging / "bin/busybox")
    shutil.copy(HERE / "guest_initramfs.sh", staging / "init")
    for number, module in enumerate(_modules(version)):
        shutil.copy(module, staging / "modules" / f"{number:02}-{module.name}")
    with initramfs.open("wb") as file:
        subprocess.run("find . | cpio --quiet -o -H newc", shell=True, cwd=staging, check=True, stdout=file)
    shutil.rmtree(staging)


def _modules(version: str) -> list[Path]:
    """The drivers and what they depend on, in the order in which they load."""
    found: dict[Path, None] = {}
    for name in MODULES:
        for line in _run("modprobe", "--show-depends", "--set-version", version, name).splitlines():
            found[Path(line.split()[1])] = None
    return list(found)


def _make_root(tree: Path, image: Path) -> None:
    print("==> the guest's root image, with the collector as it is in this checkout", flush=True)
    product = tree / "opt/watchdesk"
    shutil.rmtree(product, ignore_errors=True)
    _pip("--no-deps", "--no-build-isolation", "--target", product, CHECKOUT / "proto", CHECKOUT / "collector")
    shutil.copy(HERE / "guest_init.sh", tree / "sbin/guest-init")
    image.unlink(missing_ok=True)
    _run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, image, "1200M")


def _pip(*arguments: str | Path) -> None:
    _run(CHECKOUT / ".venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", *arguments)


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"{Path(command[0]).name} failed with exit code {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout
