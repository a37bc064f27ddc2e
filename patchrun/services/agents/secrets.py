"""What must not be kept: the secrets of the environment, in the spellings in which a program may print them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from patchrun.core.scrub import SHORTEST, name_secrets


def find_secrets(environment: Mapping[str, str], passed: Iterable[str] = ()) -> tuple[str, ...]:
    """The values of variables that look secret and of those that are ``passed`` on, with their other spellings.

    Values of fewer than 8 characters are none: they would match everywhere.
    """
    values = {*name_secrets(environment), *(environment[name] for name in passed if name in environment)}
    found = {text for value in values if len(value) >= SHORTEST for text in spell_out(value)}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def spell_out(secret: str) -> set[str]:
    """A secret as it is, and in JSON, URLs, hexadecimal and base64, whatever stands before it there."""
    data = secret.encode("utf-8", "surrogateescape")
    found = {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), data.hex(), data.hex().upper()}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).decode()
        inner = encoded[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6]
        found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {text for text in found if len(text) >= SHORTEST}
