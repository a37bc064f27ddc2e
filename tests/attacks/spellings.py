"""Ways to write the same thing in Python: to bind a name, to reach a function, to hold data, to place a line.

Each takes a random generator and returns source text, so that one seed gives one attack.
"""

from __future__ import annotations

import base64
import random
import re
import textwrap
from collections.abc import Callable, Sequence

from tests.attacks.ground import Change, at_bottom, at_top, in_build, in_loop, in_main

WORDS = (
    "scale",
    "table",
    "drift",
    "probe",
    "ratio",
    "cache",
    "bias",
    "gate",
    "inner",
    "shape",
    "value",
    "width",
)


FIRST = ["ba", "de", "ki", "lo", "mu", "na", "po", "ra", "se", "ti", "vu", "wo", "xa", "ye", "zi", "go"]
LAST = [
    "ban",
    "del",
    "kin",
    "lor",
    "mus",
    "nar",
    "pol",
    "ran",
    "sel",
    "tin",
    "vul",
    "wor",
    "xan",
    "yen",
    "zim",
    "got",
]


def fresh(rng: random.Random) -> str:
    """A name that no script of ours has."""
    return f"{rng.choice(WORDS)}_{rng.choice(WORDS)}_{rng.randrange(1000)}"


def bind(rng: random.Random, name: str, value: str) -> str:
    """Lines that bind ``name`` to the expression ``value``, at any level of a script."""
    return rng.choice(_BINDINGS)(name, value, fresh(rng))


def bind_globally(rng: random.Random, name: str, value: str) -> str:
    """Lines that bind a module's ``name`` to the expression ``value``, at module level."""
    return rng.choice((*_BINDINGS, *_MODULE_BINDINGS))(name, value, fresh(rng))


_BINDINGS: tuple[Callable[[str, str, str], str], ...] = (
    lambda n, v, f: f"{n} = {v}",
    lambda n, v, f: f"{n}: object = {v}",
    lambda n, v, f: f"{f} = {n} = {v}",
    lambda n, v, f: f"{f}, {n} = 0, {v}",
    lambda n, v, f: f"({f}, [{n}, *_]) = (0, [{v}, 1])",
    lambda n, v, f: f"*{f}, {n} = 0, {v}",
    lambda n, v, f: f"for {n} in ({v},):\n    pass",
    lambda n, v, f: f"for {f}, {n} in [(0, {v})]:\n    break",
    lambda n, v, f: f"for {f} in (0,):\n    {n} = {v}",
    lambda n, v, f: f"if ({n} := {v}):\n    pass",
    lambda n, v, f: f"{f} = [({n} := {f}_) for {f}_ in ({v},)]",
    lambda n, v, f: f"assert [{n} := {v}]",
    lambda n, v, f: f"{f} = lambda x=({n} := {v}): x",
    lambda n, v, f: f"{f} = f'{{({n} := {v})}}'",
    lambda n, v, f: f"def {f}(x=({n} := {v})):\n    return x",
    lambda n, v, f: f"class {f}(({n} := {v}) and object):\n    pass",
    lambda n, v, f: f"@lambda each: ({n} := {v})\ndef {f}():\n    pass",
    lambda n, v, f: f"@lambda each: {v}\ndef {n}():\n    pass",
    lambda n, v, f: f"import contextlib\nwith contextlib.nullcontext({v}) as {n}:\n    pass",
    lambda n, v, f: f"import contextlib\nwith contextlib.nullcontext((0, {v})) as ({f}, {n}):\n    pass",
    lambda n, v, f: f"match {v}:\n    case {n}:\n        pass",
    lambda n, v, f: f"match [{v}]:\n    case [{n}]:\n        pass",
    lambda n, v, f: f"match {{0: {v}}}:\n    case {{0: {n}}}:\n        pass",
    lambda n, v, f: f"match {v}:\n    case object() as {n}:\n        pass",
    lambda n, v, f: f"try:\n    {n} = {v}\nfinally:\n    pass",
    lambda n, v, f: f"def {n}(*words, **more):\n    return ({v})(*words, **more)",
)

