"""The command line: what is asked for wrongly is answered in one sentence, and nothing is started."""

import subprocess
import sys
from pathlib import Path

from collector.cli.conftest import run
from watchdesk_collector.cli.selftest.kinds import KINDS

WITHOUT_AGENT = "import sys; sys.modules['watchdesk_agent'] = None; from watchdesk_collector.cli.main import main; sys.exit(main(['selftest']))"


def test_every_kind_is_listed_with_what_it_does_and_whether_it_can_be_tried() -> None:
    listed = run("selftest", "--list")
    assert listed.code == 0
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in listed.out.splitlines()[1:]}
    assert list(lines) == [kind.name for kind in KINDS]
    assert all(len(line.split()) > 3 for line in lines.values())


def test_names_of_kinds_are_their_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_a_kind_that_is_not_there_is_named_with_those_that_are() -> None:
    refused = run("selftest", "--kinds", "cut,earthquake")
    assert refused.code == 2
    assert "'earthquake'" in refused.err
    assert "kill_collector" in refused.err


def test_a_number_of_rounds_that_is_none_is_refused() -> None:
    refused = run("selftest", "--rounds", "0")
    assert refused.code == 2
    assert "'0' is not a number of rounds" in refused.err


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    refused = run("selftest", "--keep", str(tmp_path))
    assert refused.code == 2
    assert "is not empty" in refused.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_an_agent_one_sentence_says_what_to_install() -> None:
    refused = subprocess.run([sys.executable, "-c", WITHOUT_AGENT], capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert len(refused.stderr.splitlines()) == 1
    assert "watchdesk-agent is not installed" in refused.stderr
