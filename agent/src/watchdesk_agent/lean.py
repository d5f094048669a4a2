"""Imports without what the agent never uses: 2 MiB of private memory and 6 MiB of resident memory on each host.

gRPC brings asyncio, which brings ssl if it is there, and a half of its own for asyncio; hashlib brings OpenSSL if it is there. The agent speaks TLS
through gRPC's own BoringSSL, from threads, and hashes with what Python has built in. Probes of https import ssl later, as usual.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

OPTIONAL = ("ssl", "_hashlib")  # their importers in the standard library do without them, by design
UNUSED = ("grpc.aio",)  # grpc imports it to have it at hand


@contextmanager
def lean_imports() -> Iterator[None]:
    """Imports within find these modules absent or empty, unless somebody has them already."""
    absent = [name for name in OPTIONAL if name not in sys.modules]
    empty = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None is how Python marks what must not be imported
    sys.modules.update({name: ModuleType(name) for name in empty})
    try:
        yield
    finally:
        for name in (*absent, *empty):
            sys.modules.pop(name, None)