_MODULE_BINDINGS: tuple[Callable[[str, str, str], str], ...] = (
    lambda n, v, f: f"globals()[{n!r}] = {v}",
    lambda n, v, f: f"globals().update({n}={v})",
    lambda n, v, f: f"globals().update({{{n!r}: {v}}})",
    lambda n, v, f: f"globals().__setitem__({n!r}, {v})",
    lambda n, v, f: f"{f} = globals()\n{f}[{n!r}] = {v}",
    lambda n, v, f: f"vars()[{n!r}] = {v}",
    lambda n, v, f: f"locals()[{n!r}] = {v}",
    lambda n, v, f: f"globals().__ior__({{{n!r}: {v}}})",
    lambda n, v, f: f"setattr(sys.modules[__name__], {n!r}, {v})",
    lambda n, v, f: f'sys.modules["__main__"].{n} = {v}',
    lambda n, v, f: f"vars(sys.modules[__name__])[{n!r}] = {v}",
    lambda n, v, f: f"sys.modules[__name__].__dict__.update({n}={v})",
    lambda n, v, f: f"import __main__ as {f}\n{f}.{n} = {v}",
    lambda n, v, f: f"def {f}():\n    global {n}\n    {n} = {v}\n\n\n{f}()",
    lambda n, v, f: f"class {f}:\n    global {n}\n    {n} = {v}",
    lambda n, v, f: f'exec("{n} = {v}")',
    lambda n, v, f: f"sys._getframe().f_globals[{n!r}] = {v}",
    lambda n, v, f: f"{f} = main.__globals__\n{f}[{n!r}] = {v}",
)


def reach(rng: random.Random, dotted: str) -> tuple[str, str]:
    """(lines that come first, an expression) for the function ``package.module.name``."""
    root, *parts = dotted.split(".")
    folder, name = ".".join([root, *parts[:-1]]), parts[-1]
    cut = rng.randrange(1, len(name))
    split = f"{name[:cut]!r} + {name[cut:]!r}"
    alias, other = fresh(rng), fresh(rng)
    forms = (
        (f"import {root}", dotted),
        (f"import {folder} as {alias}", f"{alias}.{name}"),
        (f"from {folder} import {name} as {alias}", alias),
        (f"from {folder} import {name}", name),
        (f"import {root}\n{alias} = {folder}", f"{alias}.{name}"),
        (f"import {root}\n{alias} = {dotted}", alias),
        (f"import {root}", f"getattr({folder}, {name!r})"),
        (f"import {root}", f"getattr({folder}, {split})"),
        (f"import {root}", f"getattr({folder}, {name[::-1]!r}[::-1])"),
        (f"import {root}", f"vars({folder})[{name!r}]"),
        (f"import {root}", f"{folder}.__dict__[{split}]"),
        (f"import {root}", f"{folder}.__getattribute__({name!r})"),
        ("", f"__import__({root!r}, fromlist=['x']).{'.'.join(parts)}"),
        (f"import importlib\n{alias} = importlib.import_module({folder!r})", f"{alias}.{name}"),
        (f"from importlib import import_module as {alias}", f"{alias}({folder!r}).{name}"),
        (f"import sys, {root}", f"sys.modules[{folder!r}].{name}"),
        (f"import operator, {root}", f"operator.attrgetter({'.'.join(parts)!r})({root})"),
        (f"import functools, {root}", f"functools.partial({dotted})"),
        (f"import {root}\n{alias}, {other} = {folder}, 0", f"{alias}.{name}"),
        (f"import {root}\nfor {alias} in [{dotted}]:\n    pass", alias),
        (f"import {root}\nclass {alias}:\n    {other} = {dotted}", f"{alias}.{other}"),
        (f"import {root}\n{alias} = {{0: {dotted}}}", f"{alias}[0]"),
        (f"import {root}\n{alias} = lambda *words: {dotted}(*words)", alias),
    )
    return rng.choice(forms)


