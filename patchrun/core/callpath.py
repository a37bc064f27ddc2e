"""What stands between a call of a module and its forward, and who newly touches it.

The launcher counts the calls of modules there, and copies a model's tensors from where modules keep them.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

CALL_NAMES = frozenset({
    "_call_impl", "_wrapped_call_impl", "_compiled_call_impl", "_slow_forward", "_has_any_global_hook",
    "_global_forward_pre_hooks", "_global_forward_hooks", "_global_forward_hooks_always_called",
    "_global_backward_pre_hooks", "_global_backward_hooks", "_global_is_full_backward_hook", "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs", "_parameters", "_buffers", "_modules", "_non_persistent_buffers_set",
    "register_module_forward_pre_hook", "register_module_forward_hook",
})  # fmt: skip
IDENTITY = frozenset({"__call__", "__class__"})  # read by honest code, seldom written


class Place(NamedTuple):
    """Where the way from a call to a forward is touched; ``key`` tells whether the baseline does the same."""

    key: str
    line: int
    message: str


def find_modules(statements: Sequence[ast.stmt]) -> frozenset[str]:
    """The names of classes that are modules of torch: by a base named so or in ``nn``, or by a base among them."""
    classes = [node for one in statements for node in ast.walk(one) if isinstance(node, ast.ClassDef)]
    bases = {node.name: {_dotted(base) for base in node.bases} for node in classes}
    found: set[str] = {name for name, above in bases.items() if any(_is_torch_module(base) for base in above)}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return frozenset(found)


def _is_torch_module(base: str) -> bool:
    return base.rpartition(".")[2].endswith("Module") or base.startswith(("nn.", "torch.nn."))


def _dotted(node: ast.expr) -> str:
    """``a.b.c`` of an expression that is one, else ""; an indexed one counts as what is indexed."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{_dotted(value)}.{attr}"
        case ast.Subscript(value=value):
            return _dotted(value)
    return ""


def find_call_changes(nodes: Iterable[ast.AST], modules: Collection[str]) -> Iterator[Place]:
    """Uses of the names above, a ``__call__`` of a module's own, and writes to ``__call__`` or ``__class__``."""
    for node in nodes:
        match node:
            case ast.Attribute(attr=attr) if attr in CALL_NAMES:
                yield Place(attr, node.lineno, f".{attr} is newly used")
            case ast.Attribute(attr=attr, ctx=ast.Store() | ast.Del()) if attr in IDENTITY:
                yield Place(attr, node.lineno, f".{attr} is newly written")
            case ast.Constant(value=str(text)) if text in CALL_NAMES or text == "__call__":
                yield Place(text, node.lineno, f"{text!r} is newly named")
            case ast.ClassDef(name=name, body=body) if name in modules:
                if own := next((one for one in map(_bound_call, body) if one), ""):
                    yield Place(f"{name}.{own}", node.lineno, f"the module {name} binds {own}")


def _bound_call(statement: ast.stmt) -> str:
    """The name on the way to forward that a statement of a class body binds, "" for none."""
    names = CALL_NAMES | {"__call__"}
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name if name in names else ""
    stored = (
        node for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    return next((node.id for node in stored if node.id in names), "")
