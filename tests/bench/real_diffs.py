"""Real diffs of the speedrun at their records: whole pull requests, and edited checkouts with their modes.

    python -m tests.bench.real_diffs ARENA --pulls CLONE       # github KellerJordan/modded-nanogpt
    python -m tests.bench.real_diffs ARENA --folders CLONE     # github IntologyAI/NanoGPT-Bench

ARENA is one of the nanogpt track, made by `patchrun init ARENA --track nanogpt --upstream CLONE`. Nothing of a clone is
kept. A pull request is the whole diff of a record's landing commit: logs, documents and all.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from patchrun.adapters.store import Arena
from patchrun.core.errors import PatchrunError
from patchrun.core.selection import Span
from patchrun.services import checkout
from patchrun.services.validator import validate

LEAST, MOST = 1_000_000, 13_000_000  # bytes of a pull request that brings its logs
PULLS = 14


def git(clone: str, *words: str) -> bytes:
    """What git prints; nothing where a shallow clone lacks a commit."""
    return subprocess.run(["git", "-C", clone, *words], check=False, capture_output=True).stdout


def pull_requests(arena: Arena, clone: str) -> Iterator[tuple[int, str, bytes]]:
    """(record, what it is, the diff) of records whose code lies in the tree of a commit."""
    for record in arena.ladder.record:
        commit = record.solution.commit if record.solution else ""
        diff = git(clone, "diff", "--binary", f"{commit}^1", commit) if commit else b""
        if LEAST < len(diff) < MOST:
            yield record.number, f"{commit[:8]}, {len(diff) / 1e6:.1f} MB", diff


def folders(arena: Arena, clone: str) -> Iterator[tuple[int, str, bytes]]:
    """(record, its folder, the diff) of checkouts that are named as the records' logs are."""
    logs = (
        (Path(folder).name, one.number)
        for one in arena.ladder.record
        if one.logs
        for folder in one.logs.folders
    )
    numbers = dict(sorted(logs, key=lambda pair: -pair[1]))  # a folder of two records is the first one's
    with tempfile.TemporaryDirectory() as place:
        archive = Path(place, "x.tar")
        archive.write_bytes(git(clone, "archive", "HEAD", "human_baselines"))
        subprocess.run(["tar", "-x", "-f", archive, "-C", place], check=True)
        for folder in sorted(Path(place, "human_baselines").iterdir()):
            if folder.is_dir() and folder.name in numbers:
                span = Span(numbers[folder.name], numbers[folder.name])
                yield span.first, folder.name, checkout.diff_of_folder(arena, span, folder)


@click.command()
@click.argument("arena", type=click.Path(exists=True, path_type=Path))
@click.option("--pulls", help="A clone of the upstream ladder.")
@click.option("--folders", "bench", help="A clone of a benchmark of record folders.")
def main(arena: Path, pulls: str | None, bench: str | None) -> None:
    """Say of each diff whether it is accepted at its record, and why not."""
    opened, accepted, tried = Arena.open(arena), 0, 0
    given = pull_requests(opened, pulls) if pulls else folders(opened, bench or "")
    for number, name, diff in given:
        tried += 1
        try:
            found = validate(opened.repo, opened.track.at_record(number), opened.baseline(number), diff)
        except PatchrunError as error:
            print(f"record {number}, {name}: {error}")
            continue
        accepted += found.accepted
        errors = "; ".join(one.message for one in found.findings if one.severity == "error")
        outcome = "accepted" if found.accepted else f"rejected: {errors[:200]}"
        print(f"record {number}, {name}: {outcome}, {len(found.left)} left out")
        if pulls and tried == PULLS:
            break
    print(f"{accepted} of {tried} accepted")


if __name__ == "__main__":
    main()
