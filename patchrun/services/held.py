"""What checks of refs ask of an arena: values read once, objects and diffs from processes that stay."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property, lru_cache

from patchrun.adapters.finalrounds import FINALS
from patchrun.adapters.objects import Questions
from patchrun.adapters.signing import read_signers
from patchrun.adapters.store import ATTEMPTS, RUNS, STUDIES, Arena
from patchrun.core import results
from patchrun.core.errors import ArenaError
from patchrun.core.results import Attempt, FinalRound, Run, Study
from patchrun.core.samepatch import is_same_patch
from patchrun.core.studyfaults import Grounds
from patchrun.core.treeobject import list_changes, read_entries

DEEPEST = 50  # folders in folders
REMEMBERED = 128  # studies, attempts, trees: refs of one arm or one study come together


def require(holds: bool, problem: str) -> None:
    """ArenaError that says what is wrong, unless ``holds``."""
    if not holds:
        raise ArenaError(problem)


class Known:
    """The refs (name -> commit) that are there: an arena's own, and those that would come with what is checked."""

    def __init__(self, refs: Mapping[str, str]) -> None:
        self.refs = refs

    @cached_property
    def runs(self) -> Mapping[str, list[str]]:
        """Study -> the names of its runs."""
        found: dict[str, list[str]] = {}
        for name in self.refs:
            if name.startswith(RUNS):
                found.setdefault(name.rpartition("/")[2].partition("-")[0], []).append(name)
        return found


class Held:
    """An arena as one thread asks of it while it checks ``refs`` (name -> commit)."""

    def __init__(self, arena: Arena, known: Known, ask: Questions, refs: Mapping[str, str]) -> None:
        self.arena, self.known, self.ask = arena, known.refs, ask
        self._names, self._refs = known, refs
        self.study = lru_cache(REMEMBERED)(self._read_study)
        self.attempt = lru_cache(REMEMBERED)(self._read_attempt)
        self.tree_of = lru_cache(REMEMBERED)(ask.tree_of)

    @cached_property
    def grounds(self) -> Grounds:
        """What studies are held against; their submissions are compared by tree (see ``claimchecks``)."""
        return Grounds(self.arena.track, self.arena.code, {}, self.arena.owner_key)

    def _read_study(self, name: str) -> Study:
        return results.decode(self.ask.read(f"{self._find(STUDIES + name)}:study.json"), Study, name)

    def _read_attempt(self, name: str) -> Attempt:
        return results.decode(self.ask.read(f"{self._find(ATTEMPTS + name)}:attempt.json"), Attempt, name)

    def final(self, name: str) -> FinalRound:
        """A final round's promise."""
        return results.decode(self.ask.read(f"{self._find(FINALS + name)}:final.json"), FinalRound, name)

    def _find(self, ref: str) -> str:
        if ref not in self.known:
            raise ArenaError(f"{ref} is absent")
        return self.known[ref]

    def runs_of(self, study: Study) -> list[Run]:
        """The runs of a study."""
        names = self._names.runs.get(study.id, [])
        return [results.decode(self.ask.read(f"{self.known[name]}:run.json"), Run, name) for name in names]

    def gives(self, ground: str, diff: bytes, tree: str) -> bool:
        """``git apply`` makes ``tree`` of ``ground`` by ``diff``.

        A diff that git itself makes of the two trees does so, where they differ in what a diff shows in full: plain
        files, in trees that git wrote. Any other one is applied, which takes three processes.
        """
        if is_same_patch(diff, self.ask.diff(ground, tree)) and self._differ_plainly(ground, tree):
            return True
        return self.arena.repo.apply(ground, diff, keep=False).tree == tree

    def _differ_plainly(self, before: str | None, after: str | None, depth: int = 0) -> bool:
        """No tree that differs is written in a way that a diff does not show (modes, order, empty folders)."""
        old, new = (read_entries(self.ask.read(tree), len(tree)) if tree else {} for tree in (before, after))
        if old is None or new is None or depth > DEEPEST:
            return False
        folders = list_changes(old, new)
        return folders is not None and all(self._differ_plainly(*pair, depth + 1) for pair in folders)

    def signer(self, commit: str) -> str | None:
        """Who signed one of the commits that are checked (see ``read_signers``); None where git cannot say."""
        return self._signers.get(commit)

    @cached_property
    def _signers(self) -> Mapping[str, str]:
        """Asked of git for all at once, and one by one where that fails for one of them."""
        repo, identity = self.arena.repo, self.arena.identity
        try:
            return read_signers(repo, identity, self._refs.items())
        except ArenaError:
            found: dict[str, str] = {}
            for place in self._refs.items():
                with suppress(ArenaError):
                    found |= read_signers(repo, identity, [place])
            return found
