"""The whole agent, from its samplers to a collector's acks: killed at any moment, stopped in good order, started wrongly."""

import json
import random
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from agent.process.conftest import AgentProcess
from agent.uplink.small_collector import Key, SmallCollector
from watchdesk_agent.catalogue import all_measurements
from watchdesk_proto.v1 import ingest_pb2 as pb

NAMES = {measurement.schema_id: measurement.name for measurement in all_measurements()}


def slots(batch: pb.Batch, measurement: str) -> list[int]:
    """The times of a measurement's rows."""
    return [
        int(ts)
        for table in batch.tables
        if NAMES[table.schema_id] == measurement
        for (ts,) in struct.iter_unpack("<q", table.words[: 8 * table.rows])
    ]


def newest_cpu_us(collector: SmallCollector) -> int:
    return max((ts for batch in list(collector.stored.values()) for ts in slots(batch, "cpu")), default=0)


def names(collector: SmallCollector) -> set[str]:
    return {NAMES[table.schema_id] for batch in list(collector.stored.values()) for table in batch.tables}


def spooled(agent: AgentProcess) -> set[Key]:
    """What a dead agent left."""
    if not (agent.state_dir / "spool.db").exists():
        return set()
    with closing(sqlite3.connect(agent.state_dir / "spool.db")) as spool:
        return set(spool.execute("SELECT epoch, seq FROM batch"))


def test_samples_of_this_host_arrive_and_the_last_of_them_before_an_orderly_stop_ends(agent: AgentProcess, collector: SmallCollector) -> None:
    agent.start()
    wanted = {"cpu", "cpu_core", "load", "memory", "host", "agent", "agent_sampler"}
    collector.wait_for(lambda: names(collector) >= wanted)
    stop_asked_us = time.time_ns() // 1000
    assert agent.stop() == 0
    [epoch] = {epoch for epoch, _ in collector.stored}
    assert sorted(seq for _, seq in collector.stored) == list(range(1, len(collector.stored) + 1))
    cpu = sorted(ts for batch in collector.stored.values() for ts in slots(batch, "cpu"))
    assert len(set(cpu)) == len(cpu)
    assert all(ts % 100_000 == 0 for ts in cpu)
    assert stop_asked_us - cpu[-1] < 1_000_000, "what was collected before the stop was sent"
    assert epoch == collector.hellos()[0].epoch
    assert "agent stopped" in agent.log.read_text()


def test_a_killed_agent_loses_nothing_that_was_in_its_spool_and_doubles_nothing(agent: AgentProcess, collector: SmallCollector) -> None:
    moment = random.Random(1)
    left: set[Key] = set()
    for _ in range(5):
        before = collector.connections
        agent.start()
        collector.wait_for(lambda: collector.connections > before)  # noqa: B023  # called at once
        threading.Event().wait(moment.uniform(0.2, 1.5))  # any moment will do: of sampling, spooling, sending or taking acks
        agent.kill()
        left |= spooled(agent)
        collector.checkpoint()
    agent.start()
    collector.wait_for(lambda: len({hello.epoch for hello in collector.hellos()}) == 6 and left <= set(collector.stored))
    assert agent.stop() == 0
    for epoch in {epoch for epoch, _ in collector.stored}:
        seqs = sorted(seq for e, seq in collector.stored if e == epoch)
        assert seqs == list(range(1, len(seqs) + 1))
    cpu = [ts for batch in collector.stored.values() for ts in slots(batch, "cpu")]
    assert len(set(cpu)) == len(cpu)
    assert len({hello.agent_id for hello in collector.hellos()}) == 1


def test_an_agent_without_its_collector_is_ready_and_keeps_its_samples(agent: AgentProcess, collector: SmallCollector, tmp_path: Path) -> None:
    collector.stop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20.0)
        agent.environment |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
        agent.start()
        said = [systemd.recv(4096).decode() for _ in range(3)]
        assert agent.stop() == 0
    assert said[0] == "READY=1"
    assert said[1].startswith("WATCHDOG=1\nSTATUS=not connected; ")
    assert spooled(agent)
    collector.start()
    agent.environment.pop("NOTIFY_SOCKET")
    left = spooled(agent)
    agent.start()
    collector.wait_for(lambda: left <= set(collector.stored))
    assert "is not reachable, samples wait in the spool" in agent.log.read_text()


