"""validate: from the bytes of a diff to findings, the patched tree and its digest. Nothing becomes a ref."""

from __future__ import annotations

import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from patchrun.adapters.gitrepo import Applied, Change, GitRepo
from patchrun.adapters.lint import find_ruff, lint
from patchrun.core import added
from patchrun.core import findings as verdicts
from patchrun.core.codes import make_finding
from patchrun.core.edits import NoEdits, Refusal
from patchrun.core.errors import NotADiff, UnreadableDiff
from patchrun.core.filepair import FilePair
from patchrun.core.findings import Finding
from patchrun.core.guards import check_guards
from patchrun.core.hunks import Stats, count_lines, explain_refusal, judge_offsets
from patchrun.core.leaving_out import MOST_BYTES, LeftOut, leave_out
from patchrun.core.lintrules import Problem, judge_problems
from patchrun.core.normal_form import Normal, normalise
from patchrun.core.patch import MAIL, Part, Patch, check_named, check_text, read_patch
from patchrun.core.pyfile import PyFile, TreeCode, parse, parse_baseline
from patchrun.core.pyrules import check_track_rules
from patchrun.core.rules import EXECUTABLE, PLAIN, FileChange, check_changes, matches
from patchrun.core.sections import read_sections
from patchrun.core.suspicion import check_integrity

if TYPE_CHECKING:
    from patchrun.core.track import Track

MOST_OF_ONE_CODE = 25
MENDABLE = frozenset(
    {"PR103", "PR104", "PR105", "PR106", "PR107", "PR108", "PR110"}
)  # faults of a diff's form
ORDER = ("error", "review", "warning", "info")


@dataclass(frozen=True)
class Validation:
    """What the validator says of a diff; ``tree`` is the patched tree, None where git refused.

    ``mended``: what had to be mended in the diff's form before git took it, in words. ``left``: the files that it
    brings along and that no run would see.
    """

    patch_id: str
    stats: Stats
    findings: tuple[Finding, ...]
    tree: str | None
    diff: bytes
    code: TreeCode | None
    mended: tuple[str, ...] = ()
    left: tuple[LeftOut, ...] = ()

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
    repo: GitRepo,
    track: Track,
    baseline: str,
    diff: bytes,
    find_limit: Callable[[], int] | None = None,
    strict: bool = False,
) -> Validation:
    """Check ``diff`` against the commit or tree ``baseline`` under the rules of ``track``.

    What git does not take as it is, is brought into normal form first, unless ``strict`` or the track forbids it.
    ``find_limit`` gives the bytes of information that a patch may bring in; asked only where it brings in more than
    the track's own figure (see ``services.materials``).

    Raises:
        UnreadableDiff: it is empty, too large, or no diff: nothing to keep.
        SetupError, ArenaError: the linter or git cannot do their work.
    """
    check = partial(_validate, repo, track, baseline, find_limit)
    mends = track.edit.mend and not strict
    try:
        plain = check(diff)
    except NotADiff as error:
        if not mends:
            raise
        normal = _find_edits(repo, baseline, diff, error)
        return _tell_mends(check(normal.diff), diff, normal)
    return _mend(repo, baseline, plain, check) if mends and _asks_for_mending(plain) else plain


def refuse(diff: bytes, error: UnreadableDiff) -> Validation:
    """The validation of what cannot be read as a diff: one finding that says why."""
    told = make_finding("PR100", error.message, line=1, hint=error.hint)
    return Validation("", Stats(0, 0, 0), (told,), None, diff, None)


def _asks_for_mending(found: Validation) -> bool:
    return any(one.severity == "error" and one.code in MENDABLE for one in found.findings)


def _mend(
    repo: GitRepo, baseline: str, plain: Validation, check: Callable[[bytes], Validation]
) -> Validation:
    """The validation of the normal form where there is one; else ``plain`` with the reason why there is none."""
    if len(MAIL.findall(plain.diff)) > 1:  # each mail of a series is against what the one before it leaves
        return plain
    try:
        normal = normalise(plain.diff, _read_files(repo, baseline))
    except Refusal as refusal:
        return _explain(plain, refusal)
    mended = check(normal.diff)
    refused = mended.tree is None or _asks_for_mending(mended)
    return plain if refused else _tell_mends(mended, plain.diff, normal)


def check_readable(repo: GitRepo, track: Track, baseline: str, diff: bytes, strict: bool = False) -> None:
    """Raise UnreadableDiff where ``validate`` would, without validating."""
    try:
        read_patch(diff, track.limits.diff_kb)
    except NotADiff as error:
        if strict or not track.edit.mend:
            raise
        _find_edits(repo, baseline, diff, error)


def _find_edits(repo: GitRepo, baseline: str, diff: bytes, error: NotADiff) -> Normal:
    """The normal form of what is no diff as git writes it; ``error`` where there are no edits in it at all."""
    try:
        return normalise(diff, _read_files(repo, baseline))
    except NoEdits:
        raise error from None
    except Refusal as refusal:
        raise UnreadableDiff(f"cannot be read as a diff: {refusal.message}", refusal.hint) from None