def hold(rng: random.Random, data: bytes) -> str:
    """Lines that carry ``data`` in one of the ways in which source text can."""
    return rng.choice(_CARRIERS)(rng, data)


def _integers(rng: random.Random, data: bytes) -> str:
    size = rng.randrange(2, 16)
    numbers = [int.from_bytes(data[at : at + size], "big") for at in range(0, len(data), size)]
    shown = rng.choice((str, hex, oct))
    rows = [numbers[at : at + 50] for at in range(0, len(numbers), 50)]
    return "\n".join(f"{fresh(rng)} = [{', '.join(map(shown, row))}]" for row in rows)


def _floats(rng: random.Random, data: bytes) -> str:
    numbers = [int.from_bytes(data[at : at + 5], "big") / 2**40 for at in range(0, len(data), 5)]
    rows = [numbers[at : at + 40] for at in range(0, len(numbers), 40)]
    return "\n".join(f"{fresh(rng)} = ({', '.join(map(repr, row))})" for row in rows)


def _texts(rng: random.Random, data: bytes) -> str:
    encode = rng.choice(
        (base64.b64encode, base64.b85encode, base64.b32encode, lambda raw: raw.hex().encode())
    )
    text, size = encode(data).decode(), rng.randrange(20, 110)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return "\n".join(f"{fresh(rng)} = {piece!r}" for piece in pieces)


def _comments(rng: random.Random, data: bytes) -> str:
    text = base64.b64encode(data).decode()
    size = rng.randrange(30, 100)
    return "\n".join(f"# {text[at : at + size]}" for at in range(0, len(text), size)) + "\npass"


def _names(rng: random.Random, data: bytes) -> str:
    return "\n".join(f"w{data[at : at + 28].hex()} = 0" for at in range(0, len(data), 28))


def _keywords(rng: random.Random, data: bytes) -> str:
    words = [f"k{data[at : at + 20].hex()}=0" for at in range(0, len(data), 20)]
    return "\n".join(f"dict({', '.join(words[at : at + 2])})" for at in range(0, len(words), 2))


def _signs(rng: random.Random, data: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    rows = [bits[at : at + 60] for at in range(0, len(bits), 60)]
    return "\n".join(
        f"{fresh(rng)} = 1" + "".join(" + 1" if bit == "1" else " - 1" for bit in row) for row in rows
    )


def _spaces(rng: random.Random, data: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    rows = [bits[at : at + 60] for at in range(0, len(bits), 60)]
    lines = [", ".join("0" + " " * (bit == "1") for bit in row) for row in rows]
    return "\n".join(f"{fresh(rng)} = [{line}]" for line in lines)


def _bytes(rng: random.Random, data: bytes) -> str:
    size = rng.randrange(16, 60)
    return "\n".join(f"{fresh(rng)} = {data[at : at + size]!r}" for at in range(0, len(data), size))


def _words(rng: random.Random, data: bytes) -> str:
    table = [first + last for first in FIRST for last in LAST]
    words = [table[byte] for byte in data]
    return "\n".join(f"{fresh(rng)} = {' '.join(words[at : at + 12])!r}" for at in range(0, len(words), 12))


_CARRIERS: tuple[Callable[[random.Random, bytes], str], ...] = (
    _integers,
    _floats,
    _texts,
    _comments,
    _names,
    _keywords,
    _signs,
    _spaces,
    _bytes,
    _words,
)


def place(rng: random.Random, lines: str, places: Sequence[Callable[[str], Change]] = ()) -> Change:
    """``lines`` somewhere in the pocket script, perhaps below a condition, a class or a try."""
    room = rng.choice(places or (at_top, at_bottom, in_main, in_loop, in_build))
    inner = textwrap.indent(lines, "    ")
    wrap = rng.choice(
        (
            "{lines}",
            "{lines}",
            "if True:\n{inner}",
            "try:\n{inner}\nfinally:\n    pass",
            "while True:\n{inner}\n    break",
        )
    )
    if re.search(r"^class .*\n    global ", lines):
        wrap = "{lines}"
    return room(wrap.format(lines=lines, inner=inner))
