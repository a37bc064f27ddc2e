"""Studies in an arena: the plans that may count, and those that others put in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from patchrun.adapters.attempts import SUBMISSIONS
from patchrun.adapters.gitrepo import PATCHRUN, GitRepo, RefExists
from patchrun.adapters.keys import find_key
from patchrun.adapters.signed import add_beside
from patchrun.core import results, versions
from patchrun.core.errors import SetupError
from patchrun.core.results import Study
from patchrun.core.studyfaults import Grounds, find_fault
from patchrun.core.versions import Version

if TYPE_CHECKING:
    from patchrun.core.track import Track

STUDIES = "refs/patchrun/studies/"


class StudyFiles:
    """The part of an arena that reads and writes studies."""

    repo: GitRepo
    identity: str
    track: Track
    code: Mapping[str, str]
    _read_all: Callable[..., list[Version[Study]]]

    def studies(self) -> list[Study]:
        """Every study that may count, oldest first; one with a fault (see ``core.studyfaults``) is left out."""
        found = self._read_all(STUDIES, "study.json", Study)
        fresh = [one for one in found if one.commit not in self._faults]
        grounds = self.grounds if fresh else None
        for one in fresh:
            assert grounds
            misnamed = one.name != STUDIES + one.value.id
            self._faults[one.commit] = "misnamed" if misnamed else find_fault(one.value, grounds)
        sound = [one for one in found if not self._faults[one.commit]]
        return sorted(versions.settle(sound), key=lambda study: (study.created, study.id))

    @cached_property
    def _faults(self) -> dict[str, str]:
        """Commit of a study -> its fault, as far as this process has asked."""
        return {}

    @property
    def grounds(self) -> Grounds:
        """What this arena's studies are held against."""
        refs = self.repo.refs(SUBMISSIONS)
        submissions = {name.removeprefix(SUBMISSIONS): commit for name, commit in refs.items()}
        return Grounds(self.track, self.code, submissions, self.owner_key)

    @cached_property
    def owner_key(self) -> bytes | None:
        """The key that makes the scoring seeds, None where it is not here."""
        with suppress(SetupError):  # another one under its name: `patchrun doctor` reports it
            return find_key(self.identity)
        return None

    def add_study(self, study: Study) -> None:
        """Store a study's plan; a study that is known already stays as it was.

        Where another plan has taken its name, which counts for nothing, it is stored beside that one.
        """
        tree = self.repo.store_files({"study.json": results.encode(study)})
        words = f"study {study.id}: record {study.record}\n"
        commit = self.repo.commit(tree, [], words, PATCHRUN, study.created)
        try:
            self.repo.create_refs({STUDIES + study.id: commit})
        except RefExists:
            if all(known.id != study.id for known in self.studies()):
                add_beside(self.repo, {STUDIES + study.id: commit})
