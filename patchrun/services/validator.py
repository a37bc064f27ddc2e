"""validate: from the bytes of a diff to findings, the patched tree and its digest. Nothing becomes a ref."""

from __future__ import annotations

import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from patchrun.adapters.gitrepo import Applied, GitRepo
from patchrun.adapters.lint import find_ruff, lint
from patchrun.core import added
from patchrun.core import findings as verdicts
from patchrun.core.codes import make_finding
from patchrun.core.filepair import FilePair
from patchrun.core.findings import Finding
from patchrun.core.guards import check_guards
from patchrun.core.hunks import Stats, count_lines, explain_refusal, judge_offsets
from patchrun.core.lintrules import Problem, judge_problems
from patchrun.core.patch import Part, Patch, check_named, check_text, read_patch
from patchrun.core.pyfile import PyFile, TreeCode, parse, parse_baseline
from patchrun.core.pyrules import check_track_rules
from patchrun.core.rules import FileChange, check_changes
from patchrun.core.suspicion import check_integrity

if TYPE_CHECKING:
    from patchrun.core.track import Track

MOST_OF_ONE_CODE = 25
ORDER = ("error", "review", "warning", "info")


@dataclass(frozen=True)
class Validation:
    """What the validator says of a diff; ``tree`` is the patched tree, None where git refused."""

    patch_id: str
    stats: Stats
    findings: tuple[Finding, ...]
    tree: str | None
    diff: bytes
    code: TreeCode | None

    @cached_property
    def ast_digest(self) -> str:
        """Hex SHA-256, the same for trees whose Python is AST-equal and whose other files are byte-equal.

        "" where git refused the diff or a changed file cannot be parsed.
        """
        return self.code.digest if self.code else ""

    @property
    def accepted(self) -> bool:
        """No finding rejects."""
        return verdicts.accepted(self.findings)


Linted = Mapping[str, Future[tuple[Problem, ...]]]


@dataclass(frozen=True)
class _Result:
    """What git made of a patch: the patched tree (None: refused), the files that differ, the linter at work on them.

    ``added``: the bytes of information that they bring in, being measured.
    """

    tree: str | None
    changes: tuple[FileChange, ...]
    oids: Mapping[str, str]
    linted: Linted
    findings: tuple[Finding, ...]
    added: Future[int] | None = None


@dataclass(frozen=True)
class _Baseline:
    """The blob ids of a baseline by path, and its Python files, or why they cannot be parsed."""

    oids: Mapping[str, str]
    parsed: Mapping[str, PyFile | Finding]


def validate(
    repo: GitRepo, track: Track, baseline: str, diff: bytes, find_limit: Callable[[], int] | None = None
) -> Validation:
    """Check ``diff`` against the commit or tree ``baseline`` under the rules of ``track``.

    ``find_limit`` gives the bytes of information that a patch may bring in; asked only where it brings in more than
    the track's own figure (see ``services.materials``).

    Raises:
        UnreadableDiff: it is empty, too large, or no diff: nothing to keep.
        SetupError, ArenaError: the linter or git cannot do their work.
    """
    patch = read_patch(diff, track.limits.diff_kb)
    find_ruff()  # before there are threads: sysconfig fills its table without a lock, and both it and we ask it
    with ThreadPoolExecutor(max_workers=2) as pool:  # git and ruff work while this thread reads and parses
        applied = pool.submit(_apply, repo, track, baseline, patch, pool)
        oids = {path: entry.oid for path, entry in repo.files(baseline).items()}
        python = [path for path in oids if _is_python(path, track)]
        blobs = repo.read_many(oids[path] for path in python)
        patch_id, stats, found = repo.patch_id(diff), count_lines(patch.sections), check_text(patch)
        result, code = applied.result(), None
        found += result.findings
        if result.tree is not None:
            files = zip(python, blobs, strict=True)
            base = _Baseline(oids, {path: parse_baseline(path, blob or b"") for path, blob in files})
            found += check_named(patch, (change.path for change in result.changes))
            found += _check_paths(track, base, result)
            told, code = _check_python(track, base, result)
            found += told + _check_guards(track, base, code) + _check_added(track, result, find_limit)
        return Validation(patch_id, stats, _arrange(found), result.tree, diff, code)


def _apply(repo: GitRepo, track: Track, baseline: str, patch: Patch, pool: ThreadPoolExecutor) -> _Result:
    """Apply the mails of a series one after another, see what differs in the end, and set the linter to work."""
    tree, findings = baseline, []
    for number, part in enumerate(patch.parts, 1):
        applied = repo.apply(tree, part.data)
        if applied.tree is None:
            prefix = f"mail {number} of {len(patch.parts)}: " if len(patch.parts) > 1 else ""
            findings.append(explain_refusal(part, prefix + applied.refusal))
            return _Result(None, (), {}, {}, tuple(findings))
        if applied.offsets:
            findings += _judge_offsets(repo, tree, part, applied)
        tree = applied.tree
    changes = repo.changes(baseline, tree)
    blobs = repo.read_many(oid for change in changes for oid in (change.old_oid, change.new_oid))
    pairs = zip(changes, blobs[::2], blobs[1::2], strict=True)
    files = tuple(FileChange(one.path, one.old_mode, one.new_mode, old, new) for one, old, new in pairs)
    python = {one.path: one.text for one in files if one.text is not None and _is_python(one.path, track)}
    linted = {path: pool.submit(lint, path, text) for path, text in python.items()}
    new_oids = {change.path: change.new_oid for change in changes}
    return _Result(tree, files, new_oids, linted, tuple(findings), pool.submit(added.measure, files))


