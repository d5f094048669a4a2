"""`watchdesk demo`, as somebody runs it who sees Watchdesk for the first time."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from load import free_port
from watchdesk_collector.cli.demo.options import PORTS
from watchdesk_collector.cli.demo.programs import command_path

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """The demo on free ports, in a folder of its own."""
    ports = [text for port in PORTS for text in (port.option, str(free_port()))]
    return [str(command_path("watchdesk")), "demo", "--dir", str(tmp_path / ".demo"), *ports]


@pytest.fixture
def demo(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        yield process
        process.kill()


def test_the_demo_ends_by_itself_with_every_sample_accounted_for(command: list[str]) -> None:
    ended = subprocess.run([*command, "--for", "20s"], capture_output=True, text=True, timeout=150, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"alert by email[\s\S]*alert by webhook[\s\S]*recovery by email[\s\S]*recovery by webhook", ended.stdout)
    taken, acked, stored = (figures(ended.stdout, line) for line in ("taken by the agent", "acked by the collector", "stored, counted in SQL"))
    assert taken == acked == stored
    assert taken[0] > 0


def test_a_running_demo_is_found_by_the_command_line_and_ends_cleanly_on_ctrl_c(demo: "subprocess.Popen[str]", tmp_path: Path) -> None:
    pids = read_until_ready(demo)
    question = [str(command_path("watchdesk")), "sql", "--format", "csv", "SELECT 'there' AS found FROM cpu LIMIT 1"]
    asked = subprocess.run(question, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert asked.stdout == "found\nthere\n", asked.stderr
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, rest
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not (tmp_path / ".demo/cli.json").exists()


def test_a_busy_port_is_one_sentence_that_names_the_port_and_the_option(command: list[str]) -> None:
    busy = command[command.index("--web-port") + 1]
    with socket.create_server(("127.0.0.1", int(busy))):
        refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert len(refused.stderr.splitlines()) == 1
    assert busy in refused.stderr
    assert "--web-port" in refused.stderr


def read_until_ready(demo: "subprocess.Popen[str]") -> list[str]:
    """The pids that the demo tells until it shows the page's address."""
    assert demo.stdout is not None
    told = ""
    while "The status page" not in told:
        line = demo.stdout.readline()
        assert line, f"the demo ended early:\n{told}"
        told += line
    return re.findall(r"\(pid (\d+)\)", told)


def figures(output: str, line: str) -> tuple[int, int]:
    """Samples and batches of a line of the summary."""
    found = re.search(rf"{line} +([\d,]+) samples, ([\d,]+) batches", output)
    assert found, output
    return int(found[1].replace(",", "")), int(found[2].replace(",", ""))
