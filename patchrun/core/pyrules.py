"""The track's rules on Python code: protected and watched definitions, forbidden names (findings PR4xx)."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from patchrun.core.bindings import Binding, find_bindings
from patchrun.core.codes import make_finding
from patchrun.core.errors import ManifestError
from patchrun.core.filepair import FilePair
from patchrun.core.findings import Finding, Severity
from patchrun.core.names import BUILTINS, find_uses, is_within, read_aliases
from patchrun.core.operators import DECOMPOSITIONS, find_operators, operators_of, plain_name
from patchrun.core.pyfile import canonical_text, take_new
from patchrun.core.stepping import StepCode

if TYPE_CHECKING:
    from patchrun.core.track import Edit


def check_track_rules(pair: FilePair, edit: Edit) -> list[Finding]:
    """PR401 to PR405 for one file that the patch changes, adds or removes."""
    protected = list(_names_in(edit.protected, pair.path))
    findings = list(_check_parts(pair, protected))
    for name in protected:
        findings += [*_check_definition(pair, name), *_check_rebinding(pair, name)]
    for name in _names_in(edit.review, pair.path):
        changed = [*_check_definition(pair, name), *_check_rebinding(pair, name)]
        findings += [_for_review(finding) for finding in changed[:1]]
    return findings + list(_check_forbidden(pair, edit.forbidden_calls))


def _names_in(specs: Iterable[str], path: str) -> Iterator[str]:
    for spec in specs:
        file, colon, name = spec.partition(":")
        if not (file and colon and name):
            raise ManifestError(
                f"track.toml: edit: {spec!r} is not a definition", "write file:qualified.name"
            )
        if file == path:
            yield name


def _check_definition(pair: FilePair, name: str) -> Iterator[Finding]:
    """PR401, PR402, or PR403 for a second definition of ``name``."""
    before, after = ([one for one in side if one.qualified == name] for side in pair.bindings)
    old, new = _texts(before), _texts(after)
    if old == new or not pair.defined_before(name):
        return
    if not new:
        yield make_finding("PR402", f"{name} is protected and gone", pair.path)
    elif new[: len(old)] == old:
        extra = after[len(old)]
        yield make_finding("PR403", f"{name} is protected and bound once more", pair.path, extra.line)
    elif len(new) > len(old) > 0:
        yield make_finding(
            "PR403", f"{name} is protected, and was changed and bound once more", pair.path, after[-1].line
        )
    else:
        changed = next((one for one, text in zip(after, new, strict=True) if text not in old), after[0])
        line = pair.first_new_line(changed.node)
        yield make_finding("PR401", f"{name} is protected and was changed", pair.path, line)


def _check_rebinding(pair: FilePair, name: str) -> Iterator[Finding]:
    """PR403 for writes to the name as an attribute (error) and for what may hide or replace it (review)."""
    for binding in pair.new_bindings:
        severity = _rebinds(binding, name, pair.path.rpartition("/")[2].removesuffix(".py"))
        if severity and pair.defined_before(name):
            message = f"{name} is protected, and {binding.qualified} is bound here"
            yield make_finding("PR403", message, pair.path, binding.line, severity=severity)


def _rebinds(binding: Binding, name: str, module: str) -> Severity | None:
    """How sure it is that a binding, other than of ``name`` itself, puts something else in its place."""
    if binding.qualified == name:  # one more definition: see above
        return None
    if name.startswith(f"{binding.qualified}."):  # the class that holds it, or what its module is called
        return "error"
    owner, _, leaf = binding.name.rpartition(".")
    if owner and any(
        is_within(binding.name, f"{prefix}{name}") for prefix in ("", "__main__.", f"{module}.")
    ):
        return "error"
    if owner and leaf == name.rpartition(".")[2] and ("." in name or owner not in ("self", "cls")):
        return "review"
    hides = binding.name in (name, name.partition(".")[0], "*") and (binding.scope or binding.name == "*")
    return "review" if hides else None


def _check_parts(pair: FilePair, protected: Collection[str]) -> Iterator[Finding]:
    """PR403 where something else takes the place of an import or builtin that a protected definition reads."""
    if not protected or pair.before is None:
        return
    aliases = pair.before.aliases
    roots = {*aliases, *(dotted.partition(".")[0] for dotted in aliases.values()), *BUILTINS}
    shared = [one for one in pair.new_bindings if not one.scope and one.name.partition(".")[0] in roots]
    readers = _find_readers(pair.before.nodes, aliases, protected) if shared else {}
    for binding in shared:
        owner, _, leaf = binding.name.rpartition(".")
        of_class = owner.rpartition(".")[2][:1].isupper()  # a method of torch.Tensor, of Path
        reader = readers.get(binding.name) or (readers.get(f".{leaf}") if of_class else None)
        known = aliases.get(binding.name)
        if reader and (known is None or read_aliases([binding.node]).get(binding.name) != known):
            message = f"{reader} is protected and reads {binding.name}, which is bound anew"
            yield make_finding("PR403", message, pair.path, binding.line)


def _find_readers(
    statements: Sequence[ast.stmt], aliases: Mapping[str, str], protected: Collection[str]
) -> dict[str, str]:
    """For each import, part of one, builtin and ``.method`` that protected definitions read: one that does."""
    readers: dict[str, str] = {}
    for definition in find_bindings(statements, aliases):
        if definition.qualified in protected:
            nodes = list(ast.walk(definition.node))
            names = {one.id for one in nodes if isinstance(one, ast.Name)}
            methods = {f".{one.attr}" for one in nodes if isinstance(one, ast.Attribute)}
            dotted = {use.name for use in find_uses([definition.node], aliases)}
            for name in dotted | methods | {name for name in names if name in aliases or name in BUILTINS}:
                readers.setdefault(name, definition.qualified)
    return readers


def _for_review(finding: Finding) -> Finding:
    message = finding.message.replace("is protected", "is watched")
    return make_finding("PR404", message, finding.path, finding.line)


def _check_forbidden(pair: FilePair, forbidden: Sequence[str]) -> Iterator[Finding]:
    """PR405 for forbidden names and operators; a decomposition in an optimizer's step is no breach (but PR516)."""
    operators = operators_of(forbidden)
    named = [
        (use, next((name for name in forbidden if is_within(use.name, name)), None)) for use in pair.new_uses
    ]
    found = [(use, rule) for use, rule in named if rule]
    lines = {use.line for use, _ in found}
    reached = take_new(
        *(find_operators(side, operators) for side in pair.nodes), lambda use: use.name, pair.is_kept
    )
    found += [(use, operators[use.name[1:]]) for use in reached if use.line not in lines]
    stepping = StepCode(pair.after.nodes, pair.after.aliases) if found and pair.after else None
    for use, rule in sorted(found, key=lambda one: one[0].line):
        if not (stepping and plain_name(rule) in DECOMPOSITIONS and stepping.holds(use.node)):
            message = f"{use.name} is newly used; the track forbids {rule}"
            yield make_finding("PR405", message, pair.path, use.line)


def _texts(bindings: Iterable[Binding]) -> list[str]:
    return ["\n".join(canonical_text(part) for part in binding.parts) for binding in bindings]
