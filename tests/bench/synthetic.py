"""Arenas of any size for benchmarks: made-up runs of real submissions, stored in bulk by `git fast-import`.

Every object, name and id is what patchrun itself would have made (`patchrun verify` passes), only the trainings
never took place. Ids of objects are computed here, since an attempt names its tree before git has it.
"""

from __future__ import annotations

import difflib
import gzip
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from patchrun.adapters.gitrepo import PATCHRUN
from patchrun.adapters.keys import load_key
from patchrun.adapters.store import ATTEMPTS, RUNS, STUDIES, SUBMISSIONS, Arena, run_name
from patchrun.core import plan, results
from patchrun.core.checked import Checked
from patchrun.core.pyfile import PyFile, TreeCode, parse, parse_baseline
from patchrun.core.results import Arm, Attempt, CurvePoint, Machine, Run, Slot, Study, content_id
from patchrun.core.track import Track
from patchrun.services import importer
from patchrun.services.recheck import read_attempts

TINY = Path(__file__).parents[1] / "tracks" / "tiny"
MACHINE = Machine(host="h", cpu="c", cores=2, torch="2", python="3", kernel="6", hardware_class="x")
LOG = gzip.compress(b"step:10/100 train_loss:3.0 train_time:12ms\n" * 20, mtime=0)
CURVE = tuple(CurvePoint(step, 3.0, 12.0, 0.1) for step in range(20))
WHEN, STAMP = "2026-01-01T00:00:00+00:00", "1767225600 +0000"
SCRATCH = "refs/heads/scratch"
Stored = tuple[str, bytes]  # a ref, and the end of the fast-import command that makes its commit
SHARING, BLOCKS = 10, 5  # submissions to one record that share a study of 60 runs


@dataclass(frozen=True)
class _Record:
    """What is read once of a record: its reference arms, the script and the tree of its baseline."""

    arms: tuple[Arm, ...]
    script: bytes
    tree: str

    @classmethod
    def read(cls, arena: Arena, number: int) -> _Record:
        code = [
            (f"b{number}", "baseline", arena.baseline(number)),
            (f"h{number}", "human", arena.human(number)),
        ]
        arms = tuple(
            Arm(
                name=name,
                kind=kind,
                commit=commit,
                tree=(tree := arena.repo.tree_of(commit)),
                ast_digest=tree,
            )
            for name, kind, commit in code
        )
        return cls(arms, arena.repo.read(f"{arms[0].commit}:train_gpt.py"), arms[0].tree)


def make(folder: Path, runs: int) -> Arena:
    """An arena on the tiny track with at least ``runs`` stored runs, its refs packed."""
    os.environ["XDG_DATA_HOME"] = str(folder / "data")
    importer.init(folder / "arena", str(TINY))
    arena = Arena.open(folder / "arena")
    grow(arena, runs)
    return arena


def grow(arena: Arena, runs: int, first: int = 0) -> int:
    """Add studies of made-up submissions, numbered from ``first``, until ``runs`` runs are added; how many studies."""
    records = {number: _Record.read(arena, number) for number in (1, 2, 3)}
    key, made, studies = load_key(arena.identity), 0, 0
    while made < runs:
        chunk: list[Stored] = []
        while made < runs and len(chunk) < 10_000:
            number = 1 + (first + studies) % 3
            indices = range((first + studies) * SHARING, (first + studies + 1) * SHARING)
            handed = [_hand_in(arena, number, records[number], index) for index in indices]
            study = _plan(arena.track, key, number, records[number], [attempt for attempt, _ in handed])
            chunk += [command for _, commands in handed for command in commands]
            chunk.append(commit(STUDIES + study.id, {"study.json": results.encode(study)}))
            own = [
                made_up(study, arm, slot)
                for block in range(study.blocks)
                for arm, slot in plan.slots(study, block)
            ]
            chunk += [commands(run) for run in own]
            made, studies = made + len(own), studies + 1
        store(arena, chunk)
        _remember(arena, {ref for ref, _ in chunk if ref.startswith(ATTEMPTS)})
    return studies


def _remember(arena: Arena, names: set[str]) -> None:
    """What `patchrun submit` keeps: that these attempts were validated here."""
    refs = {name: commit for name, commit in arena.repo.refs(ATTEMPTS).items() if name in names}
    arena.remember_answers(
        Checked(attempt=one.commit, track_digest=one.value.track_digest, accepted=True, tree=one.value.patched_tree,
                patch_id=one.value.patch_id, ast_digest=one.value.ast_digest, tool_version="0", created=WHEN)
        for one in read_attempts(arena, refs)
    )  # fmt: skip


