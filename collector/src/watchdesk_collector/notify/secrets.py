"""Passwords and keys: from a file or from the environment, read when they are needed and never kept, logged or stored."""

import os
from pathlib import Path

from watchdesk_collector.notify.errors import SecretUnreadable


def read_secret(*, file: Path | None, variable: str | None) -> str | None:
    """The secret, without the newline at its end; None when neither place is named. **Errors**: SecretUnreadable."""
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SecretUnreadable(f"cannot read the secret in {file}: {reason}; the collector's user must be able to") from error
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise SecretUnreadable(f"the environment variable {variable} is not set; set it for the collector or name a file instead")
    return os.environ[variable]
