"""What an agent gets, and how it comes back: a history-free copy of a baseline, and the diff of an edited one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Set
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from patchrun.adapters import leavings, process
from patchrun.adapters.gitrepo import PATCHRUN, GitRepo, clean_environment
from patchrun.adapters.store import Arena
from patchrun.core.errors import UsageError
from patchrun.core.selection import Span
from patchrun.services import materials

if TYPE_CHECKING:
    from patchrun.services.tournament import Ground

OURS = ("TASK.md", "ATTEMPTS.md", "hints", ".patchrun")
SKIPPED = {".git", "__pycache__", ".ruff_cache", ".mypy_cache", ".venv", *OURS}
MADE = (
    "model.safetensors",
    "node_modules",
    ".pytest_cache",
    ".ipynb_checkpoints",
)  # by the script, or by tools
FILE_BYTES = 64 << 20  # of an edited checkout
EPOCH = "2000-01-01T00:00:00+00:00"
HAND_IN = """## Check and hand in
    patchrun validate DIFF {words}      # findings, nothing is stored
    patchrun submit DIFF {words} --agent NAME

A plain `git diff` in this folder is what is asked for.
"""


def checkout(
    arena: Arena,
    span: Span,
    target: Path,
    tiers: tuple[int, ...] = (),
    ground: Ground | None = None,
    ending: str = HAND_IN,
) -> None:
    """Write baseline ``span.first`` to ``target`` as a repository of one commit, with TASK.md and hints beside.

    ``ground``: instead of the baseline the submission that is built on, over its span. ``ending`` closes TASK.md: how
    to check and hand in, ``{words}`` in it for the options. Of the arena no other object and no address goes along.

    Raises:
        UsageError: the target exists and is not empty, or the record has no such hint.
    """
    from patchrun.services import hints

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists and is not empty", "name a new folder")
    texts = hints.read(arena.track.name, span, tiers)
    tree = arena.repo.tree_of(ground.commit if ground else arena.baseline(span.first))
    onto = ground.onto.id if ground and ground.onto else ""
    target.mkdir(parents=True, exist_ok=True)
    try:
        arena.repo.export(tree, target)
        _commit_all(target)
        page = task_page(arena, ground.span if ground else span, tiers, onto, ending)
        (target / "TASK.md").write_text(page, encoding="utf-8")
        for name, text in texts.items():
            (target / "hints").mkdir(exist_ok=True)
            (target / "hints" / name).write_text(text, encoding="utf-8")
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _commit_all(folder: Path) -> None:
    """Make ``folder`` a repository with its files as the only commit; what patchrun adds is ignored."""
    env = clean_environment() | {
        "GIT_AUTHOR_NAME": PATCHRUN.name, "GIT_AUTHOR_EMAIL": PATCHRUN.email, "GIT_AUTHOR_DATE": EPOCH,
        "GIT_COMMITTER_NAME": PATCHRUN.name, "GIT_COMMITTER_EMAIL": PATCHRUN.email, "GIT_COMMITTER_DATE": EPOCH,
    }  # fmt: skip
    steps = (
        ["init", "--quiet", "--template=", "--initial-branch=main"],
        ["add", "--force", "--all", "."],
        ["commit", "--quiet", "--no-verify", "--message=baseline"],
    )
    for words in steps:
        done = process.run(["git", *words], cwd=folder, env=env)
        if not done.ok:
            raise UsageError(f"git {words[0]} failed in {folder}: {done.errors}")
    info = folder / ".git" / "info"
    info.mkdir(exist_ok=True)
    (info / "exclude").write_text("".join(f"/{name}\n" for name in OURS) + "__pycache__/\n")


def task_page(arena: Arena, span: Span, tiers: tuple[int, ...], onto: str = "", ending: str = HAND_IN) -> str:
    """TASK.md: goal, rules, target, and how to check and hand in (``ending``); ``onto``: what it builds on."""
    track = arena.track
    hint_line = f"Hints (tier {', '.join(map(str, tiers))}) lie in `hints/`.\n" if tiers else ""
    protected = "".join(f"- `{name}`\n" for name in track.edit.protected)
    words = f"--record {span.last} --onto {onto}" if onto else f"--record {span}"
    start = f"baseline {span.first}" if onto else "this same baseline"
    built = f"This is your submission {onto}: what you change adds to it.\n" if onto else ""
    return f"""# Record {span} of track {track.name}

