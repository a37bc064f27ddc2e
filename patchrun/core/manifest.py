"""Manifests: read once, checked whole, turned into frozen values.

Every problem of a manifest is reported in one error, each with file, key and, for unknown keys, the nearest known one.
"""

from __future__ import annotations

import difflib
import tomllib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from patchrun.core.errors import ManifestError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """Frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def load_manifest(model: type[Any], text: str, name: str) -> Any:
    """``text`` (TOML) as a ``model``; ManifestError names every problem by ``name`` and key."""
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{name}: not TOML: {error}") from None
    except RecursionError:
        raise ManifestError(f"{name}: nested too deeply") from None
    except ValidationError as error:
        problems = [f"{name}: {_problem(model, entry)}" for entry in error.errors(include_url=False)]
        raise ManifestError("\n".join(problems), f"mend {len(problems)} place(s) in {name}") from None


def _problem(model: type[BaseModel], entry: Any) -> str:
    key = ".".join(str(part) for part in entry["loc"]) or "(whole file)"
    if entry["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(entry["loc"][-1]), _known_keys(model, entry["loc"][:-1]), n=1)
        return f"{key}: unknown key" + (f"; did you mean {near[0]}?" if near else "")
    if entry["type"] == "missing":
        return f"{key}: missing"
    message = entry["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" + ("" if isinstance(entry["input"], dict) else f", got {entry['input']!r}")


def _known_keys(model: Any, location: tuple[Any, ...]) -> list[str]:
    """The keys of the model at ``location`` inside ``model``."""
    for part in location:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return list(model.model_fields)
