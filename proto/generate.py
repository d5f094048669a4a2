"""Write the Python modules of the wire from the .proto files, into proto/src or, to compare with what is there, `--check`."""

import argparse
import os
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
PACKAGE = Path("watchdesk_proto/v1")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a generated file is out of date")
    if not parser.parse_args().check:
        generate(ROOT / "src")
        return 0
    stale = out_of_date()
    for path in stale:
        print(f"{path} is out of date: run `make proto` and commit what it changes", file=sys.stderr)
    return 1 if stale else 0


def out_of_date() -> list[Path]:
    """The generated modules in proto/src that differ from what the .proto files give now, or are missing."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh = sorted((Path(scratch) / PACKAGE).iterdir())
        return [ROOT / "src" / PACKAGE / new.name for new in fresh if not _same(new, ROOT / "src" / PACKAGE / new.name)]


def generate(target: Path) -> None:
    """Write messages, stubs and their types below `target`."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where protoc finds its plugins
    sources = sorted((ROOT / "watchdesk/v1").glob("*.proto"))
    arguments = [
        "protoc",
        f"-I{PACKAGE}={ROOT / 'watchdesk/v1'}",
        f"-I{files('grpc_tools') / '_proto'}",
        *(f"--{plugin}_out={target}" for plugin in ("python", "grpc_python")),
        *(f"--{plugin}_out=quiet:{target}" for plugin in ("mypy", "mypy_grpc")),
        *map(str, sources),
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit(1)


def _same(new: Path, old: Path) -> bool:
    return old.exists() and new.read_bytes() == old.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
