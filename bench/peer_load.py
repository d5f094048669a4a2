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

import numpy as np
from load import LoadAgent, agent_measurements
from remote_write import Connections, bodies, series_of
from walks import host_tables, slots
from watchdesk_agent.model import Samples
from watchdesk_agent.wire import encode_batches
from watchdesk_collector.model import Table
from watchdesk_proto.catalogue import Measurement, Type
from watchdesk_proto.v1 import ingest_pb2 as pb

MEASUREMENTS = agent_measurements()
VALUES_PER_TICK = sum(len(measurement.fields) for measurement in MEASUREMENTS)
MAX_BATCH_BYTES = 4 << 20
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
    payloads = []
    for first in range(0, load.seconds, load.ticks):
        batch = [_samples(slots(table, first, first + load.ticks), one) for table, one in zip(tables, MEASUREMENTS, strict=True)]
        payloads += [encoded.payload for encoded in encode_batches(batch, max_bytes=MAX_BATCH_BYTES)]
    load.ours(host).write_bytes(pickle.dumps(payloads))


def _samples(table: Table, measurement: Measurement) -> Samples:
    columns: list[Sequence[object]] = []
    for column, row in zip(measurement.columns, table.words[1:], strict=True):
        if column.type is Type.TEXT:
            columns.append([table.texts[code] for code in row.tolist()])
        else:
            columns.append((row.view(np.float64) if column.type is Type.FLOAT64 else row).tolist())
    return Samples(measurement, list(zip(table.words[0].tolist(), zip(*columns, strict=True), strict=True)))


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
    batches = [_numbered(pickle.loads(load.ours(host).read_bytes()), agent.epoch) for host, agent in zip(hosts, agents, strict=True)]
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


def _numbered(payloads: Sequence[bytes], epoch: int) -> list[bytes]:
    """Requests with seqs from 1."""
    requests = []
    for seq, payload in enumerate(payloads, start=1):
        batch = pb.Batch.FromString(payload)
        batch.epoch, batch.seq, batch.lane = epoch, seq, pb.LANE_LIVE
        requests.append(pb.StreamRequest(batch=batch).SerializeToString())
    return requests


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
