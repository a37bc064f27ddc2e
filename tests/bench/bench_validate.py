"""How much validating costs beside git, ruff and the compiler on a patch to a 1,500-line file.

Run by hand (`python tests/bench/bench_validate.py [ROUNDS]`): all contestants take turns in one run, and the ratios of
their medians are printed, by the clock and by CPU time, which a busy machine blurs less. Limits of the project: 1.5 as
a library call, 3 as a whole command. A process parses a baseline once: "call" is a call that finds it parsed, "first"
is one that does not. Commands find patchrun's modules compiled, as they are from their second use on.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from patchrun.adapters import process
from patchrun.adapters.gitrepo import PATCHRUN, GitRepo
from patchrun.adapters.lint import find_ruff
from patchrun.core.pyfile import parse_baseline
from patchrun.core.track import load_track
from patchrun.services import importer
from patchrun.services.validator import validate

LINES = 1500
TRACK = (Path(__file__).parents[1] / "tracks" / "tiny" / "track.toml").read_text()
HEAD = '''\
"""A training script made for the benchmark."""

import math
import os
import time

import torch
import torch.nn.functional as F
from torch import nn


def load_tokens(path):
    with open(path, "rb") as file:
        return torch.frombuffer(bytearray(file.read()), dtype=torch.uint16)

'''
BLOCK = '''
class Block{n}(nn.Module):
    """One layer: attention over the past, then a wide step."""

    def __init__(self, width: int, heads: int = {heads}, scale: float = 0.5):
        super().__init__()
        self.heads, self.scale = heads, scale / math.sqrt(width)
        self.queries = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.wide = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x, mask=None):
        batch, length, width = x.shape
        q, k, v = self.queries(F.layer_norm(x, (width,))).chunk(3, dim=-1)
        shape = (batch, length, self.heads, width // self.heads)
        q, k, v = (part.view(shape).transpose(1, 2) for part in (q, k, v))
        weights = (q @ k.transpose(-2, -1)) * self.scale  # [batch, heads, length, length]
        if mask is not None:
            weights = weights.masked_fill(~mask[:length, :length], float("-inf"))
        mixed = (weights.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, length, width)
        x = x + self.out(mixed)
        return x + self.wide(F.layer_norm(x, (width,)))


def schedule{n}(step, total, warmup={n}0):
    """The learning rate of a step as a share of its peak."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1.0 + math.cos(math.pi * done)) if done < 1.0 else 0.0

'''
TAIL = """
def main():
    start = time.perf_counter()
    tokens = load_tokens(os.environ["PATCHRUN_DATA"] + "/train.bin")
    print(f"step:0/1 tokens:{len(tokens)} train_time:{1000 * (time.perf_counter() - start):.0f}ms")


if __name__ == "__main__":
    main()
"""


def make_sources() -> tuple[bytes, bytes]:
    """A script of 1,500 lines, and the same with three edits in two places."""
    text, n = HEAD, 0
    while text.count("\n") + BLOCK.count("\n") + TAIL.count("\n") < LINES:
        n += 1
        text += BLOCK.format(n=n, heads=2 + n % 3)
    before = text + "\n" * (LINES - (text + TAIL).count("\n")) + TAIL
    after = before.replace("nn.GELU()", "nn.SiLU()", 3).replace(
        '"""A training script', '"""A faster script', 1
    )
    return before.encode(), after.encode()


def read_clocks() -> tuple[float, float]:
    """Seconds by the clock, and CPU seconds of this process and its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used)


def time_in_turn(contestants: dict[str, Callable[[], object]], rounds: int) -> list[dict[str, float]]:
    """Median milliseconds by each clock of each contestant, a call a round, the order turned from round to round."""
    names = list(contestants)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names if turn % 2 else reversed(names):
            start = read_clocks()
            contestants[name]()
            taken[name].append(tuple(1000 * (b - a) for a, b in zip(start, read_clocks(), strict=True)))
    return [
        {name: statistics.median(pair[clock] for pair in pairs[1:]) for name, pairs in taken.items()}
        for clock in (0, 1)
    ]


def library_contestants(folder: Path) -> dict[str, Callable[[], object]]:
    before, after = make_sources()
    repo, track = GitRepo.init(folder / "bare.git"), load_track(TRACK)
    trees = [repo.store_files({"train_gpt.py": source}) for source in (before, after)]
    commit = repo.commit(trees[0], [], "baseline\n", PATCHRUN, "2026-01-01T00:00:00Z")
    diff = repo.diff(*trees)
    plain = folder / "plain"
    plain.mkdir()
    (plain / "train_gpt.py").write_bytes(before)
    (plain / "agent.diff").write_bytes(diff)
    ruff = (find_ruff(), "check", "--isolated", "--no-cache", "train_gpt.py")
    assert validate(repo, track, commit, diff).accepted
    return {
        "git apply --check": lambda: process.run(("git", "apply", "--check", "agent.diff"), cwd=plain),
        "ruff check": lambda: process.run(ruff, cwd=plain),
        "compile": lambda: compile(before, "train_gpt.py", "exec"),
        "validate (call)": lambda: validate(repo, track, commit, diff),
        "validate (first)": lambda: (parse_baseline.cache_clear(), validate(repo, track, commit, diff)),
    }


def command_contestants(folder: Path) -> dict[str, Callable[[], object]] | str:
    """The same as whole commands in an arena, or why that cannot be measured."""
    before, _ = make_sources()
    track, arena, plain = folder / "track", folder / "arena", folder / "plain"
    (track / "base").mkdir(parents=True)
    (track / "base" / "train_gpt.py").write_bytes(before)
    (track / "track.toml").write_text(TRACK)
    (track / "records.toml").write_text(
        'version = 1\n[[record]]\nnumber = 1\ndate = "2026-01-01"\nby = "bench"\nsummary = "none"\n'
    )
    importer.init(arena, str(track))
    words = ("-m", "patchrun", "-C", str(arena), "validate", str(plain / "agent.diff"), "--record", "1")
    command = (sys.executable, *words)
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    first = process.run(command, env=env)
    if not first.ok:
        return f"`patchrun validate` ended with {first.returncode}: {(first.errors or 'nothing said').splitlines()[-1]}"
    return {
        "compile (command)": lambda: process.run(
            (sys.executable, "-m", "py_compile", "train_gpt.py"), cwd=plain, env=env
        ),
        "validate (command)": lambda: process.run(command, env=env),
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    with tempfile.TemporaryDirectory() as name:
        contestants = library_contestants(Path(name))
        commands = command_contestants(Path(name))
        if isinstance(commands, dict):
            contestants |= commands
        wall, cpu = time_in_turn(contestants, rounds)
    for label in contestants:
        print(f"{label:20} {wall[label]:7.1f} ms, CPU {cpu[label]:7.1f} ms (medians of {rounds})")
    if isinstance(commands, str):
        print(f"whole command: not measured: {commands}")
    for clock, took in (("clock", wall), ("CPU time", cpu)):
        print_ratios(clock, took, isinstance(commands, dict))


def print_ratios(clock: str, took: dict[str, float], with_command: bool) -> None:
    parts = took["git apply --check"] + took["ruff check"]
    for label, what in (("call", "library call"), ("first", "library call, first to a baseline")):
        ratio = took[f"validate ({label})"] / (parts + took["compile"])
        print(f"{clock}: {what} / (git + ruff + compile): {ratio:.2f} (limit 1.5)")
    if with_command:
        ratio = took["validate (command)"] / (parts + took["compile (command)"])
        print(f"{clock}: whole command / the three commands: {ratio:.2f} (limit 3)")


if __name__ == "__main__":
    main()
