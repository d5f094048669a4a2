"""A disk with a volatile write cache, for a guest: what was written since the last flush is lost, kept or torn by lot when the power goes.

qemu attaches it as an NBD export over a Unix socket. Killing qemu alone would lose only the guest's page cache: what the guest has handed to its
disk would survive in the file below. Here it survives a power cut for certain only once the guest has flushed. Invariant: `durable` holds every write
that a flush was answered for, and nothing of the others until a cut decides about them.
"""

import random
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SECTOR = 512
NBD_MAGIC, OPTION_MAGIC, REPLY_MAGIC = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
REQUEST_MAGIC, ANSWER_MAGIC = 0x25609513, 0x67446698
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
OPTION_GO = 7
REPLY_ACK, REPLY_INFO, REPLY_UNSUPPORTED = 1, 3, 2**31 + 1
INFO_EXPORT = 0
HAS_FLAGS, SEND_FLUSH = 1, 4
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
INVALID = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a power cut did: writes that no flush covered, and what became of their sectors."""

    unflushed_writes: int
    sectors_kept: int
    sectors_lost: int


class VolatileDisk:
    """The disk's two states, in memory beside each other: what reads see, and what is durable. Any thread."""

    def __init__(self, content: bytes) -> None:
        self._durable = bytearray(content)
        self._seen = bytearray(self._durable)
        self._unflushed: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()
        self._is_written = threading.Event()

    @property
    def size(self) -> int:
        return len(self._durable)

    def read(self, offset: int, length: int) -> bytes:
        with self._lock:
            return bytes(self._seen[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        with self._lock:
            self._seen[offset : offset + len(data)] = data
            self._unflushed.append((offset, data))
            self._is_written.set()

    def flush(self) -> None:
        with self._lock:
            for offset, data in self._unflushed:
                self._durable[offset : offset + len(data)] = data
            self._forget_unflushed()

    def wait_for_writes(self, *, timeout_s: float) -> None:
        """Until something is written and not flushed; that may be over when this returns."""
        self._is_written.wait(timeout_s)

    def cut_power(self, rng: random.Random, *, kept_share: float) -> Cut:
        """Each sector that was written since the last flush stays with this probability, whichever of its versions; nobody may write meanwhile."""
        with self._lock:
            kept = lost = 0
            for offset, data in self._unflushed:
                for at in range(0, len(data), SECTOR):
                    if rng.random() < kept_share:
                        kept += 1
                        self._durable[offset + at : offset + at + SECTOR] = data[at : at + SECTOR]
                    else:
                        lost += 1
            for offset, data in self._unflushed:
                self._seen[offset : offset + len(data)] = self._durable[offset : offset + len(data)]
            cut = Cut(unflushed_writes=len(self._unflushed), sectors_kept=kept, sectors_lost=lost)
            self._forget_unflushed()
            return cut

    def _forget_unflushed(self) -> None:
        self._unflushed.clear()
        self._is_written.clear()

    def save(self, image: Path) -> None:
        """Write what is durable to a file."""
        with self._lock:
            image.write_bytes(self._durable)


class NbdExport:
    """Serves a disk to one client after the other. **Source**: the NBD protocol, fixed newstyle negotiation and simple replies."""

    def __init__(self, disk: VolatileDisk, path: Path) -> None:
        self._disk = disk
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._serve, name="nbd", daemon=True)
        self._thread.start()

    def wait_until_idle(self) -> None:
        """The client is gone, and the last request that reached us whole is carried out."""
        if not self._idle.wait(30):
            raise TimeoutError("the guest's disk is still in use")

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._idle.clear()
            with client, client.makefile("rb") as stream, suppress(EOFError, ConnectionError):  # it was killed
                _Client(client, stream, self._disk).serve()
            self._idle.set()


class _Client:
    """One qemu, from its greeting until it goes."""

    def __init__(self, client: socket.socket, stream: BinaryIO, disk: VolatileDisk) -> None:
        self._client = client
        self._stream = stream
        self._disk = disk

    def serve(self) -> None:
        """**Errors**: EOFError or ConnectionError when it went without a word."""
        self._negotiate()
        while self._answer_request():
            pass

    def _negotiate(self) -> None:
        self._client.sendall(NBD_MAGIC + OPTION_MAGIC + struct.pack(">H", FIXED_NEWSTYLE | NO_ZEROES))
        self._read(4)
        while True:
            _, option, length = struct.unpack(">8sII", self._read(16))
            self._read(length)
            if option == OPTION_GO:
                self._reply(option, REPLY_INFO, struct.pack(">HQH", INFO_EXPORT, self._disk.size, HAS_FLAGS | SEND_FLUSH))
                self._reply(option, REPLY_ACK)
                return
            self._reply(option, REPLY_UNSUPPORTED)

    def _reply(self, option: int, kind: int, data: bytes = b"") -> None:
        self._client.sendall(struct.pack(">QIII", REPLY_MAGIC, option, kind, len(data)) + data)

    def _answer_request(self) -> bool:
        """False when the client takes its leave."""
        magic, _, kind, cookie, offset, length = struct.unpack(">IHHQQI", self._read(28))
        if magic != REQUEST_MAGIC or kind == DISCONNECT:
            return False
        error, data = 0, b""
        if kind == READ:
            data = self._disk.read(offset, length)
        elif kind == WRITE:
            self._disk.write(offset, self._read(length))
        elif kind == FLUSH:
            self._disk.flush()
        else:
            error = INVALID
        self._client.sendall(struct.pack(">IIQ", ANSWER_MAGIC, error, cookie) + data)
        return True

    def _read(self, length: int) -> bytes:
        data = self._stream.read(length)
        if len(data) < length:
            raise EOFError
        return data
