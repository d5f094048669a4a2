"""The checkout itself: its commands, its lock files, its generated code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
LOCKS = sorted((CHECKOUT / "requirements").glob("*.lock"))
TARGETS = ("help", "setup", "demo", "test", "check", "e2e", "bench", "proto", "docs", "lock")


def run(*command: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, env={**os.environ, **environment}, check=False)


def test_make_lists_its_targets() -> None:
    listed = re.findall(r"^  make (\S+)", run("make").stdout, flags=re.MULTILINE)
    assert set(TARGETS) <= set(listed)


def test_the_wire_is_generated_from_its_description() -> None:
    checked = run(sys.executable, "proto/generate.py", "--check")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_file_names_no_place_and_pins_every_package_by_hash(lock: Path) -> None:
    text = re.sub(r"^\s*#.*$", "", lock.read_text(), flags=re.MULTILINE)
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash)", text, flags=re.MULTILINE)
    packages = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert all("==" in package.splitlines()[0] and "--hash=sha256:" in package for package in packages)


def test_every_lock_pins_the_versions_that_development_tests() -> None:
    pins = {lock.name: set(re.findall(r"^([a-z0-9-]+==\S+)", lock.read_text(), flags=re.MULTILINE)) for lock in LOCKS}
    development = pins.pop("dev.lock")
    assert {name: pinned - development for name, pinned in pins.items() if pinned - development} == {}


def test_the_agent_needs_three_packages_and_theirs() -> None:
    pinned = re.findall(r"^([a-z0-9-]+)==", (CHECKOUT / "requirements/agent.lock").read_text(), flags=re.MULTILINE)
    assert set(pinned) == {"grpcio", "protobuf", "psutil", "typing-extensions"}


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ("*version_info*) exit 1;; --version) echo Python 3.9.2;;", "Python 3.9.2 is too old: Watchdesk needs Python 3.11 or newer"),
        ("*ensurepip*) exit 1;;", "run 'apt-get install python3-venv'"),
    ],
    ids=["too old", "without venv"],
)
def test_set_up_says_in_one_sentence_what_a_python_lacks(tmp_path: Path, answers: str, sentence: str) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in {answers} esac\n')
    python.chmod(0o755)
    refused = run("requirements/install.sh", tmp_path / "venv", "requirements/agent.lock", PYTHON=str(python))
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_set_up_says_in_one_sentence_that_there_is_no_python(tmp_path: Path) -> None:
    refused = run("requirements/install.sh", tmp_path / "venv", "requirements/agent.lock", PYTHON="no-such-python")
    assert refused.returncode == 1
    assert "There is no no-such-python here" in refused.stderr
