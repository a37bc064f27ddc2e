"""The loss that a model returns: from the logits, through the calls that make a loss of them, to the return.

A script that validates itself prints what its model returns. The statements are found by flow, not by place: the
calls that the guard names, what their arguments come from up to the next call of the model's own parts, what is made
of their results, the returns, and the branches around these. What stands elsewhere in a model may change.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase

from patchrun.core.bindings import Binding
from patchrun.core.guardsource import Definition, Item, Source, Trees, dump, last_name, make_item, names_in
from patchrun.core.track import Guard

HOOKS = frozenset({
    "register_forward_hook", "register_forward_pre_hook", "register_module_forward_hook",
    "register_module_forward_pre_hook", "__torch_function__", "__torch_dispatch__", "TorchFunctionMode",
    "TorchDispatchMode",
})  # fmt: skip
METHODS = frozenset({
    "forward", "__call__", "_call_impl", "_wrapped_call_impl", "eval", "train", "training", "compute_loss", "__class__",
})  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef
ROUNDS = 3


def collect_loss(guard: Guard, files: Sequence[Source], trees: Trees) -> list[Item]:
    """The parts of every function that makes a loss, what stands for the model, and what could alter its answer."""
    items: list[Item] = []
    for file in files:
        found: list[Item] = []
        for name, node in _loss_functions(guard, file):
            found += _region(guard, file, name, node)
        items += sorted(found, key=lambda item: item.line)
    classes = {
        name.split(".")[0] for file in trees.before for name, _ in _loss_functions(guard, file) if "." in name
    }
    return items + [item for file in files for item in _stand_ins(guard, file, classes)]


def _loss_functions(guard: Guard, file: Source) -> Iterator[tuple[str, Function]]:
    """The functions that call what makes a loss, by qualified name."""
    around = {one for call in file.find(ast.Call) if _is_seed(guard, call) for one in file.around(call)}
    for name, node in file.definitions.items():
        if isinstance(node, Function) and node in around:
            yield name, node


def _is_seed(guard: Guard, node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    func, names = node.func, []
    while isinstance(func, ast.Attribute):
        names.append(func.attr)
        func = func.value
    names += [func.id] if isinstance(func, ast.Name) else []
    return any(fnmatchcase(name, pattern) for name in names for pattern in guard.match)


def _region(guard: Guard, file: Source, name: str, function: Function) -> Iterator[Item]:
    """One item for each statement of the loss, its branches around it spelled out, and one for the signature."""
    yield make_item(file, function, f"{name} {dump(*function.decorator_list)}")
    statements = [one for one in _simple_statements(function) if _is_part(one)]
    for node in _target_reads(guard, function, statements):
        yield make_item(file, node, f"{name} reads {node.id}", "grow")
    sources = _sources(guard, statements)
    losses = _losses(guard, statements)
    called: set[str] = set()
    for node in statements:
        if node in sources or node in losses:
            yield make_item(file, node, f"{name}: {_tests(file, node, function)} {dump(node)}")
        if node in losses:
            called |= {last_name(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}
    for helper in sorted(called & set(file.definitions)):
        if file.definitions[helper] is not function:
            yield make_item(file, file.definitions[helper], f"helper {dump(file.definitions[helper])}")


def _simple_statements(function: Function) -> Iterator[ast.stmt]:
    """The statements of a function that hold no other, in the order of the source."""
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, Definition):
            continue
        inner = [one for one in ast.iter_child_nodes(node)
                 if isinstance(one, ast.stmt | ast.excepthandler | ast.match_case)]  # fmt: skip
        if isinstance(node, ast.stmt) and not inner:
            yield node
        waiting += reversed(inner)


def _is_part(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr | ast.Return | ast.Delete)


def _target_reads(guard: Guard, function: Function, statements: Sequence[ast.stmt]) -> Iterator[ast.Name]:
    """Where parameters that a loss is computed from (the targets) are read outside its computation."""
    seeds = _seeds(guard, statements)
    parameters = {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
    wanted = parameters & {name for seed in seeds for name in _arguments(guard, seed)}
    inside = {one for seed in seeds for one in ast.walk(seed)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id in wanted and node not in inside:
            yield node


def _losses(guard: Guard, statements: Sequence[ast.stmt]) -> set[ast.stmt]:
    """The statements that make the loss, those that read or change it, and the returns."""
    chosen = {*_seeds(guard, statements), *(node for node in statements if isinstance(node, ast.Return))}
    names = {name for node in chosen for name in _bound(node)}
    parts = [(node, names_in(node) | _bound(node), _bound(node)) for node in statements]
    for _ in range(ROUNDS):
        for node, touched, bound in parts:
            if touched & names:
                chosen.add(node)
                names |= bound
    return chosen


def _seeds(guard: Guard, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
    return [node for node in statements if any(_is_seed(guard, one) for one in ast.walk(node))]


def _sources(guard: Guard, statements: Sequence[ast.stmt]) -> set[ast.stmt]:
    """What the arguments of the loss calls come from, up to the model's own parts."""
    chosen: set[ast.stmt] = set()
    seeds, wanted = set(_seeds(guard, statements)), set[str]()
    for node in reversed(statements):
        if names := _bound(node) & wanted:
            if not _only_unpacks(node):
                chosen.add(node)
            wanted = wanted - names if _calls_parts(node) else wanted | names_in(node)
        if node in seeds:
            wanted |= _arguments(guard, node)
    return chosen


