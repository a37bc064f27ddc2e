"""A saved model as patchrun looks at it: bytes and numbers, before anyone loads it into anything."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from patchrun.adapters import leavings
from patchrun.core.graph.values import BadGraph, Spec
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
_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip


class BadModel(Exception):
    """The file is no model that can be scored; the message says what was seen."""


class NoModel(Exception):
    """There is no file."""


@dataclass(frozen=True)
class ModelFile:
    """A checked safetensors file; ``parameters`` counts the numbers in it, buffers included.

    A number of floating point counts one, of 64 bits two; integers and bools count one for each byte, since they can
    hold text as it is.
    """

    data: bytes
    sha256: str
    parameters: int
    specs: Mapping[str, Spec]


def read_model(path: Path, model_mb: float, parameters: int | None) -> ModelFile:
    """Read and check ``path``: a plain file, at most ``model_mb`` MiB and ``parameters`` numbers, all finite.

    Raises:
        NoModel: there is none.
        BadModel: it breaks one of these.
    """
    from safetensors import SafetensorError, deserialize

    data = read_capped(path, int(model_mb * MIB))
    try:
        tensors = deserialize(data)
    except SafetensorError as error:
        raise BadModel(f"{path.name} is not a safetensors file: {printable(str(error), 200)}") from None
    specs = {name: _read_spec(name, tensor) for name, tensor in tensors}
    count = sum(map(_count_numbers, specs.values()))
    if parameters is not None and count > parameters:
        raise BadModel(
            f"the model holds {count:,} numbers, {parameters:,} are allowed (buffers count, integers by their bytes)"
        )
    for name, tensor in tensors:
        _check_finite(printable(name, 80), tensor)
    return ModelFile(data, hashlib.sha256(data).hexdigest(), count, specs)


def _read_spec(name: str, tensor: dict[str, Any]) -> Spec:
    kind = tensor["dtype"]
    if kind not in _NAMES:
        raise BadModel(
            f"tensor {printable(name, 80)} has type {kind}: only {', '.join(sorted(_NAMES))} are read"
        )
    try:
        return Spec(tuple(tensor["shape"]), _NAMES[kind])
    except BadGraph as bad:
        raise BadModel(f"tensor {printable(name, 80)}: {bad}") from None


def _count_numbers(spec: Spec) -> int:
    if not spec.is_float:
        return spec.bytes
    return spec.numel * (2 if spec.dtype == "float64" else 1)


def read_capped(path: Path, most: int) -> bytes:
    """The bytes of a plain file that a run left, of at most ``most``.

    Raises:
        NoModel: there is none.
        BadModel: it is a link, a pipe or a device, or larger.
    """
    try:
        return leavings.read(path.parent, path.name, most)
    except leavings.Missing:
        raise NoModel from None
    except leavings.Refused as refused:
        raise BadModel(str(refused)) from None


def _check_finite(name: str, tensor: dict[str, Any]) -> None:
    kind = tensor["dtype"]
    if kind in _EXPONENT and not _all_finite(tensor["data"], kind):
        raise BadModel(f"tensor {name} holds NaN or infinity")


def _all_finite(data: bytes | np.ndarray, kind: str) -> bool:
    import numpy as np

    form, exponent = _EXPONENT[kind]
    bits = np.frombuffer(data, dtype=form)
    return not bool(((bits & np.array(exponent, dtype=form)) == exponent).any())
