"""Tokens in files: made at the first start, readable by the collector's user alone."""

import os
import secrets
from pathlib import Path


class TokenError(Exception):
    """A token file can't be used; the message names it and the remedy."""


def ensure_token(path: Path) -> str:
    """The token in the file, which is made on first use with mode 0600. **Errors**: TokenError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_token(path)
    except OSError as error:
        raise TokenError(f"{path} can't be made: {error.strerror}; give the folder to the collector's user") from error
    token = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    return token


def read_token(path: Path) -> str:
    """The token in a file. **Errors**: TokenError."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise TokenError(f"{path} can't be read: {error.strerror}; make it readable for the collector's user alone") from error
    except UnicodeDecodeError as error:
        raise TokenError(f"{path} holds more than a token, which is plain ASCII; delete it or put a token into it") from error
    if not token:
        raise TokenError(f"{path} is empty; delete it and a new token is made at the next start")
    return token
