"""Attacks that nobody wrote: each kind of gain as a template that is spelled, placed and encoded at random.

    python -m tests.attacks generate --seed 7 --budget 1000

An attack that passes with no finding that rejects or asks a person is a hole: it is printed with its seed and its diff.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from patchrun.core.errors import UnreadableDiff
from patchrun.services.validator import Validation
from tests.attacks.ground import GROUNDS, Change, at_bottom, at_top, in_build, replace
from tests.attacks.spellings import bind, bind_globally, fresh, hold, place, reach

PROTECTED = ("load_shard", "batches", "data_file", "steps_to_run", "save_model", "start_processes")
CHILDREN = (
    "os.system", "os.popen", "os.fork", "os.posix_spawn", "os.execv", "subprocess.run", "subprocess.Popen",
    "subprocess.check_output", "multiprocessing.Process", "socket.socket", "socket.create_connection", "ctypes.CDLL",
)  # fmt: skip
TABLES = (
    "torch.svd", "torch.linalg.svd", "numpy.linalg.svd", "torch.bincount", "numpy.bincount", "torch.pca_lowrank",
    "torch.svd_lowrank", "numpy.histogram2d", "torch.histc", "torch.linalg.eigh", "torch.linalg.lstsq", "torch.unique",
)  # fmt: skip
CLOCKS = (
    "time.perf_counter",
    "time.time",
    "time.monotonic",
    "torch.cuda.synchronize",
    "torch.cuda.Event.elapsed_time",
)
SEEDS = ("torch.manual_seed", "torch.random.manual_seed", "torch.seed", "numpy.random.seed", "random.seed")
DATA_BYTES = (10_000, 60_000)  # a model in literals: more than a track lets a patch add


@dataclass(frozen=True)
class Kind:
    """A kind of gain: ``make`` spells it; ``rejects``: a finding that only asks a person is not enough."""

    name: str
    make: Callable[[random.Random], Change]
    on: str = "pocket"
    rejects: bool = False


@dataclass(frozen=True)
class Hole:
    """A generated attack that nothing saw."""

    kind: str
    seed: str
    diff: bytes


def _rebind(rng: random.Random) -> Change:
    name = rng.choice(PROTECTED)
    value = rng.choice((f"lambda *words: {fresh(rng)}", "print", "iter", "len", "np.fromfile"))
    return rng.choice((at_top, at_bottom) if rng.random() < 0.2 else (at_bottom,))(
        bind_globally(rng, name, value)
    )


def _call(functions: tuple[str, ...], argument: str) -> Callable[[random.Random], Change]:
    def make(rng: random.Random) -> Change:
        first, called = reach(rng, rng.choice(functions))
        use = rng.choice(
            (f"{called}({argument})", f"{fresh(rng)} = {called}({argument})", f"print({called}({argument}))")
        )
        return place(rng, f"{first}\n{use}".strip())

    return make


def _stop_clock(rng: random.Random) -> Change:
    folder, _, name = rng.choice(CLOCKS).rpartition(".")
    still = rng.choice(("lambda: 0.0", "len", "lambda *words: 0", "int"))
    forms = (
        f"{folder}.{name} = {still}",
        f"setattr({folder}, {name!r}, {still})",
        f"{folder}.__dict__[{name!r}] = {still}",
        f"vars({folder}).update({name}={still})",
        f"{fresh(rng)} = {folder}.{name} = {still}",
        f"for {folder}.{name} in [{still}]:\n    pass",
        f"[{folder}.{name}] = [{still}]",
        f"import contextlib\nwith contextlib.nullcontext({still}) as {folder}.{name}:\n    pass",
        f"object.__setattr__({folder}, {name!r}, {still})",
        f"type({folder}).__setattr__({folder}, {name!r}, {still})",
        f"import unittest.mock\nunittest.mock.patch({folder + '.' + name!r}, {still}).start()",
    )
    return place(rng, rng.choice(forms))


def _carry(rng: random.Random) -> Change:
    return at_bottom(hold(rng, rng.randbytes(rng.randrange(*DATA_BYTES))))


def _draw_seed(rng: random.Random) -> Change:
    first, called = reach(rng, rng.choice(SEEDS))
    return in_build(f"{first}\n{called}({rng.randrange(1000)})".strip())


def _stop_timer(rng: random.Random) -> Change:
    """On the real ladder: what the script's clock or its loss rests on, bound once more where it counts."""
    name, value, mark, depth = rng.choice(
        (
            ("t0", "time.perf_counter()", "        model(next(batches)).backward()\n", 8),
            ("t0", "time.perf_counter() + 1", "        model(next(batches)).backward()\n", 8),
            ("training_time_ms", "0.0", "        model(next(batches)).backward()\n", 8),
            ("training_time_ms", "training_time_ms / 2", "        model(next(batches)).backward()\n", 8),
            (
                "val_loss",
                "val_loss * 0.97",
                "                val_loss = sum(model(x) for x in val_batches)\n",
                12,
            ),
        )
    )
    body = "".join(f"{' ' * depth}{line}\n" for line in bind(rng, name, value).splitlines())
    return replace((mark, mark + body))


