"""Taking secrets out of text and of JSON-able values before they are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

REMOVED = "[key removed]"
SHORTEST = 8
SECRET_NAME = re.compile(r"(?:key|token|secret|password|passwd|credentials?)s?\Z", re.IGNORECASE)
KEYS = re.compile(
    r"""
      \bsk-[A-Za-z0-9][A-Za-z0-9_-]{6,}                                  # Anthropic, OpenAI and kin
    | \b(?:gh[oprsu]_|github_pat_|glpat-|hf_|xox[abprs]-|npm_|pypi-)[A-Za-z0-9_-]{10,}
    | \bA(?:KIA|SIA)[0-9A-Z]{16}\b                                       # AWS
    | \bAIza[0-9A-Za-z_-]{30,}                                           # Google
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
HEADER = re.compile(
    r"(?P<name>(?:authorization|x-api-key|proxy-authorization)[\"']?\s*[:=]\s*[\"']?(?:bearer\s+|basic\s+)?)"
    r"[^\s\"',;]{4,}",
    re.IGNORECASE,
)


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """``text`` without the given ``secrets`` and without anything that has the form of a key."""
    for secret in sorted({one for one in secrets if len(one) >= SHORTEST}, key=len, reverse=True):
        text = text.replace(secret, REMOVED)
    return HEADER.sub(lambda found: found["name"] + REMOVED, KEYS.sub(REMOVED, text))


def scrub_json(value: Any, secrets: Iterable[str] = ()) -> Any:
    """The same for every string, keys of tables included, inside a JSON-able value."""
    kept = tuple(secrets)
    if isinstance(value, str):
        return scrub(value, kept)
    if isinstance(value, Mapping):
        return {scrub(str(key), kept): scrub_json(item, kept) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrub_json(item, kept) for item in value]
    return value


def name_secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables whose name says that they are secret."""
    return tuple(
        value for name, value in environment.items() if SECRET_NAME.search(name) and len(value) >= SHORTEST
    )
