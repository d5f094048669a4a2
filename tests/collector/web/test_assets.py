import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from watchdesk_collector.web.static_files import StaticFiles

COLLECTOR = Path(__file__).parents[3] / "collector"


@pytest.fixture
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", COLLECTOR / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_this_checkout_was_installed_with_its_assets() -> None:
    static = StaticFiles.from_package()
    assert {"watchdesk.css", "watchdesk.js", "charts.js", "favicon.svg", "vendor/uplot.js", "vendor/uplot.css"} <= set(static.paths)


def test_the_assets_and_their_licence_travel_inside_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    built = subprocess.run(command, cwd=COLLECTOR, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name.rpartition("/static/")[2] for name in archive.namelist() if "/static/" in name}
    assert {"vendor/uplot.js", "vendor/uplot.css", "vendor/uplot.LICENSE", "watchdesk.css"} <= names


def test_the_lock_pins_by_hash_and_names_no_registry() -> None:
    packages = json.loads((COLLECTOR / "package-lock.json").read_text())["packages"]
    pinned = [package for path, package in packages.items() if path]
    assert pinned
    assert all(package["integrity"].startswith("sha512-") and "resolved" not in package for package in pinned)


def test_npm_comes_from_the_build_requirements_where_the_machine_has_none(hook: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    version = subprocess.run([*hook.npm(), "--version"], capture_output=True, text=True, check=True, env=dict(os.environ)).stdout
    assert int(version.split(".")[0]) >= 10


def test_a_folder_filled_from_another_lock_is_filled_anew(hook: ModuleType, tmp_path: Path) -> None:
    lock = tmp_path / "package-lock.json"
    lock.write_text("one")
    assert not hook.is_filled(tmp_path, lock)
    for name in hook.ASSETS.values():
        (tmp_path / name).touch()
    (tmp_path / hook.STAMP).write_text("one")
    assert hook.is_filled(tmp_path, lock)
    lock.write_text("two")
    assert not hook.is_filled(tmp_path, lock)