def store(arena: Arena, made: list[Stored]) -> None:
    """Commits by one process, their refs packed at once: a file for each would take minutes."""
    lines = (
        f"reset {SCRATCH}\n\ncommit {SCRATCH}\nmark :{mark}\n".encode() + body
        for mark, (_, body) in enumerate(made, 1)
    )
    with arena.scratch() as folder:
        marks = folder / "marks"
        end = f"reset {SCRATCH}\nfrom {'0' * 40}\n\n".encode()
        arena.repo.git("fast-import", "--quiet", f"--export-marks={marks}", input=b"".join([*lines, end]))
        commits = dict(line.split() for line in marks.read_text().splitlines())
    refs = arena.repo.refs() | {ref: commits[f":{mark}"] for mark, (ref, _) in enumerate(made, 1)}
    arena.repo.git("pack-refs", "--all")
    packed = "".join(f"{commit} {ref}\n" for ref, commit in sorted(refs.items()))
    (arena.repo.path / "packed-refs").write_text(f"# pack-refs with: peeled fully-peeled sorted \n{packed}")


def _hand_in(arena: Arena, number: int, record: _Record, index: int) -> tuple[Attempt, list[Stored]]:
    """The ``index``-th submission, by one of 100 agents, with a number of steps of its own; commands that store it."""
    text, patch = change_steps(record.script, 1000 + index)
    tree, agent, track = _tree_id({"train_gpt.py": text}), f"agent-{index % 100}", arena.track
    code = parse("train_gpt.py", text, parse_baseline("train_gpt.py", record.script))
    assert isinstance(code, PyFile)
    digest = TreeCode({"train_gpt.py": ""}, {"train_gpt.py": code}).digest
    attempt = Attempt(
        id=content_id(track.digest, str(number), (), record.tree, tree, agent), track=track.name,
        track_digest=track.digest, record=str(number), agent=agent, accepted=True,
        baseline_commit=record.arms[0].commit, patched_tree=tree, ast_digest=digest, created=WHEN,
        sequence=1, patch_id=arena.repo.patch_id(patch),
    )  # fmt: skip
    return attempt, [
        commit(ATTEMPTS + attempt.id, {"attempt.json": results.encode(attempt), "patch.diff": patch}),
        commit(SUBMISSIONS + attempt.id, {"train_gpt.py": text}, attempt.baseline_commit),
    ]


def change_steps(script: bytes, steps: int) -> tuple[bytes, bytes]:
    """A script with another number of steps, and the diff that makes it so."""
    line = next(line for line in script.splitlines() if line.startswith(b"STEPS = "))
    text = script.replace(line, b"STEPS = %d" % steps)
    sides = (each.decode().splitlines(keepends=True) for each in (script, text))
    diff = "".join(difflib.unified_diff(*sides, "a/train_gpt.py", "b/train_gpt.py"))
    return text, f"diff --git a/train_gpt.py b/train_gpt.py\n{diff}".encode()


def _plan(track: Track, key: bytes, number: int, record: _Record, attempts: list[Attempt]) -> Study:
    submissions = (
        Arm(name=one.id, kind="submission", commit=_commit_id(one.patched_tree, one.baseline_commit),
            tree=one.patched_tree, ast_digest=one.ast_digest)
        for one in attempts
    )  # fmt: skip
    arms = (*record.arms, *submissions)
    name = plan.study_id(track.digest, str(number), arms, 0, "scoring")
    seeds = plan.derive_seeds(key, name, BLOCKS)
    return Study(id=name, track=track.name, track_digest=track.digest, record=str(number), arms=arms, seeds=seeds,
                 created=WHEN)  # fmt: skip


def made_up(study: Study, arm: Arm, slot: Slot) -> Run:
    """The run of a slot that never took place."""
    base = {"baseline": 2.0, "human": 1.0}.get(arm.kind, 1.4)
    return Run(
        study=study.id, arm=arm.name, kind=arm.kind, record=study.record, block=slot.block, position=slot.position,
        seed=slot.seed, exit="ok", clock="cpu", seconds=base + (slot.seed + 37 * slot.position) % 97 * 1e-4,
        loss=1.1 + slot.seed * 1e-12, curve=CURVE, sandbox="seccomp", machine=MACHINE, commit=arm.commit,
        tree=arm.tree, track_digest=study.track_digest, tool_version="0", started=WHEN,
    )  # fmt: skip


def commands(run: Run) -> Stored:
    """What stores a run."""
    return commit(RUNS + run_name(run), {"run.json": results.encode(run), "log.gz": LOG})


def commit(ref: str, files: dict[str, bytes], parent: str = "") -> Stored:
    """What makes ``ref`` a commit of ``files`` (over those of ``parent``)."""
    head = f"committer {PATCHRUN.name} <{PATCHRUN.email}> {STAMP}\ndata 0\n"
    origin = f"from {parent}\n" if parent else ""
    body = b"".join(
        b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data)
        for name, data in files.items()
    )
    return ref, (head + origin).encode() + body + b"\n"


def _object_id(kind: str, data: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).hexdigest()


def _tree_id(files: dict[str, bytes]) -> str:
    rows = (
        f"100644 {name}\0".encode() + bytes.fromhex(_object_id("blob", data))
        for name, data in sorted(files.items())
    )
    return _object_id("tree", b"".join(rows))


def _commit_id(tree: str, parent: str) -> str:
    who = f"{PATCHRUN.name} <{PATCHRUN.email}> {STAMP}"
    return _object_id("commit", f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n".encode())
