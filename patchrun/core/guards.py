"""Guards: code that must stay as it is, found by what it is and not by where it stands, compared as AST.

Scripts of a real ladder are module-level code: a timer is a handful of assignments, not a definition. A guard
collects what it protects from all Python files of a tree, before and after a patch. Its kinds:

- ``assign``: whatever binds the names, in any way (see ``bindings``); ``call``: calls of the names; both where their
  text holds ``containing``; ``branch``: ``if`` statements whose test uses the names; ``function``: definitions so
  named: all of these must stay the same, in order;
- ``string``: the texts that match the patterns must stay the same, and stay with the names that they are bound to;
  ``new-string``: there must be no new ones; ``read``: the names that hold such texts, and what is made from them, must
  not be read in new places;
- ``setting``: no new write or call below the dotted names; ``keyword``: no new keyword argument, ``allowed`` ones
  apart, in calls of the names;
- ``loss``: what leads from the calls named to a returned loss (see ``lossguard``); ``untimed``: the training steps
  before the clock, named by its start, and what undoes them (see ``untimedguard``).
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from patchrun.core.codes import make_finding
from patchrun.core.findings import Finding
from patchrun.core.guardkinds import KINDS, find_replaced_parts
from patchrun.core.guardsource import Item, Source, Trees, parse_source
from patchrun.core.track import Guard

GROWING = {"new-string", "setting", "keyword"}
SETTING_OUT = ("assign", "call", "branch")  # what stands in a function that matters


@dataclass(frozen=True)
class Broken:
    """A guard that a patch breaks; ``path`` and ``line`` point into the patched file, None where code is gone."""

    guard: Guard
    path: str | None
    line: int | None
    text: str


def check_guards(
    guards: Iterable[Guard], before: Mapping[str, str | ast.Module], after: Mapping[str, str | ast.Module]
) -> list[Finding]:
    """The findings on what ``find_broken`` names: PR404 for review, else PR405 (new), PR402 (gone) or PR401."""
    return [_to_finding(broken) for broken in find_broken(guards, before, after)]


def _to_finding(broken: Broken) -> Finding:
    guard = broken.guard
    if guard.severity == "review":
        code = "PR404"
    elif guard.kind in GROWING:
        code = "PR405"
    else:
        code = "PR402" if broken.path is None else "PR401"
    verb = {"PR405": "newly uses", "PR402": "takes away"}.get(code, "changes")
    return make_finding(code, f"the patch {verb} what the track guards as {guard.name}: {broken.text}",
                        broken.path, broken.line)  # fmt: skip


def find_broken(
    guards: Iterable[Guard], before: Mapping[str, str | ast.Module], after: Mapping[str, str | ast.Module]
) -> list[Broken]:
    """The guards that the change from ``before`` to ``after`` breaks; ``Track.at_record`` sets their severities.

    ``before``, ``after``: source or syntax tree by path, of all Python files. Files that do not parse are another
    check's concern and count as empty; files that did not change are not looked at.
    """
    guards = list(guards)
    old = _read_all({path: source for path, source in before.items() if after.get(path) != source})
    new = _read_all({path: source for path, source in after.items() if before.get(path) != source})
    if not old and not new:
        return []
    trees = Trees(old, new)
    olds, news = (_collect_all(guards, files, trees) for files in trees)
    found = []
    for guard, ours, theirs in zip(guards, olds, news, strict=True):
        change = _first_change(ours, theirs) or find_replaced_parts(guard, ours, theirs, trees)
        if change:
            found.append(Broken(guard, *change))
    return found


def _read_all(sources: Mapping[str, str | ast.Module]) -> list[Source]:
    return [file for path in sorted(sources) if (file := parse_source(path, sources[path]))]


def _collect_all(guards: list[Guard], files: Sequence[Source], trees: Trees) -> list[list[Item]]:
    """What each guard protects, in the order of the source, without locals that nothing guarded can see."""
    sides = [KINDS[guard.kind](guard, files, trees) for guard in guards]
    marks = defaultdict(list)
    for guard, items in zip(guards, sides, strict=True):
        if guard.kind in SETTING_OUT:
            for item in items:
                marks[item.path].append((item.line, item.name if item.span else ""))
    for lines in marks.values():
        lines.sort()
    return [[item for item in items if _matters(item, marks[item.path])] for items in sides]


def _matters(item: Item, marks: Sequence[tuple[int, str]]) -> bool:
    """Whether a binding is seen outside its function, or stands in one with other guarded code.

    ``marks``: line of each piece of guarded code in its file, sorted, and the name of those that are locals.
    """
    if item.span is None:
        return True
    first, last = item.span
    inside = takewhile(lambda mark: mark[0] <= last, marks[bisect_left(marks, (first, "")) :])
    return any(name != item.name for _, name in inside)


def _first_change(old: list[Item], new: list[Item]) -> tuple[str | None, int | None, str] | None:
    """Where the first difference that matters stands in the patched code."""
    left = Counter(item.key for item in old)
    for item in new:
        if left[item.key] <= 0 and item.mode != "keep":
            return item.path, item.line, item.text
        left[item.key] -= item.mode in ("exact", "grow", "keep")
    present = {item.key for item in new}
    for item in old:
        if (
            item.mode in ("exact", "keep")
            and left[item.key] > 0
            or item.mode == "set"
            and item.key not in present
        ):
            return None, None, item.text
    was, now = ([item.key for item in side if item.mode == "exact"] for side in (old, new))
    if was != now:
        place = next(item for item, key in zip(_exact(new), was, strict=True) if item.key != key)
        return place.path, place.line, "the same parts in another order"
    return None


def _exact(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if item.mode == "exact"]
