"""The services under a real systemd: a Debian booted in namespaces, with Watchdesk installed as systemd/README.md says.

Slower, and needs root: `tests/systemd/run.sh` makes the tree, names it in WATCHDESK_TREE and runs this file.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

TREE = os.environ.get("WATCHDESK_TREE")
DRIVER = Path(__file__).with_name("booted_host.sh")

ASK_FOR_LANDLOCK = "import ctypes; print(ctypes.CDLL(None).syscall(444, None, 0, 1))"

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(300),
    pytest.mark.skipif(TREE is None, reason="needs a bootable tree; run tests/systemd/run.sh as root"),
]


class BootedHost:
    """Commands in the booted tree."""

    def run(self, *command: str) -> str:
        done = subprocess.run([DRIVER, "run", str(TREE), *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def show(self, unit: str, key: str) -> str:
        return self.run("systemctl", "show", "-P", key, unit)

    def sql(self, query: str) -> list[list[Any]]:
        rows: list[list[Any]] = json.loads(self.run("watchdesk", "sql", "--format", "json", query))["rows"]
        return rows

    def count(self, what: str) -> int:
        return int(self.sql(f"SELECT count(*) FROM {what}")[0][0])

    def wait(self, what: str, is_so: Callable[[], object], *, within_s: float = 60.0) -> None:
        deadline = time.monotonic() + within_s
        while not is_so():
            if time.monotonic() > deadline:
                pytest.fail(f"not within {within_s} s: {what}\n" + self.run("journalctl", "--no-pager", "-n", "40"))
            time.sleep(0.1)

    def wait_for_another(self, unit: str, pid: str) -> None:
        self.wait(f"{unit} runs again", lambda: self.show(unit, "SubState") == "running" and self.show(unit, "MainPID") not in ("0", pid))


@pytest.fixture(scope="module")
def host() -> Iterator[BootedHost]:
    subprocess.run([DRIVER, "up", str(TREE)], check=True, timeout=90)
    try:
        host = BootedHost()
        host.run("systemctl", "start", "watchdesk-collector", "watchdesk-agent")
        yield host
    finally:
        subprocess.run([DRIVER, "down", str(TREE)], check=True, timeout=60)


def test_both_services_say_that_they_are_ready_and_samples_arrive(host: BootedHost) -> None:
    for unit in ("watchdesk-collector", "watchdesk-agent"):
        assert host.show(unit, "ActiveState") == "active"
        assert host.show(unit, "SubState") == "running"
    host.wait("samples are stored", lambda: host.count("cpu") > 2)


@pytest.mark.parametrize("unit", ["watchdesk-collector", "watchdesk-agent"])
def test_the_service_has_no_rights_of_its_own(host: BootedHost, unit: str) -> None:
    status = host.run("cat", f"/proc/{host.show(unit, 'MainPID')}/status")
    facts = dict(line.split(":", 1) for line in status.splitlines())
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert (facts["NoNewPrivs"].strip(), facts["Seccomp"].strip()) == ("1", "2")
    assert facts["Uid"].split()[0] != "0"


def test_the_sandboxed_agent_samples_the_hosts_own_mounts_and_loses_no_sampler(host: BootedHost) -> None:
    host.wait("the disk sampler has run", lambda: host.count("disk") > 0)
    mounts = {mount for (mount,) in host.sql("SELECT DISTINCT mount FROM disk")}
    assert "/run" in mounts
    assert not {mount for mount in mounts if mount.startswith(("/run/credentials", "/var/lib/private", "/boot"))}
    assert host.sql("SELECT sampler FROM agent_sampler WHERE success = 0") == []


def test_the_filter_of_system_calls_leaves_queries_their_confinement(host: BootedHost) -> None:
    if int(host.run("python3", "-c", ASK_FOR_LANDLOCK)) < 1:
        pytest.skip("this kernel has no Landlock")
    host.count("cpu")
    assert "no Landlock" not in host.run("journalctl", "--no-pager", "-u", "watchdesk-collector")


def test_an_entry_of_a_log_that_group_adm_may_read_arrives(host: BootedHost) -> None:
    host.run("bash", "-c", "install -m 640 -g adm /dev/null /var/log/app.log")
    host.run("bash", "-c", "echo 'ERROR it broke password=hunter2' >> /var/log/app.log")
    host.wait("the entry is stored", lambda: host.sql("SELECT message FROM log WHERE path = '/var/log/app.log'"))
    assert host.sql("SELECT message FROM log WHERE path = '/var/log/app.log'") == [["ERROR it broke password=***"]]


@pytest.mark.parametrize("unit", ["watchdesk-agent", "watchdesk-collector"])
def test_the_service_comes_back_after_kill_9(host: BootedHost, unit: str) -> None:
    pid = host.show(unit, "MainPID")
    host.run("kill", "-9", pid)
    host.wait_for_another(unit, pid)


@pytest.mark.parametrize("unit", ["watchdesk-agent", "watchdesk-collector"])
def test_the_watchdog_restarts_a_service_that_hangs(host: BootedHost, unit: str) -> None:
    host.run(
        "bash",
        "-c",
        f"mkdir -p /run/systemd/system/{unit}.service.d && printf '[Service]\\nWatchdogSec=4\\n' > /run/systemd/system/{unit}.service.d/quick.conf",
    )
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", unit)
    pid = host.show(unit, "MainPID")
    host.run("kill", "-STOP", pid)
    host.wait_for_another(unit, pid)
    assert "Failed with result 'watchdog'" in host.run("journalctl", "--no-pager", "-u", unit)


def test_identity_and_history_survive_restarts(host: BootedHost) -> None:
    host.wait("the agent is connected again", lambda: host.count("cpu WHERE ts > now() - INTERVAL 5 SECONDS") > 0)
    assert host.sql("SELECT count(DISTINCT host_id) FROM cpu") == [[1]]


def test_an_unusable_configuration_is_told_and_not_tried_again(host: BootedHost) -> None:
    host.run("bash", "-c", "echo 'nonsense = 1' > /etc/watchdesk/agent.toml")
    host.run("systemctl", "stop", "watchdesk-agent")
    host.run("bash", "-c", "systemctl start watchdesk-agent || true")
    host.wait("the unit has failed", lambda: host.show("watchdesk-agent", "ActiveState") == "failed")
    assert host.show("watchdesk-agent", "ExecMainStatus") == "2"
    assert "nonsense is not a known key" in host.run("journalctl", "--no-pager", "-u", "watchdesk-agent", "-n", "20")
