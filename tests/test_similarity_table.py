"""The table of similarities in docs/agents.md is what the pocket ladder and the examples give."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from patchrun.adapters.store import Arena
from patchrun.core import similarity
from patchrun.core.similarity import FEW, HIGH, Files, compare
from patchrun.services import importer

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "agents.md").read_text()
SCRIPT = "train_gpt.py"
RECORDS = range(1, 10)


@pytest.fixture(scope="module")
def pocket(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    folder = tmp_path_factory.mktemp("pocket")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder / "home"))
        importer.init(folder / "arena", "pocket")
    return Arena.open(folder / "arena")


def read(arena: Arena, tree: str) -> Files:
    files = arena.repo.files(tree)
    blobs = arena.repo.read_many(entry.oid for entry in files.values())
    return {path: data or b"" for path, data in zip(files, blobs, strict=True)}


@pytest.fixture(scope="module")
def ladder(pocket: Arena) -> dict[int, tuple[Files, Files]]:
    """Record -> its baseline's files and its human code's."""
    return {n: (read(pocket, pocket.baseline(n)), read(pocket, pocket.human(n) or "")) for n in RECORDS}


def say(values: list[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def row(start: str) -> str:
    return next(line.split("|")[-2].strip() for line in PAGE.splitlines() if line.startswith(f"| {start}"))


def with_other_numbers(base: Files, human: Files) -> Files:
    """The human patch with every decimal number on its new lines 10% larger."""
    old = set(base[SCRIPT].decode().splitlines())
    lines = human[SCRIPT].decode().splitlines()
    changed = [
        line
        if line in old
        else re.sub(r"(?<![\w.])\d+\.\d+", lambda found: repr(float(found[0]) * 1.1), line)
        for line in lines
    ]
    return {**human, SCRIPT: ("\n".join(changed) + "\n").encode()}


def first_half(arena: Arena, record: int) -> Files:
    """The first half of the hunks of a human patch."""
    diff = arena.repo.diff(arena.baseline(record), arena.human(record) or "").decode()
    head, *hunks = re.split(r"(?m)^(?=@@ )", diff)
    kept = (head + "".join(hunks[: max(1, len(hunks) // 2)])).encode()
    tree = arena.repo.apply(arena.repo.tree_of(arena.baseline(record)), kept).tree
    assert tree
    return read(arena, tree)


def test_copies(pocket: Arena, ladder: dict[int, tuple[Files, Files]]) -> None:
    own = {n: compare(base, human, human) for n, (base, human) in ladder.items()}
    assert {one.value for one in own.values()} == {1.0, None}
    assert [n for n, one in own.items() if one.value is None] == [8, 9]
    assert [n for n, one in own.items() if one.windows < FEW] == [3, 8, 9]
    renumbered = [
        compare(base, with_other_numbers(base, human), human).value for base, human in ladder.values()
    ]
    assert say([value for value in renumbered if value is not None]) == row(
        "a human patch, and it with every new"
    )
    assert min(value for value in renumbered if value is not None) > HIGH
    halves = [compare(base, first_half(pocket, n), human).value for n, (base, human) in ladder.items()]
    assert say([value for value in halves if value is not None]) == row("a human patch, and the first half")


def test_independent_patches(pocket: Arena, ladder: dict[int, tuple[Files, Files]]) -> None:
    found = {}
    for path in (ROOT / "examples").glob("record-*.diff"):
        record = int(path.name.split("-")[1])
        tree = pocket.repo.apply(pocket.repo.tree_of(pocket.baseline(record)), path.read_bytes()).tree
        base, human = ladder[record]
        found[path.name] = compare(base, read(pocket, tree or ""), human).value
    assert say([found.pop("record-7-most.diff") or 0.0]) == row("`examples/record-7-most.diff`")
    assert say([value for value in found.values() if value is not None]) == row("the other examples")


def test_patches_of_different_records(ladder: dict[int, tuple[Files, Files]]) -> None:
    new = {}
    for n, (base, human) in ladder.items():
        new[n] = similarity.read_windows(base, human) - similarity.read_windows({}, base)
    pairs = [(a, b) for a, b in itertools.combinations(new.values(), 2) if a and b]
    assert f"({len(pairs)} pairs)" in PAGE
    assert say([2 * len(a & b) / (len(a) + len(b)) for a, b in pairs]) == row(
        "the human patches of two different"
    )
