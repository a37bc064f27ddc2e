"""The short way to see that a diff gives its tree says what `git apply` says, of honest diffs and of forged ones."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from patchrun.adapters import gitrepo
from patchrun.adapters.objects import Questions
from patchrun.adapters.store import Arena
from patchrun.core.samepatch import is_same_patch
from patchrun.services.held import Held, Known
from tests.conftest import change

LINES = [b"", b"a = 1", b"def f():", b"    return 1", b"index 1234567..89abcde 100644", b"@@ -1,2 +1,2 @@", b"-- ",
         b"--- a/x.py", b"x\ry", b"diff --git a/x.py b/x.py", b"\\ No newline at end of file"]  # fmt: skip


@pytest.fixture
def held(plain: Arena) -> Iterator[Held]:
    with Questions(plain.repo) as ask:
        yield Held(plain, Known(plain.repo.refs()), ask, ())


@pytest.fixture
def no_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **more: object) -> None:
        raise AssertionError("applied")

    monkeypatch.setattr(gitrepo.GitRepo, "apply", refuse)


def make_text(draw: random.Random) -> bytes:
    text = b"\n".join(draw.choice(LINES) for _ in range(draw.randint(0, 25)))
    return text + b"\n" * draw.randint(0, 1)


def edit(draw: random.Random, files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files with some lines changed, a file more, or one less."""
    changed = dict(files)
    for name, text in files.items():
        lines = text.split(b"\n")
        for _ in range(draw.randint(0, 3)):
            at = draw.randrange(len(lines) + 1)
            lines[at : at + draw.randint(0, 2)] = [draw.choice(LINES) for _ in range(draw.randint(0, 2))]
        changed[name] = b"\n".join(lines)
    if draw.random() < 0.3:
        changed[f"new{draw.randint(0, 9)}.py"] = make_text(draw)
    if draw.random() < 0.2:
        del changed[draw.choice(sorted(files))]
    return changed


def spoil(draw: random.Random, diff: bytes) -> bytes:
    """The diff with one line dropped, doubled, moved or made another."""
    lines = diff.split(b"\n")
    at, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    kind = draw.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(other, lines[at])
    elif kind == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 3:
        lines[at] = lines[at][:1] + draw.choice(LINES)
    else:
        lines[at] = lines[at].replace(b"1", b"2", 1)
    return b"\n".join(lines)


@pytest.mark.parametrize("seed", range(15))
def test_what_is_recognised_gives_its_tree_when_it_is_applied(held: Held, seed: int) -> None:
    draw, repo = random.Random(seed), held.arena.repo
    files = {"x.py": make_text(draw), "sub/y z.py": make_text(draw)}
    before, after = repo.store_files(files), repo.store_files(edit(draw, files), executable=["new1.py"])
    made = repo.diff(before, after)
    for diff in (
        made,
        repo.diff(before, after, "--no-full-index", "--abbrev=7"),
        *(spoil(draw, made) for _ in range(4)),
    ):
        if is_same_patch(diff, held.ask.diff(before, after)):
            assert repo.apply(before, diff, keep=False).tree == after
        elif diff == made:
            assert not made, "git's own diff is recognised"
        assert held.gives(before, diff, after) == (repo.apply(before, diff, keep=False).tree == after)


def test_the_usual_diff_is_not_applied(plain: Arena, held: Held, no_apply: None) -> None:
    before = held.tree_of(plain.baseline(1))
    human = held.tree_of(plain.human(1))
    diff = change("RATE = 1", "RATE = 2", 1)
    assert held.gives(before, diff, human)
    with pytest.raises(AssertionError, match="applied"):
        held.gives(before, diff.replace(b"RATE = 2", b"RATE = 3"), human)


def test_a_diff_that_says_it_in_another_way_is_applied(plain: Arena, held: Held) -> None:
    before, human = held.tree_of(plain.baseline(1)), held.tree_of(plain.human(1))
    mail = b"From: ada\n\nfaster\n---\n" + change("RATE = 1", "RATE = 2", 1) + b"-- \n2.39\n\n"
    assert held.gives(before, mail, human)
    assert held.gives(before, change("RATE = 1", "RATE = 2", 1).split(b"\n", 1)[1], human)  # no `diff --git`
    assert not held.gives(before, change("STEPS = 100", "STEPS = 1", 2), human)
    assert not held.gives(before, b"", human) and not held.gives(before, mail, "0" * 40)


def raw_tree(held: Held, *rows: tuple[str, str, str]) -> str:
    """A tree as somebody writes it who is not git."""
    data = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(oid) for mode, name, oid in rows)
    return (
        held.arena.repo.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", input=data)
        .stdout.decode()
        .strip()
    )


def test_a_tree_that_differs_in_what_no_diff_shows_is_not_given(held: Held) -> None:
    repo = held.arena.repo
    old, new, other = (repo.write_blob(text) for text in (b"one\n", b"two\n", b"other\n"))
    before = raw_tree(held, ("100644", "a.py", old), ("100644", "b.py", other))
    after = raw_tree(held, ("100644", "a.py", new), ("100644", "b.py", other))
    empty = repo.git("hash-object", "-t", "tree", "-w", "--stdin", input=b"").stdout.decode().strip()
    diff = repo.diff(before, after)
    assert held.gives(before, diff, after)
    forged = (
        raw_tree(held, ("100664", "a.py", new), ("100644", "b.py", other)),
        raw_tree(held, ("100644", "a.py", new), ("100664", "b.py", other)),
        raw_tree(held, ("100644", "a.py", new), ("100644", "b.py", other), ("40000", "c", empty)),
        raw_tree(held, ("0100644", "a.py", new), ("100644", "b.py", other)),
    )
    for tree in forged:
        assert is_same_patch(diff, held.ask.diff(before, tree)), "the diff does not show it"
        assert not held.gives(before, diff, tree) and repo.apply(before, diff, keep=False).tree != tree


def test_a_file_that_git_apply_refuses_to_make_is_not_given(held: Held) -> None:
    repo = held.arena.repo
    one, config = repo.write_blob(b"one\n"), repo.write_blob(b"[core]\n")
    folder = raw_tree(held, ("100644", "config", config))
    before = raw_tree(held, ("100644", "a.py", one))
    after = raw_tree(held, ("40000", ".git", folder), ("100644", "a.py", one))
    diff = held.ask.diff(before, after)
    assert b"b/.git/config" in diff and repo.apply(before, diff, keep=False).tree is None
    assert not held.gives(before, diff, after)


def test_folders_in_folders(held: Held) -> None:
    repo = held.arena.repo
    path = "/".join("d" * 60) + "/x.py"
    for name in ("x/y/z.py", path):  # the second is deeper than is followed, and is applied
        before, after = (repo.store_files({"a.py": b"one\n", name: text}) for text in (b"1\n", b"2\n"))
        assert held.gives(before, repo.diff(before, after), after)
        assert not held.gives(before, repo.diff(before, after).replace(b"+2", b"+3"), after)


def test_the_runs_of_a_study_are_found_by_their_names(held: Held) -> None:
    names = [
        "refs/patchrun/runs/b1/one-b0p0s1",
        "refs/patchrun/runs/h1/one-b0p1s1",
        "refs/patchrun/runs/b1/two-b0p0s1",
    ]
    known = Known(dict.fromkeys([*names, "refs/patchrun/extra/b1/one-b0p0s1-12"], "0" * 40))
    assert known.runs == {"one": names[:2], "two": names[2:]}
