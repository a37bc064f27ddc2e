"""A saved model as patchrun looks at it: bytes and numbers, before anyone loads it into anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchrun.adapters import leavings
from patchrun.core.runlog import printable

if TYPE_CHECKING:
    import numpy as np

MIB = 1 << 20

# As unsigned integers: bits of the exponent, all set in a NaN or an infinity. Integers have none.
_EXPONENT = {
    "F64": ("<u8", 0x7FF << 52),
    "F32": ("<u4", 0xFF << 23),
    "F16": ("<u2", 0x1F << 10),
    "BF16": ("<u2", 0xFF << 7),
}
_WHOLE = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"}


class BadModel(Exception):
    """The file is no model that can be scored; the message says what was seen."""


class NoModel(Exception):
    """There is no file."""


@dataclass(frozen=True)
class ModelFile:
    """A checked safetensors file; ``parameters`` counts the numbers in it, buffers included."""

    data: bytes
    sha256: str
    parameters: int


def read_model(path: Path, model_mb: float, parameters: int | None) -> ModelFile:
    """Read and check ``path``: a plain file, at most ``model_mb`` MiB and ``parameters`` numbers, all finite.

    Raises:
        NoModel: there is none.
        BadModel: it breaks one of these.
    """
    from safetensors import SafetensorError, deserialize

    try:
        data = leavings.read(path.parent, path.name, int(model_mb * MIB))
    except leavings.Missing:
        raise NoModel from None
    except leavings.Refused as refused:
        raise BadModel(str(refused)) from None
    try:
        tensors = deserialize(data)
    except SafetensorError as error:
        raise BadModel(f"{path.name} is not a safetensors file: {printable(str(error), 200)}") from None
    count = sum(prod(tensor["shape"]) for _, tensor in tensors)
    if parameters is not None and count > parameters:
        raise BadModel(f"the model holds {count:,} numbers, {parameters:,} are allowed (buffers count)")
    for name, tensor in tensors:
        _check_tensor(printable(name, 80), tensor)
    return ModelFile(data, hashlib.sha256(data).hexdigest(), count)


def _check_tensor(name: str, tensor: dict[str, Any]) -> None:
    kind = tensor["dtype"]
    if kind in _WHOLE:
        return
    if kind not in _EXPONENT:
        raise BadModel(
            f"tensor {name} has type {kind}: only {', '.join([*_EXPONENT, *sorted(_WHOLE)])} are read"
        )
    if not _all_finite(tensor["data"], kind):
        raise BadModel(f"tensor {name} holds NaN or infinity")


def _all_finite(data: bytes | np.ndarray, kind: str) -> bool:
    import numpy as np

    form, exponent = _EXPONENT[kind]
    bits = np.frombuffer(data, dtype=form)
    return not bool(((bits & np.array(exponent, dtype=form)) == exponent).any())