{track.title}. {track.about}

## Goal
Change the code so that training reaches a mean validation loss of at most **{track.target.loss}** nats per token
in as few {"CPU seconds" if track.clock.source == "cpu" else "wall seconds"} as possible. The score is the fraction of
the speedup recovered that people found over {start}: 0 is the baseline's time, 1 is theirs.
{built}{hint_line}
## Rules
- Files that may change: {", ".join(f"`{path}`" for path in track.edit.paths)}
- New files allowed: {", ".join(f"`{path}`" for path in track.edit.new_paths) or "none"}
- These definitions must stay as they are:
{protected}- Time and loss are taken by patchrun, outside the script, over {track.rule.blocks} blocks with seeds that
  you do not know. What the script prints is for people.
- A run may take {track.limits.wall_seconds:g} s of wall time and {track.limits.memory_mb} MiB of memory; no network.
- Your patch may bring in at most {materials.find_limit(arena, span)} bytes, compressed, that are not in the baseline.
  Numbers, names and comments count; code that is moved or removed does not.
- The data is read through the script's own loader. Parameters are learned from it by gradient steps.

{ending.replace("{words}", words)}"""


def diff_of_folder(arena: Arena, span: Span, folder: Path, commit: str | None = None) -> bytes:
    """The diff between ``commit`` (None: baseline ``span.first``) and an edited checkout, its ``.git`` not trusted.

    Raises:
        UsageError: the folder holds no file of the baseline.
    """
    commit = commit or arena.baseline(span.first)
    baseline = arena.repo.files(commit)
    with tempfile.TemporaryDirectory(prefix="patchrun-diff-") as name:
        scratch = GitRepo.init(Path(name) / "diff.git")
        (scratch.path / "objects" / "info").mkdir(parents=True, exist_ok=True)
        (scratch.path / "objects" / "info" / "alternates").write_text(f"{arena.repo.path / 'objects'}\n")
        made = {*SKIPPED, *arena.track.launch.outputs, *MADE} - {path.split("/")[0] for path in baseline}
        edited = _store_folder(scratch, folder, made)
        if not set(edited) & set(baseline):
            raise UsageError(f"{folder} holds none of the files of baseline {span.first}",
                             "name an edited copy made by `patchrun checkout`")  # fmt: skip
        return scratch.diff(commit, scratch.write_tree(edited))


def _store_folder(repo: GitRepo, folder: Path, skipped: Set[str]) -> dict[str, tuple[str, str]]:
    """Store the files of a folder but for the names in ``skipped``, links as links; path -> (mode, blob id)."""
    entries: dict[str, tuple[str, str]] = {}
    for entry in leavings.walk(folder, wanted=lambda path: skipped.isdisjoint(path.parts)):
        if entry.is_link:
            entries[entry.path.as_posix()] = (
                "120000",
                repo.write_blob(leavings.read_link(folder, entry.path)),
            )
        elif entry.is_file:
            mode = "100755" if entry.facts.st_mode & 0o100 else "100644"
            entries[entry.path.as_posix()] = (mode, repo.write_blob(_read(folder, entry)))
    return entries


def is_kept(path: PurePosixPath) -> bool:
    """Whether what has this path in an edited checkout belongs to the code."""
    return not SKIPPED & set(path.parts)


def _read(folder: Path, entry: leavings.Entry) -> bytes:
    try:
        return leavings.read(folder, entry.path, FILE_BYTES)
    except (leavings.Missing, leavings.Refused) as trouble:
        raise UsageError(
            f"{entry.path} cannot be read: {trouble}", "keep files while the diff is made"
        ) from None
