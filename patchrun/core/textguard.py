"""Texts that name the data: which name each is bound to, and where the names that hold them are read.

A text counts as its expression makes it: joined, formatted, replaced (see ``foldtext``).
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice

from patchrun.core.foldtext import HOLE, fold_text
from patchrun.core.guardsource import LOOPS, Item, Source, Trees, dump, last_name, make_item
from patchrun.core.track import Guard

CONVERTERS = frozenset({
    "str", "join", "Path", "PurePath", "fspath", "expanduser", "expandvars", "getenv", "get", "abspath",
})  # fmt: skip
DERIVED = 3  # files, loader, batch


def collect_texts(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    """Each text that matches with the name that it goes to, and what else is bound to these names."""
    renamed = _holders(guard, trees.before) ^ _holders(guard, trees.after)
    known = [frozenset().union(*(file.words for file in side)) for side in trees]
    renamed -= known[0] & known[1]
    holders = _holders(guard, trees.before) - renamed
    items = []
    for file in files:
        for name, text, node in _texts(guard, file):
            goal = "renamed" if name in renamed else name
            items.append(make_item(file, node, f"{goal} = {text}", "set"))
        items += _other_values(file, holders, guard)
    return sorted(items, key=lambda item: (item.path, item.line))


def collect_new_texts(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    return [
        make_item(file, node, text, "new")
        for file in files
        for text, node in (*((text, node) for _, text, node in _texts(guard, file)), *_keywords(guard, file))
    ]


def _keywords(guard: Guard, file: Source) -> Iterator[tuple[str, ast.AST]]:
    """Keywords of that name: ``os.environ.update(X="1")``."""
    for node in file.find(ast.keyword):
        if node.arg and any(fnmatchcase(node.arg, pattern) for pattern in guard.match):
            yield node.arg, node


def collect_reads(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    """Where the names that hold the texts are read, and what is made from them: what for, in which loop."""
    names = {0: _holders(guard, trees.before) | _holders(guard, trees.after)}
    for depth in range(1, DERIVED):
        reads = [read for file in trees.before for read in _reads(file, names[depth - 1])]
        names[depth] = {goal for _, goal, _ in reads if goal.isidentifier()} - names[depth - 1]
    return [
        make_item(file, node, f"{depth} for {goal} in {_loop_of(file, node)}", "grow")
        for file in files
        for depth, wanted in names.items()
        for _, goal, node in _reads(file, wanted)
    ]


def _holders(guard: Guard, files: Sequence[Source]) -> set[str]:
    """The names that hold one of the texts."""
    return {name for file in files for name, _, _ in _texts(guard, file) if name.isidentifier()}


def _texts(guard: Guard, file: Source) -> Iterator[tuple[str, str, ast.AST]]:
    """(name that it goes to, text, node) of each text that matches."""
    for node, text in file.texts:
        if not isinstance(node, ast.Constant) and HOLE in text.lstrip(HOLE):
            continue
        text = text.lstrip(f"{HOLE}/") if text.startswith(HOLE) else text
        if any(fnmatchcase(text, pattern) for pattern in guard.match):
            yield _goal_of(file, node), text, node


def _goal_of(file: Source, node: ast.AST, through_calls: bool = False) -> str:
    """The name, field, parameter or key that a value goes to; empty where it goes to none."""
    path: list[int] = []
    child = node
    for parent in file.around(node):
        match parent:
            case ast.keyword(arg=str(name)) if not through_calls:
                return name
            case ast.Dict(keys=keys, values=values) if child in values and not through_calls:
                key = keys[values.index(child)]
                return (fold_text(key) or dump(key)) if key else ""
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                path.append(elements.index(child))
            case ast.Call(func=func, args=args) if child in args and not through_calls:
                if last_name(func) not in CONVERTERS:
                    return _parameter(file, func, args.index(child))
            case ast.arguments():
                return _default_of(parent, child)
            case ast.NamedExpr(target=target) | ast.AnnAssign(target=target) | ast.AugAssign(target=target):
                return last_name(target)
            case ast.Assign(targets=targets):
                return _target_at(targets[-1], path)
            case ast.For(target=target) | ast.AsyncFor(target=target) | ast.comprehension(target=target):
                return last_name(target) or dump(target)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                return name
            case ast.Expr() if through_calls:
                return f"{dump(parent.value.func)[:80]}()" if isinstance(parent.value, ast.Call) else ""
        child = parent
    return ""


def _target_at(target: ast.AST, path: list[int]) -> str:
    """The part of a tuple of targets that stands where the value stands in the tuple of values."""
    for at in reversed(path):
        if isinstance(target, ast.Tuple | ast.List) and at < len(target.elts):
            target = target.elts[at]
    return last_name(target) or dump(target)


def _default_of(arguments: ast.arguments, value: ast.AST) -> str:
    plain = [*arguments.posonlyargs, *arguments.args]
    pairs = [
        *zip(plain[::-1], arguments.defaults[::-1], strict=False),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return next((argument.arg for argument, default in pairs if default is value), "")


def _parameter(file: Source, func: ast.AST, at: int) -> str:
    """The name of the parameter or field that the ``at``-th argument goes to, else which argument of what it is."""
    name = last_name(func)
    match file.definitions.get(name):
        case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
            names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
        case ast.ClassDef(body=body):
            names = [one.target.id for one in body
                     if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]  # fmt: skip
        case _:
            names = []
    return next(islice(names, at, None), f"{name}({at})")


def _other_values(file: Source, holders: Collection[str], guard: Guard) -> Iterator[Item]:
    """Bindings of the names to anything but one of the texts itself."""
    for binding in file.bindings:
        name = binding.name.rpartition(".")[2]
        if name not in holders or binding.form == "parameter" or binding.is_local and "." not in binding.name:
            continue
        value = getattr(binding.node, "value", None)
        text = (fold_text(value) or "").lstrip(f"{HOLE}/") if isinstance(value, ast.AST) else ""
        if any(fnmatchcase(text, pattern) for pattern in guard.match) or _is_same_below(value, name):
            continue
        yield make_item(file, binding.node, f"{binding.form} {name} {dump(*binding.parts)}")


def _is_same_below(value: object, name: str) -> bool:
    """Whether a value is the same name's below a folder: ``os.path.join(root, args.files)``."""
    match value:
        case ast.Call(func=func, args=[*_, last], keywords=[]):
            return last_name(func) in CONVERTERS and last_name(last) == name
        case ast.BinOp(op=ast.Div(), right=right):
            return last_name(right) == name
    return False


def _reads(file: Source, names: Collection[str]) -> Iterator[tuple[str, str, ast.AST]]:
    """(name, what it is read for, node) of each read of one of the names."""
    for node in file.find(ast.Name, ast.Attribute):
        name = last_name(node)
        if name in names and isinstance(node.ctx, ast.Load):
            yield name, _goal_of(file, node, through_calls=True), node
    for node, text in file.texts:  # getattr(args, "files")
        if text in names and isinstance(file.parents.get(node), ast.Call):
            yield text, _goal_of(file, node, through_calls=True), node


def _loop_of(file: Source, node: ast.AST) -> str:
    loop = next((one for one in file.around(node) if isinstance(one, LOOPS)), None)
    if loop is None:
        return ""
    return dump(loop.test if isinstance(loop, ast.While) else loop.iter)