def _tell_mends(mended: Validation, diff: bytes, normal: Normal) -> Validation:
    told = [make_finding("PR112", f"mended: {mend}") for mend in normal.mends]
    return replace(mended, findings=_arrange([*mended.findings, *told]), diff=diff, mended=normal.mends)


def _explain(plain: Validation, refusal: Refusal) -> Validation:
    """``plain`` with one finding, true for the case, in place of those that the form of the diff gave."""
    form = [one for one in plain.findings if one.severity == "error" and one.code in MENDABLE]
    own = next((one for one in form if one.code != "PR108"), form[0])
    words = "".join(f" ({one.message})" for one in form if one.code == "PR108")
    told = make_finding(own.code, refusal.message + words, line=refusal.line, hint=refusal.hint)
    return replace(plain, findings=_arrange([*(one for one in plain.findings if one not in form), told]))


def _read_files(repo: GitRepo, baseline: str) -> dict[str, bytes]:
    oids = {path: entry.oid for path, entry in repo.files(baseline).items()}
    return {
        path: blob for path, blob in zip(oids, repo.read_many(oids.values()), strict=True) if blob is not None
    }


def _validate(
    repo: GitRepo, track: Track, baseline: str, find_limit: Callable[[], int] | None, diff: bytes
) -> Validation:
    submitted, (diff, left) = diff, _leave_out(repo, track, baseline, diff)
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
        found += [make_finding("PR113", f"{one.path} was left out: {one.kind}") for one in left]
        if result.tree is not None:
            files = zip(python, blobs, strict=True)
            base = _Baseline(oids, {path: parse_baseline(path, blob or b"") for path, blob in files})
            found += check_named(patch, (change.path for change in result.changes))
            found += _check_paths(track, base, result)
            told, code = _check_python(track, base, result)
            found += told + _check_guards(track, base, code) + _check_added(track, result, find_limit)
        return Validation(patch_id, stats, _arrange(found), result.tree, submitted, code, left=left)


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
    if told := _find_modes(changes):
        tree = _keep_modes(repo, tree, changes)
        changes, findings = repo.changes(baseline, tree), findings + told
    blobs = repo.read_many(oid for change in changes for oid in (change.old_oid, change.new_oid))
    pairs = zip(changes, blobs[::2], blobs[1::2], strict=True)
    files = tuple(FileChange(one.path, one.old_mode, one.new_mode, old, new) for one, old, new in pairs)
    python = {one.path: one.text for one in files if one.text is not None and _is_python(one.path, track)}
    linted = {path: pool.submit(lint, path, text) for path, text in python.items()}
    new_oids = {change.path: change.new_oid for change in changes}
    return _Result(tree, files, new_oids, linted, tuple(findings), pool.submit(added.measure, files))


def _wanted_mode(change: Change) -> str:
    """The mode that a plain file keeps: the baseline's, without an executable bit where it is new."""
    return change.old_mode if change.old_mode in (PLAIN, EXECUTABLE) else PLAIN


def _find_modes(changes: Iterable[Change]) -> list[Finding]:
    """A finding for each plain file of which the diff sets or clears the executable bit."""
    return [
        make_finding("PR206", f"{one.path} keeps mode {_wanted_mode(one)}", one.path)
        for one in changes
        if one.new_mode in (PLAIN, EXECUTABLE) and one.new_mode != _wanted_mode(one)
    ]


def _keep_modes(repo: GitRepo, tree: str, changes: Iterable[Change]) -> str:
    entries = {path: (entry.mode, entry.oid) for path, entry in repo.files(tree).items()}
    plain = [one for one in changes if one.new_mode in (PLAIN, EXECUTABLE)]
    return repo.write_tree(entries | {one.path: (_wanted_mode(one), one.new_oid) for one in plain})


def _leave_out(repo: GitRepo, track: Track, baseline: str, diff: bytes) -> tuple[bytes, tuple[LeftOut, ...]]:
    """What is kept of a diff, and the files that were left out of it.

    Raises:
        UnreadableDiff: it is larger than anything that is read.
    """
    if len(diff) > MOST_BYTES:
        raise UnreadableDiff(
            f"the diff is larger than {MOST_BYTES >> 20} MiB",
            "submit the change of the code, without what it made",
        )
    sections = read_sections(diff.decode("utf-8", "surrogateescape").split("\n"), 1)
    if all(matches(one.names.target, track.edit.paths) for one in sections):
        return diff, ()
    kept, left = leave_out(diff, _read_files(repo, baseline), track.edit)
    nothing = next(read_sections(kept.decode("utf-8", "surrogateescape").split("\n"), 1), None) is None
    return (diff, ()) if nothing else (kept, left)  # the rules say of each file why it cannot be taken


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
