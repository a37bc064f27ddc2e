"""How similar submissions are to the human patches of their records; computed once, cached where it may be deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from patchrun.adapters.gitrepo import Change
from patchrun.adapters.store import Arena
from patchrun.adapters.valueindex import ValueIndex
from patchrun.core.chunks import batched
from patchrun.core.results import Attempt
from patchrun.core.similarity import WINDOW, Similarity, compare

CHUNK = 100  # patches whose files are held at once


@dataclass(frozen=True)
class _Trees:
    """What is compared: two trees that come from one."""

    baseline: str
    one: str
    human: str

    @property
    def name(self) -> str:
        return f"{WINDOW}-{self.baseline}-{self.one}-{self.human}"


def compare_with_human(arena: Arena, attempt: Attempt) -> Similarity | None:
    """The similarity of an accepted attempt to the human patch; None where it is rejected or there is none."""
    return compare_all(arena, [attempt]).get(attempt.id)


def compare_all(arena: Arena, attempts: Iterable[Attempt]) -> dict[str, Similarity]:
    """Attempt -> similarity, of those that have one (see ``compare_with_human``), by a few git processes for all."""
    pairs = ((one, arena.human(one.span.last)) for one in attempts if one.accepted)
    humans = {one: human for one, human in pairs if human is not None}
    commits = {*humans.values(), *(one.baseline_commit for one in humans)}
    trees = arena.repo.trees_of(sorted(commits))
    wanted = {
        one.id: _Trees(trees[one.baseline_commit], one.patched_tree, trees[human])
        for one, human in humans.items()
    }
    index = ValueIndex(arena.folder / "similarities.sqlite")
    known = index.get(Similarity, {each.name for each in wanted.values()})
    fresh = _compare(arena, {each for each in wanted.values() if each.name not in known})
    if fresh:
        index.put(Similarity, fresh)
    found = {**known, **fresh}
    return {name: found[each.name] for name, each in wanted.items()}


def _compare(arena: Arena, wanted: Iterable[_Trees]) -> dict[str, Similarity]:
    found: dict[str, Similarity] = {}
    for chunk in batched(sorted(wanted, key=lambda each: each.name), CHUNK):
        pairs = sorted({(each.baseline, tree) for each in chunk for tree in (each.one, each.human)})
        changes = dict(zip(pairs, arena.repo.changes_of(pairs), strict=True))
        sides = {each.name: _list_sides(each, changes) for each in chunk}
        oids = sorted({oid for three in sides.values() for side in three for oid in side.values()})
        blobs = dict(zip(oids, arena.repo.read_many(oids), strict=True))
        for name, three in sides.items():
            found[name] = compare(
                *({path: blobs[oid] or b"" for path, oid in side.items()} for side in three)
            )
    return found


def _list_sides(
    trees: _Trees, changes: Mapping[tuple[str, str], Sequence[Change]]
) -> tuple[dict[str, str], ...]:
    """The files that either side changes, in the baseline, in the one and in the human's code: path -> blob id."""
    one, human = (changes[trees.baseline, tree] for tree in (trees.one, trees.human))
    before = {change.path: change.old_oid for change in (*one, *human)}
    sides = (before, *(before | {change.path: change.new_oid for change in side} for side in (one, human)))
    return tuple({path: oid for path, oid in side.items() if oid.strip("0")} for side in sides)
