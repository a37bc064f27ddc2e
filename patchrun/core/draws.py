"""Random numbers of a patch's own: what could pick a lucky start (PR517).

The seeds of a run are its slot's, and who draws as the baseline does cannot choose among starts. A generator or a
seed of one's own can (the best of 53 starts saved 4 of 67 steps), and so can draws that are thrown away: they move
all that follow.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from patchrun.core.names import Aliases, is_within, resolve

SEEDERS = frozenset({
    "Generator", "RandomState", "default_generator", "default_rng", "fork_rng", "manual_seed", "manual_seed_all",
    "set_rng_state", "set_rng_state_all",
})  # fmt: skip
DRAWS = frozenset({
    "bernoulli", "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like", "randn",
    "randn_like", "random", "randperm",
})  # fmt: skip
FILLS = frozenset({
    "bernoulli_", "cauchy_", "exponential_", "geometric_", "kaiming_normal_", "kaiming_uniform_", "log_normal_",
    "normal_", "orthogonal_", "random_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_",
})  # fmt: skip
MAKERS = frozenset({
    "FloatTensor", "Tensor", "empty", "empty_like", "full", "new_empty", "new_zeros", "ones", "ones_like", "tensor",
    "zeros", "zeros_like",
})  # fmt: skip
TAKERS = frozenset(
    {
        "all",
        "any",
        "deque",
        "len",
        "list",
        "map",
        "max",
        "min",
        "print",
        "repr",
        "set",
        "str",
        "sorted",
        "sum",
        "tuple",
    }
)
LEAST_MODULUS = 1 << 16
LEAST_SCALE = 1000
MIXERS = (ast.Mult, ast.LShift, ast.BitXor)
WAVES = frozenset({"sin", "cos", "tan"})


class Draw(NamedTuple):
    """A place (line) where a patch draws in a way of its own; ``key`` tells whether the baseline has the same."""

    key: str
    line: int
    message: str


def find_draws(
    statements: Sequence[ast.stmt], everything: Iterable[ast.stmt], aliases: Aliases
) -> Iterator[Draw]:
    """Draws from a generator of one's own, that nobody uses, or of which one is taken; generators written by hand.

    Seeds and generators of libraries are told by their names (``SEEDERS``, see ``core.operators``). ``everything``
    are all top-level statements of the file: they say which names are modules with weights.
    """
    modules = _module_classes(everything, aliases)
    for statement in statements:
        unused = _unused_names(statement)
        for node in ast.walk(statement):
            if message := _describe(node, unused, modules, aliases):
                yield Draw(f"{message} {_tell(node)}", node.lineno, message)


def _describe(node: ast.AST, unused: set[str], modules: set[str], aliases: Aliases) -> str | None:
    match node:
        case ast.Call(keywords=words) if any(word.arg == "generator" for word in words):
            return "a draw from a generator of its own"
        case ast.Expr(value=value) | ast.Assert(test=value) if _is_wasted(value, unused, modules, aliases):
            return "random numbers are drawn and thrown away: they move all that are drawn later"
        case (
            ast.Assign(targets=[target], value=value)
            | ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.NamedExpr(target=target, value=value)
            | ast.For(target=target, iter=value)
        ) if _is_unused(target, unused) and _holds_draw(value, modules, aliases):
            return f"{ast.unparse(target)} holds random numbers that nobody uses: they move all that are drawn later"
        case ast.Subscript(value=ast.ListComp(elt=elt), slice=ast.Constant() | ast.UnaryOp()):
            return "one of several random draws is taken" if _holds_draw(elt, modules, aliases) else None
        case ast.BinOp() if _is_generator(node):
            return "a generator of random numbers written by hand"
    return None


def _tell(node: ast.AST) -> str:
    """What tells a place from others: of a call with a generator that generator, else its source, cut."""
    generators = [word.value for word in getattr(node, "keywords", ()) if word.arg == "generator"]
    return ast.dump(generators[0] if generators else node)[:200]


def _is_unused(target: ast.expr, unused: set[str]) -> bool:
    """Whether all that an assignment binds are names that nobody reads."""
    parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    return all(isinstance(part, ast.Name) and (part.id in unused or part.id == "_") for part in parts)


def _holds_draw(value: ast.expr, modules: set[str], aliases: Aliases) -> bool:
    return any(_draws(one, modules, aliases) for one in ast.walk(value))


def _draws(node: ast.AST, modules: set[str], aliases: Aliases) -> bool:
    """Whether an expression draws by itself: a draw, a filling with draws, or a module with weights."""
    if not isinstance(node, ast.Call):
        return False
    name = resolve(node.func, aliases) or ""
    leaves = {_leaf(node.func), name.rpartition(".")[2]}
    is_layer = (
        is_within(name, "torch.nn")
        and name.rpartition(".")[2][:1].isupper()
        and not name.endswith(".Parameter")
    )
    return is_layer or bool(leaves & (DRAWS | FILLS | modules))


def _is_wasted(value: ast.expr, unused: set[str], modules: set[str], aliases: Aliases) -> bool:
    """Whether an expression that stands alone draws and changes nothing that is kept."""
    if isinstance(value, ast.Call):
        return _is_wasted_call(value, unused, modules, aliases)
    if isinstance(value, ast.Await | ast.Yield | ast.YieldFrom | ast.Constant | ast.Name):
        return False
    if isinstance(value, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return _is_wasted(getattr(value, "elt", None) or value.value, unused, modules, aliases)
    inner = (part for part in ast.iter_child_nodes(value) if isinstance(part, ast.expr))
    return any(_is_wasted(part, unused, modules, aliases) for part in inner)


def _is_wasted_call(call: ast.Call, unused: set[str], modules: set[str], aliases: Aliases) -> bool:
    func = call.func
    if _leaf(func) in FILLS:
        filled = _filled(call)
        return any(_is_tensor_made(one) or (isinstance(one, ast.Name) and one.id in unused) for one in filled)
    if isinstance(func, ast.Name) and func.id in TAKERS:
        parts = [one for arg in call.args for one in ast.walk(arg)]
        return any(_draws(one, modules, aliases) or _leaf(one) in DRAWS for one in parts)
    if _draws(call, modules, aliases):
        return True
    inner = (
        func.value if isinstance(func, ast.Attribute) else func.body if isinstance(func, ast.Lambda) else None
    )
    return inner is not None and _is_wasted(inner, unused, modules, aliases)


def _is_tensor_made(node: ast.AST) -> bool:
    """Whether an expression makes a tensor here and now, so that nobody else has it."""
    return isinstance(node, ast.Call) and not _leaf(node.func).startswith(("get", "param", "__"))


def _is_generator(node: ast.BinOp) -> bool:
    """``(a * x + c) % m``, ``x ^ x << 13 & mask``, ``(sin(x) * 43758.5) % 1``: the arithmetic of random generators."""
    modulus = _whole(node.right) if isinstance(node.op, ast.Mod | ast.BitAnd) else 0
    if modulus != 1 and modulus < LEAST_MODULUS:
        return False
    inner = list(ast.walk(node.left))
    if not any(isinstance(one, ast.BinOp) and isinstance(one.op, MIXERS) for one in inner):
        return False
    waves = any(isinstance(one, ast.Call) and _leaf(one.func) in WAVES for one in inner)
    scaled = any(isinstance(one, ast.Constant) and _is_large(one.value) for one in inner)
    return modulus >= LEAST_MODULUS or (modulus == 1 and waves and scaled)


def _is_large(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) >= LEAST_SCALE


def _whole(node: ast.expr) -> int:
    """The number that constants, powers, shifts, sums and differences of them make; 0 where it cannot be told."""
    match node:
        case ast.Constant(value=int() | float() as value) if abs(value) < 1 << 128:
            return int(value)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _whole(left), _whole(right)
            if isinstance(op, ast.Pow | ast.LShift):
                return (
                    0
                    if not 0 <= b <= 128 or abs(a) > 1 << 16
                    else a**b
                    if isinstance(op, ast.Pow)
                    else a << b
                )
            signs = {ast.Add: 1, ast.Sub: -1}
            return a + signs[type(op)] * b if type(op) in signs else 0
    return 0


def _unused_names(statement: ast.stmt) -> set[str]:
    """The names that a function assigns and nothing in it reads, but to fill them with draws; none at module level."""
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return set()
    nodes = list(ast.walk(statement))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    shared = {name for one in nodes if isinstance(one, ast.Global | ast.Nonlocal) for name in one.names}
    stored = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    made = {name for node in nodes for name in _made_names(node)}
    filled = {id(one) for node in nodes if isinstance(node, ast.Expr) for one in _filled(node.value)}
    read = (
        one for one in names if isinstance(one.ctx, ast.Load) and not (one.id in made and id(one) in filled)
    )
    return stored - shared - {one.id for one in read}


def _made_names(node: ast.AST) -> Iterator[str]:
    """The name to which an assignment gives a tensor that it makes."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) if _leaf(func) in MAKERS:
            yield name


def _filled(value: ast.expr) -> list[ast.AST]:
    """What a filling that stands alone is called on and given first."""
    if not isinstance(value, ast.Call) or _leaf(value.func) not in FILLS:
        return []
    return [*value.args[:1], *([value.func.value] if isinstance(value.func, ast.Attribute) else [])]


def _module_classes(statements: Iterable[ast.stmt], aliases: Aliases) -> set[str]:
    """The classes of the file that derive from torch's modules, and the function that builds the model."""
    found = {"build_model"}
    for statement in statements:
        if isinstance(statement, ast.ClassDef):
            bases = {resolve(base, aliases) or "" for base in statement.bases}
            if bases & found or any(is_within(base, "torch.nn") for base in bases):
                found.add(statement.name)
    return found


def _leaf(func: ast.AST) -> str:
    return getattr(func, "attr", None) or getattr(func, "id", None) or ""
