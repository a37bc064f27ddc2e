"""Manifests: read once, checked whole, turned into frozen values.

Every problem of a manifest is reported in one error, each with file, key and, for unknown keys, the nearest known one.
msgspec checks; since it stops at the first problem, a manifest that it refuses is given to it again piece by piece.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from patchrun.core.errors import ManifestError

Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Oid = Annotated[str, Meta(pattern=r"\A[0-9a-f]{40}\Z")]
Positive = Annotated[float, Meta(gt=0)]
Unsigned = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Frozen, and unknown keys are errors."""


M = TypeVar("M", bound=Strict)


def load_manifest(model: type[M], text: str, name: str, former: Iterable[tuple[str, str]] = ()) -> M:
    """``text`` (TOML) as a ``model``; ManifestError names every problem by ``name`` and key.

    ``former``: (table, key) pairs that are passed over.
    """
    try:
        table = tomllib.loads(text)
        for part, key in former:
            if isinstance(table.get(part), dict):
                table[part].pop(key, None)
        return msgspec.convert(table, model)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{name}: not TOML: {error}") from None
    except RecursionError:
        raise ManifestError(f"{name}: nested too deeply") from None
    except msgspec.ValidationError:
        problems = [f"{name}: {problem}" for problem in _find_problems(model, table, "")]
        raise ManifestError("\n".join(problems), f"mend {len(problems)} place(s) in {name}") from None


def _find_problems(kind: Any, value: Any, key: str) -> list[str]:
    """What is wrong inside ``value``, the innermost places only; what is wrong with it as a whole if they are fine."""
    prefix = f"{key}." if key else ""
    found = list(_check_keys(kind, value, prefix))
    for part, inner, name in _parts(kind, value):
        found += _find_problems(inner, part, prefix + name)
    if found:
        return found
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        words = (f"{key}: " if key else "") + _explain(kind, error)
        return [words if isinstance(value, dict) else f"{words}, got {value!r}"]
    return []


def _check_keys(kind: Any, value: Any, prefix: str) -> Iterator[str]:
    """The unknown and the missing keys of a table."""
    import difflib

    fields = _fields(kind, value)
    for name in value if fields else ():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            yield f"{prefix}{name}: unknown key" + (f"; did you mean {near[0]}?" if near else "")
    for name, field in fields.items():
        if field.required and name not in value:
            yield f"{prefix}{name}: missing"


def _parts(kind: Any, value: Any) -> Iterator[tuple[Any, Any, str]]:
    """The values inside a table or an array, each with its type and its key."""
    if fields := _fields(kind, value):
        yield from ((value[name], field.type, name) for name, field in fields.items() if name in value)
        return
    for one in _alternatives(kind):
        if isinstance(value, list) and get_origin(one) is tuple:
            yield from ((item, get_args(one)[0], str(at)) for at, item in enumerate(value))
        elif isinstance(value, dict) and get_origin(one) is dict:
            yield from ((item, get_args(one)[1], name) for name, item in value.items())


def _fields(kind: Any, value: Any) -> dict[str, msgspec.structs.FieldInfo]:
    """The known keys of a table, none for values that are no table of a model."""
    models = [one for one in _alternatives(kind) if isinstance(one, type) and issubclass(one, Strict)]
    if not models or not isinstance(value, dict):
        return {}
    return {field.name: field for field in msgspec.structs.fields(models[0])}


def _alternatives(kind: Any) -> list[Any]:
    """The plain types that a value may have: constraints taken off, unions taken apart."""
    if get_origin(kind) is Annotated:
        return _alternatives(get_args(kind)[0])
    if get_origin(kind) in (None, tuple, dict, Literal):
        return [kind]
    return [plain for one in get_args(kind) for plain in _alternatives(one)]


def _explain(kind: Any, error: msgspec.ValidationError) -> str:
    """msgspec's words, with the choices where it names none."""
    choices = [
        choice for one in _alternatives(kind) if get_origin(one) is Literal for choice in get_args(one)
    ]
    if choices:
        return "Expected " + " or ".join(map(repr, choices))
    return str(error).split(", got `")[0].replace(" | null", "")
