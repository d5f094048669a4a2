"""A site whose collector runs in a virtual machine, on a disk that forgets what was not flushed; the agent runs on this side, as on another host.

The guest's ports are forwarded to loopback ports of this machine. Killing qemu and deciding about the disk's write cache is the power cut.
"""

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guest_image import Image
from harness import Site
from volatile_disk import Cut, NbdExport, VolatileDisk
from watchdesk_collector.cli.demo.programs import Program
from watchdesk_collector.cli.demo.waiting import Waiter
from watchdesk_collector.tokens import ensure_token

STATE_BYTES = 256 * 2**20
START_WITHIN_S = 300.0  # without KVM, on a busy machine
KVM_WITHIN_S = 20.0
BOOTS = "guest: boots"
FSCK_MENDED = 1
# Checkpoints and seals follow each other as fast as they can, so that power fails in the middle of them.
COLLECTOR_TOML = """\
state_dir = "/state/collector"
[ingest]
listen = "10.0.2.15:9740"
tls_cert = "/state/tls/server.pem"
tls_key = "/state/tls/server.key"
[web]
listen = "127.0.0.1:9780"
[history]
checkpoint_interval = "1s"
generation_age = "3s"
free_space_floor = "32MiB"
memory_limit = "256MiB"
"""


class GuestSite(Site):
    """A `Site` with qemu in the collector's place. `console` is what the guest said; `sealed_files` is known once the disk was moved here."""

    def __init__(self, directory: Path, image: Image, *, accelerator: str) -> None:
        super().__init__(directory, flush_interval="300ms")
        self._image = image
        self._accelerator = accelerator
        ensure_token(_made(self.collector_state) / "agent.token")
        ensure_token(self.collector_state / "api.token")
        self.disk = VolatileDisk(_make_state_image(self).read_bytes())
        self._socket = directory / "disk.socket"
        self._console = directory / "console.log"
        self._export = NbdExport(self.disk, self._socket)
        self.sealed_files = 0
        self.power_on("collector", start=False)

    @property
    def console(self) -> str:
        """Of all boots so far."""
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    def power_on(self, mode: str, *, start: bool = True) -> None:
        """Boot, to do what `mode` of guest_init.sh says."""
        self.collector = Program(name="the guest", command=self._command(mode), log=self._console)
        self._console_from = len(self.console)
        if start:
            self.collector.start()

    def start_collector(self) -> None:
        """Boot; it answers when this returns. **Errors**: DemoError when it does not."""
        self.power_on("collector")
        self.await_words("the collector runs")
        Waiter(programs=(self.collector,)).until("The collector's answer", self.api.is_healthy, timeout_s=START_WITHIN_S)

    def await_words(self, words: str) -> None:
        """The guest has said this since it was powered on. **Errors**: DemoError."""
        Waiter(programs=(self.collector,)).until(f"'{words}' on the guest's console", lambda: words in self.words(), timeout_s=START_WITHIN_S)

    def words(self) -> str:
        """What the guest said since it was powered on."""
        return self.console[self._console_from :]

    def cut_power(self, rng: random.Random, *, kept_share: float) -> Cut:
        """At once, whatever the guest is doing."""
        self.collector.kill()
        self._export.wait_until_idle()
        return self.disk.cut_power(rng, kept_share=kept_share)

    def move_disk_here(self) -> bool:
        """After the last cut: the collector's state moves to this machine, whose own collector goes on with it. Whether its file system is whole."""
        image = self.directory / "state.img"
        self.disk.save(image)
        mended = subprocess.run(["e2fsck", "-p", image], check=False, capture_output=True).returncode <= FSCK_MENDED
        is_whole = subprocess.run(["e2fsck", "-f", "-n", image], check=False, capture_output=True).returncode == 0
        shutil.rmtree(self.collector_state)
        subprocess.run(["debugfs", "-R", f"rdump /collector {self.directory}", image], check=True, capture_output=True)
        self.sealed_files = sum(1 for _ in (self.collector_state / "history" / "parquet").rglob("*.parquet"))
        self.collector = self._program("collector")
        super().start_collector()
        return mended and is_whole

    def close(self) -> None:
        self.collector.kill()
        self._export.close()

    def _command(self, mode: str) -> list[str | Path]:
        _, grpc_port = self.grpc_address.split(":")
        _, web_port = self.web_address.split(":")
        network = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{grpc_port}-10.0.2.15:9740,hostfwd=tcp:127.0.0.1:{web_port}-10.0.2.15:9781"
        return [
            *machine(self._image, self._accelerator, mode),
            *("-drive", f"file={self._image.root},format=raw,if=virtio,readonly=on"),
            *("-drive", f"file=nbd+unix:///?socket={self._socket},format=raw,if=virtio,cache=none"),
            *("-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="),
        ]


def machine(image: Image, accelerator: str, mode: str) -> list[str | Path]:
    """The qemu command without disks and network."""
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-smp", "2", "-m", "1024"),
        *("-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max"),
        *("-kernel", image.kernel, "-initrd", image.initramfs, "-append", f"console=ttyS0 quiet panic=-1 guest={mode}"),
    ]


def find_accelerator(image: Image) -> str:
    """KVM where a guest really boots with it; some clouds offer a /dev/kvm that runs nothing."""
    if not Path("/dev/kvm").exists():
        return "tcg"
    with tempfile.TemporaryDirectory() as folder:
        console = Path(folder) / "console"
        guest = Program(name="qemu", command=machine(image, "kvm", "nothing"), log=console)
        guest.start()
        try:
            until_s = time.monotonic() + KVM_WITHIN_S
            while guest.is_running and time.monotonic() < until_s:
                if BOOTS in console.read_text(errors="replace"):
                    return "kvm"
                time.sleep(0.1)
        finally:
            guest.kill()
    return "tcg"


@contextmanager
def guest_site(image: Image, *, accelerator: str) -> Iterator[GuestSite]:
    """A site in a folder of its own; its processes have ended when this ends."""
    with tempfile.TemporaryDirectory(prefix="watchdesk-") as folder:
        made = GuestSite(Path(folder), image, accelerator=accelerator)
        try:
            yield made
        finally:
            made.agent.kill()
            made.close()


def _make_state_image(site: GuestSite) -> Path:
    """An ext4 as mkfs makes it, with the collector's configuration and tokens in it."""
    image, content = site.directory / "state.img", site.directory / "state"
    for source in (site.collector_state, site.directory / "tls"):
        subprocess.run(["cp", "-a", source, _made(content)], check=True)
    (content / "collector.toml").write_text(COLLECTOR_TOML)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-d", content, image, f"{STATE_BYTES // 1024}k"], check=True, capture_output=True)
    return image


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory
