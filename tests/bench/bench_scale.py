"""What an arena costs as it grows: `make bench-scale` writes the table of docs/scale.md.

    python -m tests.bench.bench_scale 1000 10000 100000

Every figure is a command's work in a process of its own: wall seconds, CPU seconds with its git children, peak memory
of the largest process. What by its time at a smaller size would take longer than MOST_SECONDS is left out, with a note.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from tabulate import tabulate

from patchrun.adapters.gitrepo import Author
from patchrun.adapters.store import Arena
from patchrun.core import plan
from patchrun.core.results import Study
from patchrun.core.selection import Span
from patchrun.faces.report.gather import gather
from patchrun.faces.report.write import write_site
from patchrun.services import chains, doctor, standings, sync, tournament, verify
from patchrun.services.assessment import covers
from tests.bench import synthetic

Act = Callable[[], object]  # what is timed
SPAN = Span(1, 1)


def make_patch(arena: Arena) -> bytes:
    """A patch to record 1 that nobody has handed in."""
    script = arena.repo.read(f"{arena.baseline(1)}:train_gpt.py")
    return synthetic.change_steps(script, 10**6 + int.from_bytes(os.urandom(3)))[1]


def submit(arena: Arena) -> None:
    """Hand one more patch in: validation and all local git work, no run."""
    assert tournament.hand_in(arena, make_patch(arena), SPAN, "newcomer").attempt.accepted


def prepare_attempt(arena: Arena) -> Act:
    """The local git work of one more submission, without its validation: objects and refs."""
    diff, ground = make_patch(arena), tournament.find_ground(arena, SPAN)
    validation = tournament.validate(arena, diff, SPAN)
    attempt = tournament.describe(arena, validation, diff, ground, "newcomer", ())
    author = Author("newcomer", "newcomer@agents.patchrun.invalid")

    def add() -> None:
        parents = [attempt.baseline_commit]
        commit = arena.repo.commit(attempt.patched_tree, parents, attempt.id, author, attempt.created)
        assert arena.add_attempt(attempt, diff, commit)

    return add


def plan_again(arena: Arena) -> Study:
    """A study of ten submissions that were measured before, stored."""
    first = next(study for study in arena.studies() if study.generation == 0)
    study = tournament.plan_again(arena, [one for one in arena.attempts() if covers(first, one)])
    arena.add_study(study)
    return study


def prepare_run(arena: Arena) -> Act:
    """What a study does for one run beside training it: see which slots are taken, read its runs, store the new one."""
    study = plan_again(arena)
    arm, slot = plan.slots(study, 0)[0]

    def add() -> None:
        assert not arena.slots(study) and not arena.runs_of([study])
        assert arena.add_run(synthetic.made_up(study, arm, slot), b"log")

    return add


def prepare_block(arena: Arena) -> Act:
    """Storing a block of 12 runs."""
    study = plan_again(arena)
    block = [(synthetic.made_up(study, arm, slot), b"log") for arm, slot in plan.slots(study, 0)]
    return lambda: arena.add_runs(block)


def prepare_cold(arena: Arena) -> Act:
    """The leaderboard with nothing kept: no value, no similarity, no table."""
    shutil.rmtree(arena.folder)
    return partial(rank, arena)


def prepare_new(arena: Arena) -> Act:
    """The leaderboard when something was added since the last one."""
    shutil.rmtree(arena.folder / "remembered", ignore_errors=True)
    arena.runs()
    return partial(rank, arena)


def prepare_show(arena: Arena) -> Act:
    name = arena.attempts()[0].id
    return lambda: chains.list_chain(arena, arena.attempt(name).id)


def rank(arena: Arena) -> None:
    standings.board(arena)


def send(arena: Arena) -> None:
    """Sync with a copy that lacks one study of 60 runs; the second time it lacks nothing."""
    sync.sync(arena, str(folder_of(arena) / "copy.git"))


def receive(arena: Arena) -> None:
    """Sync of another such copy with the arena."""
    sync.sync(Arena.open(folder_of(arena) / "behind.git"), str(arena.repo.path))


def report(arena: Arena) -> None:
    """The site of everything, in a folder that is then dropped."""
    with tempfile.TemporaryDirectory(dir=folder_of(arena)) as name:
        write_site(gather(arena), Path(name) / "site")


def folder_of(arena: Arena) -> Path:
    """Where the arena of a measurement and its copies lie."""
    return arena.repo.path.parent.parent


def check(arena: Arena) -> None:
    assert verify.verify(arena).problems == ()


def prepare_anew(arena: Arena) -> Act:
    """Verifying an arena that came from elsewhere: every attempt is validated again."""
    shutil.rmtree(arena.folder)
    return partial(check, arena)


def prepare_known(arena: Arena) -> Act:
    """Verifying an arena whose attempts were validated here, or verified before."""
    check(arena)
    return partial(check, arena)


def at_once(work: Callable[[Arena], object]) -> Callable[[Arena], Act]:
    """A work that needs no preparation."""
    return lambda arena: partial(work, arena)


WORK: dict[str, Callable[[Arena], Act]] = {
    "a run: local work": prepare_run,
    "a block of 12 runs: storing it": prepare_block,
    "submit: local git work": prepare_attempt,
    "submit: validation and all": at_once(submit),
    "leaderboard, cold": prepare_cold,
    "leaderboard, something new": prepare_new,
    "leaderboard, warm": at_once(rank),
    "show": prepare_show,
    "sync, one study to send": at_once(send),
    "sync, nothing new": at_once(send),
    "sync, one study to receive": at_once(receive),
    "report": at_once(report),
    "gc": at_once(doctor.pack),
    "verify": prepare_known,
    "verify, the first time": prepare_anew,
}
ONCE = (
    "sync, one study to send",
    "sync, one study to receive",
    "report",
    "gc",
    "verify",
    "verify, the first time",
)
MOST_SECONDS = 1200


def measure(folder: Path, name: str) -> dict[str, float]:
    """Do one thing in a process of its own; its wall seconds, CPU seconds and peak memory in MB."""
    code = "import sys\nfrom tests.bench import bench_scale\nbench_scale.child(sys.argv[1], sys.argv[2])\n"
    done = subprocess.run([sys.executable, "-c", code, str(folder), name], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(folder: str, name: str) -> None:
    """What ``measure`` starts."""
    os.environ["XDG_DATA_HOME"] = str(Path(folder) / "data")
    arena = Arena.open(Path(folder) / "arena")
    work = WORK[name](arena)
    wall, cpu = time.perf_counter(), cpu_seconds()
    work()
    used = {"wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu, "memory": peak_mb()}
    print(json.dumps(used))


def cpu_seconds() -> float:
    own = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in own)


def peak_mb() -> float:
    """The larger peak of this process and of any one child."""
    return (
        max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        / 1024
    )


def measure_size(runs: int, works: Iterable[str], rounds: int = 3) -> dict[str, dict[str, float]]:
    """Some works on an arena of ``runs`` runs: the least wall time of ``rounds`` (of one where it is long)."""
    with tempfile.TemporaryDirectory(prefix="patchrun-scale-") as name:
        folder = Path(name)
        arena = synthetic.make(folder, runs)
        for copy in ("copy.git", "behind.git"):
            arena.repo.git("clone", "--quiet", "--mirror", str(arena.repo.path), str(folder / copy))
        synthetic.grow(arena, 60, first=1_000_000)
        found = {}
        for work in works:
            again = 1 if work in ONCE else rounds
            found[work] = min((measure(folder, work) for _ in range(again)), key=lambda used: used["wall"])
        return found


def main(sizes: list[int]) -> None:
    """Print the table, and what it leaves out."""
    found: dict[int, dict[str, dict[str, float]]] = {}
    for size in sizes:
        works = [work for work in WORK if expect(found, work, size) <= MOST_SECONDS]
        found[size] = measure_size(size, works)
    rows = [(work, *(show_cell(found[size].get(work)) for size in sizes)) for work in WORK]
    print(tabulate(rows, ("work", *(f"{size:,} runs" for size in sizes)), tablefmt="github"))
    for size in sizes:
        if left := [work for work in WORK if work not in found[size]]:
            print(
                f"left out at {size:,} runs, for more than {MOST_SECONDS} s are expected: {'; '.join(left)}"
            )


def expect(found: Mapping[int, Mapping[str, Mapping[str, float]]], work: str, size: int) -> float:
    """Wall seconds of a work if it grows linearly from the largest size at which it was measured; 0: never was."""
    known = [former for former, works in found.items() if work in works]
    return found[max(known)][work]["wall"] * size / max(known) if known else 0.0


def show_cell(used: Mapping[str, float] | None) -> str:
    """One figure of the table."""
    return f"{used['wall']:.3g} s ({used['cpu']:.3g} s CPU, {used['memory']:.0f} MB)" if used else "left out"


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1000, 10_000, 100_000])