def _judge_offsets(repo: GitRepo, tree: str, part: Part, applied: Applied) -> list[Finding]:
    """A finding for each hunk that git moved; PR110 for those of which it cannot be told where they could go."""
    names = [section.names.target for section in part.sections]
    blobs = repo.read_many(f"{tree}:{name}" for name in names)
    findings = []
    for section, blob in zip(part.sections, blobs, strict=True):
        lines = (blob or b"").decode("utf-8", "surrogateescape").split("\n")
        findings += judge_offsets(section, lines)
    for words in applied.offsets[len(findings) :]:
        findings.append(make_finding("PR110", f"git moved a hunk: {words}"))
    return findings


def _is_python(path: str, track: Track) -> bool:
    return path.endswith(".py") or path == track.launch.script


def _check_paths(track: Track, base: _Baseline, result: _Result) -> list[Finding]:
    files = [file for file in base.parsed.values() if isinstance(file, PyFile)]

    def is_importable(name: str) -> bool:
        imported = {module.split(".")[0] for file in files for module in file.modules}
        return name in imported or _is_installed(name)

    return check_changes(result.changes, base.oids, track.edit, track.launch.script, is_importable)


def _is_installed(name: str) -> bool:
    """Whether a package of this name is installed beside patchrun; nothing is imported."""
    paths = sysconfig.get_paths()
    return PathFinder.find_spec(name, [paths["purelib"], paths["platlib"]]) is not None


def _check_python(track: Track, base: _Baseline, result: _Result) -> tuple[list[Finding], TreeCode | None]:
    """The findings on changed Python files, and the patched code, None when one of them cannot be parsed."""
    changed = [change for change in result.changes if _is_python(change.path, track)]
    parsed = {path: file for path, file in base.parsed.items() if isinstance(file, PyFile)}
    findings: list[Finding] = []
    for change in changed:
        known = parsed.pop(change.path, None)
        after = None if change.text is None else parse(change.path, change.text, known)
        if isinstance(after, PyFile):
            parsed[change.path] = after
        findings += _check_file(track, change, base.parsed.get(change.path), after, result.linted)
    whole = all(change.path in parsed for change in changed if change.text is not None)
    oids = {path: oid for path, oid in (base.oids | result.oids).items() if oid.strip("0")}
    return findings, TreeCode(oids, parsed) if whole else None


def _check_added(track: Track, result: _Result, find_limit: Callable[[], int] | None) -> list[Finding]:
    """PR509: what looks like data, and more information than is allowed."""
    size = result.added.result() if result.added else 0
    limit = track.limits.added_bytes or added.LEAST_LIMIT
    if size > limit and find_limit:
        limit = find_limit()
    too_much = added.check_added(result.changes, size, limit)
    return too_much or [finding for change in result.changes for finding in added.find_dense(change)]


def _check_guards(track: Track, base: _Baseline, code: TreeCode | None) -> list[Finding]:
    """What the track guards wherever it stands, once all of the patched code can be read."""
    if code is None or not track.edit.guards:
        return []
    old = {path: file for path, file in base.parsed.items() if isinstance(file, PyFile)}
    new = code.parsed
    before = {path: file.tree for path, file in old.items() if new.get(path) is not file}
    after = {path: file.tree for path, file in new.items() if old.get(path) is not file}
    return check_guards(track.edit.guards, before, after)


def _check_file(
    track: Track,
    change: FileChange,
    before: PyFile | Finding | None,
    after: PyFile | Finding | None,
    linted: Linted,
) -> list[Finding]:
    """Every finding on one changed Python file; one that is not Python has no other."""
    if isinstance(after, Finding):
        return [after]
    if isinstance(before, Finding):
        return [make_finding("PR306", f"{change.path}: {before.message}", change.path)]
    pair = FilePair(change.path, before, after)
    findings = [*check_track_rules(pair, track.edit), *check_integrity(pair)]
    problems = linted[change.path].result() if change.path in linted else ()
    if problems:
        known = () if change.before is None else lint(change.path, change.before)
        findings += judge_problems(pair, known, problems)
    return findings


def add_findings(validation: Validation, more: Iterable[Finding]) -> Validation:
    """The validation with further findings in their places; none of its own is lost or changed."""
    return replace(validation, findings=_arrange([*validation.findings, *more]))


def _arrange(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Worst first, then by place; of each code only so many, and how many more there are."""
    ordered = sorted(
        set(findings), key=lambda one: (ORDER.index(one.severity), one.path or "", one.line or 0, one.code)
    )
    kept, counts = [], Counter()
    for finding in ordered:
        counts[finding.code, finding.severity] += 1
        if counts[finding.code, finding.severity] <= MOST_OF_ONE_CODE:
            kept.append(finding)
    for (code, severity), count in counts.items():
        if count > MOST_OF_ONE_CODE:
            more = f"{count - MOST_OF_ONE_CODE} more findings of this code are not listed"
            kept.append(make_finding(code, more, severity=severity))
    return tuple(kept)