def test_a_second_agent_on_the_same_state_is_refused_in_one_sentence(agent: AgentProcess, collector: SmallCollector) -> None:
    agent.start()
    collector.wait_for(lambda: bool(collector.hellos()))
    second = agent.run("run", "--config", str(agent.config))
    assert second.returncode == 1
    assert second.stderr == f"watchdesk-agent: another agent is running with state_dir {agent.state_dir}; stop it, or set another state_dir\n"


def test_an_identity_that_cannot_be_read_is_told_and_not_replaced(agent: AgentProcess) -> None:
    agent.state_dir.mkdir()
    (agent.state_dir / "agent_id").write_text("not an id")
    ended = agent.run("run", "--config", str(agent.config))
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)
    assert "does not hold an agent id" in ended.stderr
    assert (agent.state_dir / "agent_id").read_text() == "not an id"


def test_every_mistake_in_a_configuration_is_told_at_once_with_its_line(agent: AgentProcess) -> None:
    agent.config.write_text("""\
hots = "web-1"
[collector]
address = "collector.example"
[sampling]
interval = 1
intervals = { cpus = "1s" }
[spool]
max_bytes = "lots"
[[probe]]
name = "shop"
kind = "icmp"
target = "shop.example"
""")
    checked = agent.run("check-config", "--config", str(agent.config))
    assert checked.returncode == 2
    assert [line.removeprefix(f"{agent.config}:").partition(" ")[0] for line in checked.stderr.splitlines()] == ["1:", "3:", "5:", "6:", "8:", "11:"]
    assert "did you mean 'host'?" in checked.stderr
    assert agent.run("run", "--config", str(agent.config)).returncode == 2


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('address = "10.0.0.1:9740"\ninsecure = true', "collector.insecure would send the token in clear"),
        ('address = "127.evil.example:9740"\ninsecure = true', "collector.insecure would send the token in clear"),
        ('address = "127.0.0.1:9740"\ninsecure = true\nca_file = "ca.pem"', "collector.ca_file has no meaning"),
    ],
)
def test_a_token_never_travels_in_clear_beyond_this_host(agent: AgentProcess, lines: str, told: str) -> None:
    agent.config.write_text(f"[collector]\n{lines}\n")
    checked = agent.run("check-config", "--config", str(agent.config))
    assert checked.returncode == 2
    assert told in checked.stderr


def test_a_right_configuration_is_said_to_be_fine(agent: AgentProcess) -> None:
    checked = agent.run("check-config", "--config", str(agent.config))
    assert (checked.returncode, checked.stdout) == (0, f"{agent.config}: fine\n")


def test_a_token_that_is_not_there_is_a_mistake_that_check_config_finds(agent: AgentProcess, tmp_path: Path) -> None:
    (tmp_path / "token").unlink()
    checked = agent.run("check-config", "--config", str(agent.config))
    assert checked.returncode == 2
    assert (
        checked.stderr
        == f"{agent.config}: {tmp_path}/token cannot be read: No such file or directory; put it there, or change collector.token_file\n"
    )


def test_the_agent_starts_without_openssl_and_what_needs_it_can_have_it_later() -> None:
    script = "import sys, watchdesk_agent.__main__; print(sorted({'ssl', '_ssl', '_hashlib'} & set(sys.modules))); import ssl, _hashlib, grpc.aio"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "[]\n")


def test_a_sample_can_be_had_as_json_and_as_text(agent: AgentProcess) -> None:
    as_json = json.loads(agent.run("sample", "--once", "--json", "--config", str(agent.config)).stdout)
    [cpu] = as_json["cpu"]
    assert 0 <= cpu["busy_ratio"] <= 1
    as_text = agent.run("sample", "--once", "--config", str(agent.config)).stdout
    assert {line.split()[0] for line in as_text.splitlines()} == set(as_json) - {name for name, rows in as_json.items() if not rows}


def test_all_measurements_can_be_listed(agent: AgentProcess) -> None:
    listed = agent.run("metrics").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [f"{m.name}.{c.name}" for m in all_measurements() for c in m.columns]


def test_an_agent_that_was_frozen_for_longer_than_it_waits_goes_on(agent: AgentProcess, collector: SmallCollector) -> None:
    agent.environment["WATCHDOG_USEC"] = "200000"
    agent.start()
    collector.wait_for(lambda: newest_cpu_us(collector) > 0)
    agent.freeze(0.5)
    thawed_us = time.time_ns() // 1000
    collector.wait_for(lambda: newest_cpu_us(collector) > thawed_us)
