"""Whether the commits of results hold their own files and nothing else: no stowaways, no history, no links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from patchrun.adapters.ablations import ABLATIONS
from patchrun.adapters.ablations import FILE as ABLATION_FILE
from patchrun.adapters.finalrounds import FINALS, REVEALS
from patchrun.adapters.gitrepo import GitRepo
from patchrun.adapters.jobbook import JOBS
from patchrun.adapters.labels import LABELS
from patchrun.adapters.signed import own_name
from patchrun.adapters.store import ATTEMPTS, EXTRA, RUNS, STOPS, STUDIES, VERDICTS
from patchrun.adapters.transcripts import TRANSCRIPTS
from patchrun.adapters.vouches import FILE as VOUCH_FILE
from patchrun.adapters.vouches import VOUCHES
from patchrun.core.treeobject import FOLDER, read_entries
from patchrun.services.upstream_logs import INGESTS

RUN_FILES = ("log.gz", "run.json")
FILES: Mapping[str, tuple[str, ...]] = {
    ATTEMPTS: ("attempt.json", "patch.diff"),
    STUDIES: ("study.json",),
    RUNS: RUN_FILES,
    EXTRA: RUN_FILES,
    STOPS: ("stop.json",),
    VERDICTS: ("ruling.json",),
    TRANSCRIPTS: ("patch.diff", "transcript.json", "turns.json.gz"),
    FINALS: ("final.json",),
    REVEALS: ("held_out.bin", "reveal.json"),
    LABELS: ("label.json",),
    INGESTS: ("ingest.json", "logs"),
    ABLATIONS: (ABLATION_FILE,),
    JOBS: ("job.json",),
    VOUCHES: (VOUCH_FILE,),
}
MODE = len(b"100644 \0")


def find_cargo(repo: GitRepo, refs: Mapping[str, str]) -> list[str]:
    """What results carry beside their own files, a line each; submissions are other checks' business.

    By the sizes of all trees, from one process: a tree of its kind's files has one size. Those of another are read.
    """
    named = [(name, commit, prefix) for name, commit in refs.items() if (prefix := _kind_of(own_name(name)))]
    digits = next((len(commit) for _, commit, _ in named), 40)
    plain = {prefix: sum(MODE + len(file) + digits // 2 for file in files) for prefix, files in FILES.items()}
    sizes = repo.sizes_of(f"{commit}^{{tree}}" for _, commit, _ in named)
    odd = [one for one, size in zip(named, sizes, strict=True) if size != plain[one[2]] and size is not None]
    trees = repo.read_many(f"{commit}^{{tree}}" for _, commit, _ in odd)
    problems = [
        f"{name}: {words}" for (name, _, prefix), data in zip(odd, trees, strict=True)
        if (words := _describe(data or b"", digits, FILES[prefix]))
    ]  # fmt: skip
    alone = {name: commit for name, commit, prefix in named if prefix != ABLATIONS}
    born = repo.find_born(alone.values())
    return problems + [
        f"{name}: has a history of its own" for name, commit in alone.items() if commit in born
    ]


def _kind_of(name: str) -> str:
    kind = "/".join(name.split("/", 3)[:3]) + "/"
    return kind if kind in FILES else ""


def _describe(tree: bytes, digits: int, files: Iterable[str]) -> str:
    entries = read_entries(tree, digits)
    if entries is None:
        return "its tree is written in a way that git does not write"
    strange = [
        name.decode("utf-8", "replace") for name, (mode, _) in entries.items()
        if name.decode("utf-8", "replace") not in files or mode != (FOLDER if name == b"logs" else b"100644")
    ]  # fmt: skip
    return f"carries {strange[0]!a}, which is no part of it" if strange else ""
