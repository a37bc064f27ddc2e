"""The file in which an exported graph comes: plain JSON of this form and no other, read with limits.

``inputs`` are values 0, 1, ...; then every node gives one value (a tensor, or a tuple of them that ``getitem`` opens).
An argument is a pair of a letter and what it says, so that nothing is guessed from how it looks.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from patchrun.core.graph.values import BadGraph
from patchrun.core.oneline import shorten

MOST_BYTES = 8 << 20  # of the file
MOST_INPUTS = 4096
MOST_NODES = 20_000
MOST_ITEMS = 4096  # of a list among the arguments

Index: TypeAlias = Annotated[int, Meta(ge=0, le=MOST_INPUTS + MOST_NODES)]
Word: TypeAlias = Annotated[str, Meta(max_length=120)]
Name: TypeAlias = Annotated[str, Meta(max_length=300)]
Size: TypeAlias = Annotated[int, Meta(ge=0, le=1 << 40)]
DtypeName: TypeAlias = Literal[
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"
]


class _Part(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A pair in the file."""


class Ref(_Part, frozen=True, array_like=True, tag="t"):
    """A value of the graph."""

    index: Index


class Int(_Part, frozen=True, array_like=True, tag="i"):
    value: Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class Float(_Part, frozen=True, array_like=True, tag="f"):
    value: float


class Infinite(_Part, frozen=True, array_like=True, tag="inf"):
    """A number that JSON cannot say."""

    sign: Literal[-1, 1]


class Bool(_Part, frozen=True, array_like=True, tag="b"):
    value: bool


class Nothing(_Part, frozen=True, array_like=True, tag="n"):
    """None."""


class Text(_Part, frozen=True, array_like=True, tag="s"):
    """One of an operator's own words, as in ``approximate='tanh'``."""

    value: Word


class DtypeArgument(_Part, frozen=True, array_like=True, tag="d"):
    name: DtypeName


class MemoryFormat(_Part, frozen=True, array_like=True, tag="m"):
    name: Literal["contiguous_format", "preserve_format"]


Item: TypeAlias = Ref | Int | Float | Infinite | Bool | Nothing | Text | DtypeArgument | MemoryFormat


class Items(_Part, frozen=True, array_like=True, tag="l"):
    """A list of arguments; lists do not hold lists."""

    values: Annotated[tuple[Item, ...], Meta(max_length=MOST_ITEMS)]


Argument: TypeAlias = (
    Ref | Int | Float | Infinite | Bool | Nothing | Text | DtypeArgument | MemoryFormat | Items
)


class Node(Struct, frozen=True, forbid_unknown_fields=True):
    """One call of an operator."""

    op: Word
    args: Annotated[tuple[Argument, ...], Meta(max_length=32)] = ()
    kwargs: Annotated[dict[Word, Argument], Meta(max_length=32)] = {}


class Input(Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor that the graph starts from.

    ``saved``: one of the saved model's, under any of ``names`` (a tied parameter has several). ``constant``: its bytes
    are ``data``, in base64, little-endian. ``tokens``: the token ids.
    """

    kind: Literal["saved", "constant", "tokens"]
    dtype: DtypeName
    shape: Annotated[tuple[Size, ...], Meta(max_length=16)]
    names: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    data: str = ""

    def read_data(self) -> bytes:
        """The bytes of a constant; BadGraph where they are not base64."""
        try:
            return b64decode(self.data, validate=True)
        except (NotBase64, ValueError):
            raise BadGraph("a constant's bytes are not base64") from None


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. ``error``: why there is no graph, in the exporter's words."""

    version: Literal[1]
    inputs: Annotated[tuple[Input, ...], Meta(max_length=MOST_INPUTS)] = ()
    nodes: Annotated[tuple[Node, ...], Meta(max_length=MOST_NODES)] = ()
    output: Index = 0
    error: Annotated[str, Meta(max_length=4000)] = ""


def read_document(data: bytes) -> Document:
    """The graph in ``data``; BadGraph where it is too large or not of this form."""
    if len(data) > MOST_BYTES:
        raise BadGraph(f"the exported graph has {len(data):,} bytes, {MOST_BYTES:,} are allowed")
    try:
        return msgspec.json.decode(data, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadGraph(f"the exported graph is not of its form: {shorten(str(error), 200)}") from None
