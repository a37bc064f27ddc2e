"""Attempts in an arena: as they were submitted, and as they count here.

What an attempt says of itself was written where it was made. Where the validator here says otherwise (see
``services.recheck``), its answer is kept below ``CHECKED``, a place that no push and no sync reaches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo, RefExists
from patchrun.adapters.valueindex import ValueIndex
from patchrun.core import results, versions
from patchrun.core.agentnames import first_spellings, respell
from patchrun.core.checked import Checked, apply_check
from patchrun.core.errors import UsageError
from patchrun.core.results import Attempt
from patchrun.core.versions import Version

ATTEMPTS = "refs/patchrun/attempts/"
SUBMISSIONS = "refs/patchrun/submissions/"
CHECKED = "refs/patchrun-checked/"  # <attempt>/<commit>: what the validator here says of an attempt, where that differs
SHORT_ID = re.compile("[0-9a-f]{4,}")


class AttemptFiles:
    """The part of an arena that reads and writes attempts and submissions."""

    repo: GitRepo
    _read_all: Callable[..., list[Version[Attempt]]]
    _index: ValueIndex
    sign_refs: Callable[..., str]
    prefer_signed: Callable[[list[Version[Attempt]]], list[Version[Attempt]]]
    signing_key: Path | None

    def attempts(self) -> list[Attempt]:
        """Every attempt as it counts here, oldest first, numbered anew where arenas met.

        An agent that was spelled in several ways has its first spelling in all of them.
        """
        found = self.prefer_signed(self._read_all(ATTEMPTS, "attempt.json", Attempt))
        answers = self.answers
        counted = [
            Version(one.name, one.commit, apply_check(one.value, answers[one.commit]))
            if one.commit in answers else one
            for one in found
        ]  # fmt: skip
        settled = sorted(versions.settle(counted), key=lambda one: (one.created, one.id))
        return versions.number(respell(settled, first_spellings(one.agent for one in settled)))

    def attempt(self, short: str) -> Attempt:
        """The one attempt whose id begins with ``short``; UsageError when none or several do."""
        matches = self.repo.refs(f"{ATTEMPTS}{short}*") if SHORT_ID.fullmatch(short) else {}
        if len(matches) != 1:
            problem = "is ambiguous" if matches else "names no submission here"
            raise UsageError(f"{short!r} {problem}", "`patchrun status` lists the ids; 4 characters at least")
        [(ref, commit)] = matches.items()
        value = results.decode(self.repo.read(f"{commit}:attempt.json"), Attempt, ref.removeprefix(ATTEMPTS))
        return apply_check(value, self.answers[commit]) if commit in self.answers else value

    def received(self, attempt_id: str) -> Attempt:
        """An attempt in its own words, whatever the validator here says of it."""
        return results.decode(self.repo.read(f"{ATTEMPTS}{attempt_id}:attempt.json"), Attempt, attempt_id)

    def diff(self, attempt_id: str) -> bytes:
        """The diff of an attempt as handed in, byte for byte."""
        return self.repo.read(f"{ATTEMPTS}{attempt_id}:patch.diff")

    def diffs(self, attempt_ids: Iterable[str]) -> list[bytes]:
        """The diffs of several attempts; empty where one is absent."""
        specs = (f"{ATTEMPTS}{name}:patch.diff" for name in attempt_ids)
        return [data or b"" for data in self.repo.read_many(specs)]

    def submission(self, attempt_id: str) -> str:
        """The commit of a submission; ArenaError when the attempt was rejected."""
        return self.repo.resolve(f"{SUBMISSIONS}{attempt_id}")

    def add_attempt(
        self,
        attempt: Attempt,
        diff: bytes,
        submission: str | None,
        also: Mapping[str, str] = MappingProxyType({}),
    ) -> bool:
        """Store an attempt and, if it was accepted, its submission, in one transaction; False if known.

        ``also``: more refs of the same act (name -> commit); they are created where the attempt is known too.
        """
        tree = self.repo.store_files({"attempt.json": results.encode(attempt), "patch.diff": diff})
        ref = ATTEMPTS + attempt.id
        words = f"attempt {attempt.id}: {attempt.agent} on record {attempt.record}\n"
        words = self.sign_refs(words, ref, attempt.track_digest)
        refs = {ref: self.repo.commit(tree, [], words, PATCHRUN, attempt.created, self.signing_key)}
        if submission:
            refs[SUBMISSIONS + attempt.id] = submission
        try:
            self.repo.create_refs({**refs, **also})
        except RefExists:
            if also:
                self.repo.create_refs(also)
            return False
        return True

    @cached_property
    def answers(self) -> dict[str, Checked]:
        """Commit of an attempt -> what the validator here says of it, of those where that differs."""
        refs = self.repo.refs(CHECKED)
        blobs = self.repo.read_many(f"{commit}:checked.json" for commit in refs.values())
        pairs = zip(refs, blobs, strict=True)
        found = [results.decode(data, Checked, name) for name, data in pairs if data is not None]
        return {one.attempt: one for one in found}

    def stage_answer(self, attempt_id: str, answer: Checked) -> dict[str, str]:
        """Write the objects of an answer that differs; the ref that makes it last (name -> commit)."""
        tree = self.repo.store_files({"checked.json": results.encode(answer)})
        commit = self.repo.commit(tree, [], f"checked {attempt_id}\n", PATCHRUN, answer.created)
        return {f"{CHECKED}{attempt_id}/{answer.attempt[:12]}": commit}

    def add_answers(self, refs: Mapping[str, str]) -> None:
        """Create the refs of answers; those that are there already stay as they are."""
        there = self.repo.refs(CHECKED)
        if lacking := {name: commit for name, commit in refs.items() if name not in there}:
            self.repo.create_refs(lacking)
            self.forget_answers()

    def forget_answers(self) -> None:
        """Read the answers again when they are asked for: some were added."""
        self.__dict__.pop("answers", None)

    def recall_answers(self, commits: Iterable[str]) -> dict[str, Checked]:
        """What the validator here said of these attempts before, from the arena's own folder."""
        return self._index.get(Checked, list(commits))

    def remember_answers(self, answers: Iterable[Checked]) -> None:
        """Keep what the validator said, so that no attempt is validated twice."""
        if found := {one.attempt: one for one in answers}:
            self._index.put(Checked, found)