def _only_unpacks(node: ast.stmt) -> bool:
    """Whether a statement only names settings that another object holds."""
    value = getattr(node, "value", None)
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    return all(isinstance(one, ast.Attribute) and "self" not in names_in(one) for one in parts)


def _arguments(guard: Guard, statement: ast.stmt) -> set[str]:
    calls = [one for one in ast.walk(statement) if _is_seed(guard, one)]
    return {
        name
        for call in calls
        if isinstance(call, ast.Call)
        for argument in (*call.args, *(word.value for word in call.keywords))
        for name in names_in(argument)
    } - {"self"}


def _calls_parts(node: ast.stmt) -> bool:
    """Whether a statement calls a part of the model or a function of the script: what it gives is the model's own."""
    return any(
        isinstance(one, ast.Call)
        and (
            isinstance(one.func, ast.Name) or "self" in names_in(one.func) or last_name(one.func) == "linear"
        )
        for one in ast.walk(node)
    )


def _bound(node: ast.stmt) -> set[str]:
    """The names that a statement binds or changes in place."""
    names = {
        one.id for one in ast.walk(node) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)
    }
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    return names | {name for one in targets if one is not None for name in names_in(one)} - {"self"}


def _tests(file: Source, node: ast.AST, function: ast.AST) -> str:
    """The tests of the branches and the heads of the loops around a statement, and which side it is on."""
    words, child = [], node
    for parent in file.around(node):
        if parent is function:
            break
        head = (
            getattr(parent, "test", None) or getattr(parent, "iter", None) or getattr(parent, "subject", None)
        )
        if isinstance(parent, ast.If):
            words.append(f"{'else' if child in parent.orelse else 'if'} {dump(parent.test)}")
        elif isinstance(head, ast.AST):
            words.append(dump(head))
        child = parent
    return " / ".join(reversed(words))


def _stand_ins(guard: Guard, file: Source, classes: Collection[str]) -> Iterator[Item]:
    """What could take the model's place or change what it answers: wrappers, subclasses, hooks, replaced methods."""
    models = {last_name(target) for target in _made_from(file, classes)}
    for binding in file.bindings:
        if binding.name in models or binding.name in classes:
            yield make_item(file, binding.node, f"{binding.name} {_maker(binding.node)}", "new")
        elif _answers(guard, binding, classes):
            yield make_item(file, binding.node, f"{binding.form} {binding.qualified}", "new")
    for node in file.find(ast.Name, ast.Attribute, ast.FunctionDef):
        name = node.name if isinstance(node, ast.FunctionDef) else last_name(node)
        if name in HOOKS:
            yield make_item(file, node, name, "grow")
    for node in file.find(ast.ClassDef):
        if any(last_name(base) in classes for base in node.bases):
            yield make_item(file, node, f"subclass {node.name}", "new")


def _answers(guard: Guard, binding: Binding, classes: Collection[str]) -> bool:
    """Whether a binding is of a method by which a model answers, or of what makes a loss."""
    owner, _, leaf = binding.name.rpartition(".")
    if leaf in METHODS:
        return bool(owner) or binding.scope in classes
    return any(fnmatchcase(leaf, pattern) for pattern in guard.match)


def _made_from(file: Source, classes: Collection[str]) -> Iterator[ast.AST]:
    """The targets of assignments whose value is made by calling one of the classes."""
    for call in file.find(ast.Call):
        if last_name(call.func) in classes:
            statement = next((one for one in file.around(call) if isinstance(one, ast.stmt)), None)
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                yield from statement.targets if isinstance(statement, ast.Assign) else [statement.target]


def _maker(node: ast.AST) -> str:
    """The function that makes a value, its arguments aside; else the value."""
    value = getattr(node, "value", None)
    names = []
    while isinstance(value, ast.Call):
        names.append(last_name(value.func))
        value = value.func.value if isinstance(value.func, ast.Attribute) else None
    return ".".join(names) or (dump(value) if isinstance(value, ast.AST) else type(node).__name__)
