"""Where attacks are tried: record 9's baseline of the pocket track, and a script in the shape of the real ladder's."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.core.track import Track
from patchrun.services import importer
from patchrun.services.validator import Validation, validate
from tests.attacks.speedrun import SPEEDRUN

SCRIPT = "train_gpt.py"
Change = Callable[[str], bytes]
_kept: list[tempfile.TemporaryDirectory[str]] = []

NANOGPT = """\
import glob
import time

import torch


class args:
    train_files = "data/fineweb10B/*fineweb*_train_*.bin"
    val_files = "data/fineweb10B/*fineweb*_val_*.bin"
    val_tokens = 10485760
    val_loss_every = 125
    steps = 1000


def print0(text):
    print(text)


def _load_data_shard(path):
    return torch.from_file(path)


def train(model, batches, val_batches):
    model = torch.compile(model, dynamic=False)
    training_time_ms = 0.0
    torch.cuda.synchronize()
    t0 = time.perf_counter()
    for step in range(args.steps + 1):
        if step % args.val_loss_every == 0 or step == args.steps:
            torch.cuda.synchronize()
            training_time_ms += 1000 * (time.perf_counter() - t0)
            with torch.no_grad():
                val_loss = sum(model(x) for x in val_batches)
            print0(f"step:{step}/{args.steps} val_loss:{val_loss:.4f} train_time:{training_time_ms:.0f}ms")
            torch.cuda.synchronize()
            t0 = time.perf_counter()
        model(next(batches)).backward()


if __name__ == "__main__":
    train(torch.nn.Linear(2, 2), map(_load_data_shard, glob.glob(args.train_files)), glob.glob(args.val_files))
"""


@dataclass(frozen=True)
class Ground:
    """A baseline, the rules that hold on it, its script's text, and the commits of a ladder by ref."""

    repo: GitRepo
    track: Track
    baseline: str
    text: str
    refs: Mapping[str, str] = field(default_factory=dict)

    def check(self, change: Change) -> Validation:
        return validate(self.repo, self.track, self.baseline, change(self.text))


@cache
def pocket() -> Ground:
    """The pocket track at record 9."""
    source = importer.read_track(importer.find_track("pocket"))
    repo = GitRepo.init(_folder() / "pocket.git")
    refs = importer.import_series(repo, source.folder, source.ladder)
    baseline = refs["refs/heads/baseline/9"]
    return Ground(repo, source.track, baseline, repo.read(f"{baseline}:{SCRIPT}").decode(), refs)


@cache
def tiny() -> Ground:
    """The tests' own track."""
    from tests.tiny import base_script, tiny_track

    return _plain("tiny.git", tiny_track(), base_script())


@cache
def nanogpt() -> Ground:
    """The rules of the real ladder at record 60, over a script that has what they guard."""
    return _plain(
        "nanogpt.git", importer.read_track(importer.find_track("nanogpt")).track.at_record(60), NANOGPT
    )


@cache
def speedrun() -> Ground:
    """The same rules, over a script with a model, a warm-up and loaders of its own."""
    return _plain(
        "speedrun.git", importer.read_track(importer.find_track("nanogpt")).track.at_record(60), SPEEDRUN
    )


GROUNDS = {"pocket": pocket, "tiny": tiny, "nanogpt": nanogpt, "speedrun": speedrun}


def _plain(name: str, track: Track, text: str) -> Ground:
    repo = GitRepo.init(_folder() / name)
    baseline = repo.commit(
        repo.store_files({SCRIPT: text.encode()}), [], "b\n", PATCHRUN, "2026-01-01T00:00:00Z"
    )
    return Ground(repo, track, baseline, text)


def _folder() -> Path:
    _kept.append(tempfile.TemporaryDirectory())
    return Path(_kept[-1].name)


def replace(*pairs: tuple[str, str]) -> Change:
    """Each text, which stands once in the script, replaced by another."""

    def change(text: str) -> bytes:
        new = text
        for old, other in pairs:
            assert new.count(old) == 1, f"{old!r} stands {new.count(old)} times"
            new = new.replace(old, other)
        return diff(text, new)

    return change


def diff(old: str, new: str, path: str = SCRIPT) -> bytes:
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), f"a/{path}", f"b/{path}")
    return (f"diff --git a/{path} b/{path}\n" + "".join(lines)).encode()


def at_top(code: str) -> Change:
    """Module level, after the imports of the pocket script."""
    mark = "# ---------------------------------------------------------------- settings\n"
    return replace((mark, f"{code}\n\n{mark}"))


def at_bottom(code: str) -> Change:
    """Module level, after all definitions."""
    return replace(('\n\nif __name__ == "__main__":\n', f'\n\n{code}\n\n\nif __name__ == "__main__":\n'))


def in_main(code: str) -> Change:
    """In the pocket script's ``main``, after the optimizers are built."""
    mark = "    optimizers = build_optimizers(model)\n"
    return replace((mark, mark + "".join(f"    {line}\n" for line in code.splitlines())))


def in_loop(code: str) -> Change:
    """In the pocket script's training loop, after the gradients are there."""
    mark = "        loss.backward()\n"
    return replace((mark, mark + "".join(f"        {line}\n" for line in code.splitlines())))


def in_build(code: str) -> Change:
    """In the pocket script's ``build_model``."""
    body = "".join(f"    {line}\n" for line in code.splitlines())
    return replace(("    return GPT()\n", f"    model = GPT()\n{body}    return model\n"))


def raw(text: str | bytes) -> Change:
    """A diff as it stands."""
    return lambda _: text.encode() if isinstance(text, str) else text


def new_file(path: str, text: str = "x = 1\n", mode: str = "100644", name: str = "") -> Change:
    """A diff that adds a file; ``name`` spells its path otherwise, quoted for instance."""
    shown = name or f"b/{path}"
    lines = text.splitlines()
    left = shown.replace("b/", "a/", 1)
    head = f"diff --git {left} {shown}\nnew file mode {mode}\n--- /dev/null\n+++ {shown}\n@@ -0,0 +1,{len(lines)} @@\n"
    return raw(head + "".join(f"+{line}\n" for line in lines))


def join(*changes: Change) -> Change:
    """Several diffs in one text."""
    return lambda text: b"".join(change(text) for change in changes)
