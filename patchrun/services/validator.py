"""validate: from the bytes of a diff to findings, the patched tree and its digest. Nothing becomes a ref."""

from __future__ import annotations

import sysconfig
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.machinery import PathFinder

from patchrun.adapters.gitrepo import Applied, Entry, GitRepo
from patchrun.adapters.lint import lint
from patchrun.core import findings as verdicts
from patchrun.core.codes import make_finding
from patchrun.core.errors import SetupError
from patchrun.core.filepair import FilePair
from patchrun.core.findings import Finding
from patchrun.core.hunks import Stats, count_lines, judge_offsets
from patchrun.core.lintrules import judge_problems
from patchrun.core.names import imported_modules
from patchrun.core.patch import Part, Patch, check_named, check_text, read_patch
from patchrun.core.pyfile import PyFile, digest_tree, parse
from patchrun.core.pyrules import check_track_rules
from patchrun.core.rules import FileChange, check_changes
from patchrun.core.suspicion import check_integrity
from patchrun.core.track import Track

MOST_OF_ONE_CODE = 25
ORDER = ("error", "review", "warning", "info")


@dataclass(frozen=True)
class Validation:
    """What the validator says of a diff.

    ``tree`` is the patched tree, None where git refused; ``ast_digest`` (hex SHA-256) is the same for trees whose
    Python is AST-equal and whose other files are byte-equal, "" where a changed file cannot be parsed.
    """

    patch_id: str
    stats: Stats
    findings: tuple[Finding, ...]
    tree: str | None
    ast_digest: str
    diff: bytes

    @property
    def accepted(self) -> bool:
        """No finding rejects."""
        return verdicts.accepted(self.findings)


@dataclass(frozen=True)
class _Result:
    """What git made of a patch."""

    tree: str | None
    changes: tuple[FileChange, ...]
    oids: Mapping[str, str]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class _Baseline:
    """The files of a baseline, and those of them that are Python and can be parsed."""

    entries: Mapping[str, Entry]
    parsed: Mapping[str, PyFile]


def validate(repo: GitRepo, track: Track, baseline: str, diff: bytes) -> Validation:
    """Check ``diff`` against the commit or tree ``baseline`` under the rules of ``track``.

    Raises:
        UnreadableDiff: it is empty, too large, or no diff: nothing to keep.
        SetupError, ArenaError: the linter or git cannot do their work.
    """
    patch = read_patch(diff, track.limits.diff_kb)
    with ThreadPoolExecutor(max_workers=3) as pool:
        patch_id = pool.submit(repo.patch_id, diff)
        applied = pool.submit(_apply, repo, baseline, patch)
        base = _read_baseline(repo, baseline)
        found = check_text(patch)
        result = applied.result()
        found += result.findings
        digest = ""
        if result.tree is not None:
            found += check_named(patch, (change.path for change in result.changes))
            found += _check_paths(track, base, result)
            found, digest = _check_python(track, base, result, found, pool)
        return Validation(
            patch_id.result(), count_lines(patch.sections), _arrange(found), result.tree, digest, diff
        )
