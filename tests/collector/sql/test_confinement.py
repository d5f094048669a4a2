"""The walls below the guard: what a worker cannot do even with a query that no guard has seen."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from watchdesk_collector.sql.job import Job, Summary, View, load_summary

ESCAPES = """
import contextlib, json, os, socket, threading
from watchdesk_collector.sql.confinement import confine
has_landlock = confine(address_space_bytes=2 << 30, cpu_s=60)
done = []
def tried(name, what):
    with contextlib.suppress(OSError, RuntimeError, MemoryError):
        what()
        done.append(name)
tried("read a neighbour", lambda: open("../secret").read())
tried("read the system", lambda: open("/etc/passwd").read())
tried("list the system", lambda: os.listdir("/"))
tried("write here", lambda: open("x", "w").write("x"))
tried("write there", lambda: open("/tmp/x", "w").write("x"))
tried("fork", os.fork)
tried("start a thread", lambda: threading.Thread(target=print).start())
tried("connect", lambda: socket.socket().connect(("127.0.0.1", PORT)))
tried("signal its parent", lambda: os.kill(os.getppid(), 0))
tried("take 3 GiB", lambda: bytearray(3 << 30))
tried("become root", lambda: os.setuid(0))
inside = open("mine").read()
print(json.dumps({"done": done, "inside": inside, "landlock": has_landlock}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "parquet"
    folder.mkdir()
    (folder / "mine").write_text("mine")
    return folder


def test_a_confined_process_reads_its_folder_and_can_do_nothing_else(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = ESCAPES.replace("PORT", str(server.getsockname()[1]))
        process = subprocess.run([sys.executable, "-I", "-c", program], cwd=folder, capture_output=True, check=True)
    found = json.loads(process.stdout)
    if not found["landlock"]:
        pytest.skip("this kernel has no Landlock")
    assert (found["done"], found["inside"]) == ([], "mine")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_text('../secret')",
        "SELECT * FROM read_text('mine')",
        "SELECT * FROM glob('*')",
        "COPY (SELECT 1) TO 'x.csv'",
        "COPY (SELECT 1) TO '/tmp/watchdesk-escaped.csv'",
        "ATTACH 'x.db'",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET threads = 8",
        "INSTALL httpfs",
    ],
)
def test_duckdbs_own_locks_hold_without_the_guard(folder: Path, query: str) -> None:
    summary = run(folder, query)
    assert summary.problem is not None
    assert sorted(path.name for path in folder.iterdir()) == ["mine"]


def test_a_worker_finds_no_secret_in_its_environment(folder: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-I", "-m", "watchdesk_collector.sql.worker"], input=b"nonsense", cwd=folder, capture_output=True, check=False, env={}
    )
    assert process.returncode != 0
    assert process.stdout == b""


def run(folder: Path, query: str) -> Summary:
    job = Job(
        query=query,
        format="json",
        views=[View("numbers", "SELECT 1 AS n")],
        files=[],
        max_rows=10,
        max_bytes=1 << 20,
        memory_limit=256 << 20,
        address_space=2 << 30,
        cpu_s=10,
    )
    process = subprocess.run(
        [sys.executable, "-I", "-m", "watchdesk_collector.sql.worker"], input=job.dump(), cwd=folder, capture_output=True, check=True, env=os.environ
    )
    return load_summary(process.stdout.split(b"\n", 1)[0])
