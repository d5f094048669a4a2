"""The load of `bench_peers.py`: the same hosts, seconds and values for every contender, encoded once beforehand, and the processes that send it.

An agent of ours sends each batch as its own encoder makes it, over its stream; a host of a peer's sends the same batch as a remote write request
over a connection of its own. Nothing here is part of the product.
"""

import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

from load import LoadAgent, agent_measurements, batch_request, pack
from remote_write import Connections, bodies, series_of
from walks import host_tables, slots

MEASUREMENTS = agent_measurements()
VALUES_PER_TICK = sum(len(measurement.fields) for measurement in MEASUREMENTS)
ACK_POLL_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Batches of `ticks` seconds of `hosts` hosts. The first of each host makes its series, the rest are measured."""

    ticks: int
    batches: int
    hosts: int
    hosts_per_request: int
    first_us: int
    folder: Path

    @property
    def seconds(self) -> int:
        return self.ticks * self.batches

    @property
    def values(self) -> int:
        return self.seconds * self.hosts * VALUES_PER_TICK

    @property
    def measured_values(self) -> int:
        return self.values // self.batches * (self.batches - 1)

    def ours(self, host: int) -> Path:
        return self.folder / f"agent-{self.ticks}-{host}"

    def theirs(self, first_host: int) -> Path:
        return self.folder / f"remote-write-{self.ticks}-{self.hosts_per_request}-{first_host}"


def encode_ours(load: Load, host: int) -> None:
    """A host's batches as its agent spools them: without number."""
    tables = host_tables(MEASUREMENTS, host=host, first_us=load.first_us, ticks=load.seconds)
    firsts = range(0, load.seconds, load.ticks)
    packed = [pack(MEASUREMENTS, [slots(table, first, first + load.ticks) for table in tables]) for first in firsts]
    load.ours(host).write_bytes(pickle.dumps(packed))


def encode_theirs(load: Load, first_host: int) -> None:
    """Remote write bodies for `hosts_per_request` hosts from this one on, a body per batch."""
    every_series = [
        series
        for host in range(first_host, first_host + load.hosts_per_request)
        for table, measurement in zip(host_tables(MEASUREMENTS, host=host, first_us=load.first_us, ticks=load.seconds), MEASUREMENTS, strict=True)
        for series in series_of(table, measurement, f"host-{host}")
    ]
    load.theirs(first_host).write_bytes(pickle.dumps(bodies(every_series, ticks=load.ticks)))


def send_ours(load: Load, target: tuple[str, Path, str], hosts: Sequence[int], gate: Barrier) -> None:
    """In a process of its own. The gate opens when everybody is connected, when all series are made, and when all is acked."""
    address, ca_file, token = target
    agents = [LoadAgent(address=address, ca_file=ca_file, token=token, host=f"host-{host}") for host in hosts]
    for agent in agents:
        agent.declare(MEASUREMENTS)
    batches = [
        [batch_request(agent.epoch, seq, packed) for seq, packed in enumerate(pickle.loads(load.ours(host).read_bytes()), start=1)]
        for host, agent in zip(hosts, agents, strict=True)
    ]
    gate.wait()
    for agent, requests in zip(agents, batches, strict=True):
        agent.send(1, requests[0])
    while not all(agent.answered_at_s for agent in agents):
        time.sleep(ACK_POLL_S)
    gate.wait()
    for seq in range(2, load.batches + 1):
        for agent, requests in zip(agents, batches, strict=True):
            agent.send(seq, requests[seq - 1])
    for agent in agents:
        agent.finish()
    gate.wait()


def send_theirs(load: Load, target: tuple[tuple[str, int], str], hosts: Sequence[int], gate: Barrier) -> None:
    """As `send_ours`; one of `hosts` stands for each request's hosts."""
    address, path = target
    batches: list[list[bytes]] = [pickle.loads(load.theirs(host).read_bytes()) for host in hosts]
    connections = Connections(address, path, len(batches))
    gate.wait()
    connections.send([requests[:1] for requests in batches])
    gate.wait()
    connections.send([requests[1:] for requests in batches])
    connections.close()
    gate.wait()
