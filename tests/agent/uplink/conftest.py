"""A running uplink between a real spool and a small collector."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from agent.uplink.small_collector import SmallCollector
from fakes import FakeClock
from watchdesk_agent.model import Samples
from watchdesk_agent.spool import Spool, SpoolConfig, TheirPositions
from watchdesk_agent.uplink import Introduction, Tally, Uplink, UplinkConfig
from watchdesk_agent.wire import encode_batches, encode_declaration
from watchdesk_proto.catalogue import Measurement, gauge, text

LEVEL = Measurement(name="level", help="A test.", columns=(gauge("value", "A number."), text("note", "A text.")))
EPOCH = 4711


class Rig:
    """An uplink and what it works on."""

    def __init__(self, *, folder: Path, authority: trustme.CA, collector: SmallCollector) -> None:
        self.folder = folder
        self.collector = collector
        self.clock = FakeClock()
        self.tally = Tally()
        self.ca_file = folder / "ca.pem"
        self.token_file = folder / "token"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.token_file.write_text("secret\n")
        self.spool = Spool(folder / "spool.db", config=SpoolConfig(), epoch=EPOCH, clock=self.clock)
        self.uplink: Uplink | None = None
        self.compared: list[TheirPositions | None] = []
        self.compare: Callable[[TheirPositions | None], None] = self.compared.append

    def connect(self) -> None:
        """Start the uplink; `disconnect` before another start."""
        self.uplink = Uplink(
            config=UplinkConfig(address=f"localhost:{self.collector.port}", ca_file=self.ca_file, token_file=self.token_file),
            introduction=Introduction(agent_id="7b8b4a3e-2a44-4b5c-9d53-5f3c9a1f4a10", host="web-1", boot_id="b", agent_version="0"),
            spool=self.spool,
            clock=self.clock,
            tally=self.tally,
            random=lambda: 0.0,
            compare=self.compare,
        )
        self._thread = threading.Thread(target=self.uplink.run)
        self._thread.start()

    def disconnect(self) -> None:
        if self.uplink is not None:
            self.uplink.stop()
            self._thread.join(10.0)
            assert not self._thread.is_alive()
            self.uplink = None

    def append(self, batches: int = 1, note: str = "", *, is_ordered: bool = False) -> None:
        """Spool batches of one row each, as a flush does; `is_ordered` as if they held log lines."""
        for number in range(batches):
            encoded = encode_batches([Samples(LEVEL, [(1_767_225_600_000_000 + number, (float(number), note))])], max_bytes=10**9)
            declarations = {LEVEL.schema_id: encode_declaration(LEVEL)}
            assert self.spool.append([one.payload for one in encoded], declarations=declarations, positions={}, ordered=int(is_ordered))
            if self.uplink is not None:
                self.uplink.wake()

    def restart_agent(self, *, epoch: int) -> None:
        """Another start of the agent on the same spool."""
        self.disconnect()
        self.spool.close()
        self.spool = Spool(self.folder / "spool.db", config=SpoolConfig(), epoch=epoch, clock=self.clock)

    def stored_seqs(self, epoch: int = EPOCH) -> list[int]:
        return sorted(seq for e, seq in self.collector.stored if e == epoch)


@pytest.fixture
def rig(tmp_path: Path, authority: trustme.CA, collector: SmallCollector) -> Iterator[Rig]:
    rig = Rig(folder=tmp_path, authority=authority, collector=collector)
    yield rig
    rig.disconnect()
    rig.spool.close()