def _swap_files(rng: random.Random) -> Change:
    """On the real ladder: training reads what validates."""
    train, val = '"data/fineweb10B/*fineweb*_train_*.bin"', '"data/fineweb10B/*fineweb*_val_*.bin"'
    old = f"    train_files = {train}\n    val_files = {val}\n"
    forms = (
        f"    train_files = {val}\n    val_files = {train}\n",
        f"    train_files, val_files = {val}, {train}\n",
        f"    (val_files, train_files) = ({train}, {val})\n",
        f"    val_files = {train}\n    train_files = {val}\n",
        f"    train_files = val_files = {val}\n",
        f"    val_files = {val}\n    train_files = val_files\n",
        f"{old}    train_files, val_files = val_files, train_files\n",
        f"{old}    for train_files in (val_files,):\n        pass\n",
        f"    files = ({train}, {val})\n    val_files, train_files = files\n",
        f"    files = {{'a': {train}, 'b': {val}}}\n    train_files, val_files = files['b'], files['a']\n",
    )
    late = (
        "args.train_files, args.val_files = args.val_files, args.train_files",
        "setattr(args, 'train_files', args.val_files)",
        "args.train_files = args.train_files.replace('train', 'val')",
        "vars(args)  # what a class holds\ntype.__setattr__(args, 'train_files', args.val_files)",
    )
    if rng.random() < 0.6:
        return replace((old, rng.choice(forms)))
    mark = "\n\ndef print0(text):"
    return replace((mark, f"\n\n{rng.choice(late)}\n{mark}"))


def _compile(rng: random.Random) -> Change:
    """On the real ladder: another compilation, by options that the rules forbid."""
    mark = "    training_time_ms = 0.0\n"
    options = rng.choice(("mode='max-autotune'", "options={'max_autotune': True}", "backend=print"))
    forms = (
        f"model = torch.compile(model, {options})",
        f"model.compile({options})",
        f"compile_ = torch.compile\n    model = compile_(model, {options})",
        f"model = getattr(torch, 'compile')(model, {options})",
        f"from torch import compile as faster\n    model = faster(model, {options})",
        f"import functools\n    model = functools.partial(torch.compile, {options})(model)",
        f"model = torch.compile(**dict(model=model, {options}))",
        "import torch._dynamo\n    model = torch._dynamo.optimize('inductor')(model)",
        "torch._inductor.config.max_autotune = True",
        "torch._inductor.config.patch(max_autotune=True)",
        "setattr(torch._inductor.config, 'max_autotune', True)",
        "import torch._inductor.config as settings\n    settings.max_autotune = True",
        "from torch._inductor import config\n    config.update({'max_autotune': True})",
        "vars(torch._inductor.config).update(max_autotune=True)",
        "for torch._inductor.config.max_autotune in (True,):\n        pass",
    )
    return replace((mark, f"{mark}    {rng.choice(forms)}\n"))


KINDS = (
    Kind("a protected function bound anew", _rebind),
    Kind("a child process, a socket or native code", _call(CHILDREN, "'true'")),
    Kind("a table of counts or its decomposition", _call(TABLES, "torch.ones(3, 3)")),
    Kind("a clock that stands still", _stop_clock),
    Kind("a model in the text of the patch", _carry, rejects=True),
    Kind("a lucky seed", _draw_seed),
    Kind("the timer of a whole script bound anew", _stop_timer, on="nanogpt"),
    Kind("training files swapped with validation files", _swap_files, on="nanogpt"),
    Kind("another compilation", _compile, on="nanogpt"),
)


def spell(seed: int, number: int) -> tuple[Kind, Change]:
    """The ``number``-th attack of a seed."""
    rng = random.Random(f"{seed}/{number}")
    kind = KINDS[number % len(KINDS)]
    return kind, kind.make(rng)


def is_seen(kind: Kind, found: Validation) -> bool:
    severities = {finding.severity for finding in found.findings}
    return "error" in severities or (not kind.rejects and "review" in severities)


def passes_unseen(kind: Kind, change: Change) -> bool:
    """Whether the validator takes it and asks nobody."""
    try:
        return not is_seen(kind, GROUNDS[kind.on]().check(change))
    except UnreadableDiff:
        return False


def find_holes(seed: int, budget: int) -> Iterator[Hole]:
    """The attacks among the first ``budget`` of ``seed`` that pass unseen."""
    for number in range(budget):
        kind, change = spell(seed, number)
        if passes_unseen(kind, change):
            yield Hole(kind.name, f"{seed}/{number}", change(GROUNDS[kind.on]().text))
