"""The owner's secret key: it makes the scoring seeds, lies outside the arena, and is committed to by hash."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from patchrun.adapters.durable import sync_disk
from patchrun.adapters.homes import data_home
from patchrun.core.errors import SetupError

COPY_AGAIN = "copy it again from the machine where the arena was made"


def commitment(key: bytes) -> str:
    """What the arena holds of a key: its SHA-256."""
    return hashlib.sha256(b"patchrun key\0" + key).hexdigest()


def key_file(identity: str) -> Path:
    """Where the key of the arena with this commitment lies."""
    return data_home() / "keys" / f"{identity}.key"


def create_key() -> str:
    """Make a key, keep it readable by its owner alone, return its commitment."""
    key = secrets.token_bytes(32)
    path = key_file(commitment(key))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SetupError(
            f"cannot keep the owner's key: {error}", "set XDG_DATA_HOME to a folder you own"
        ) from None
    with os.fdopen(handle, "w") as file:
        file.write(key.hex() + "\n")
    sync_disk(path)
    return commitment(key)


def find_key(identity: str) -> bytes | None:
    """The key that was committed to, None where it is not on this machine; SetupError when it is another one."""
    return load_key(identity) if key_file(identity).exists() else None


def load_key(identity: str) -> bytes:
    """The key that was committed to; SetupError when it is not on this machine or is another one."""
    path = key_file(identity)
    try:
        key = bytes.fromhex(path.read_text().strip())
    except FileNotFoundError:
        raise SetupError(
            f"the owner's key of this arena is not on this machine (sought {path.name} in {path.parent})",
            "copy it there from the machine where the arena was made, or try with `--seeds public`",
        ) from None
    except (OSError, ValueError) as error:
        raise SetupError(f"{path}: not a key: {error}", COPY_AGAIN) from None
    if commitment(key) != identity:
        raise SetupError(f"{path}: not the key that the arena committed to", COPY_AGAIN)
    return key
