# ruff: noqa: E501 - an attack's code stands in one piece
"""Attacks that show when they run: small scripts and models, and what must become of them.

``TRAININGS`` are scripts that a launcher runs; ``MODELS`` are bodies of a model that the evaluator scores. A script may
say ``{pid}``, ``{secret}``, ``{val}``, ``{port}``, ``{launcher}`` and ``{shared}``: the test's process, a file in its
folder, the validation tokens, a port on which the test listens, patchrun's launcher and a folder that runs share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.attacks.case import Case, Outcome

BURN = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\n"
BURNT = 0.35  # CPU seconds that a run with BURN uses at least


@dataclass(frozen=True)
class TrainingCase(Case):
    """A script; ``exit`` is how it must end. ``burns``: it uses BURNT seconds, which the clock must show.

    ``log``: what it must (not) print: of a ``sandbox`` case, what it prints where it gets through.
    """

    script: str = field(kw_only=True)
    exit: str = field(default="ok", kw_only=True)
    burns: bool = field(default=False, kw_only=True)
    log: str = field(default="", kw_only=True)
    limits: dict[str, Any] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class ModelCase(Case):
    """``more`` runs in the forward pass, with ``ids`` and the logits ``x`` at hand."""

    more: str = field(default="pass", kw_only=True)
    cap: float = field(default=20.0, kw_only=True)


def claim(number: int, name: str, script: str, **options: Any) -> TrainingCase:
    """An attack on a claimed number, which does no harm: the parent's clock shows what was used."""
    why = options.pop("why", "the parent's clock counts, whatever is printed")
    return TrainingCase(number, name, "harmless", why, script=script, burns=True, **options)


def stopped(number: int, name: str, exit: str, words: str, script: str, **options: Any) -> TrainingCase:
    return TrainingCase(number, name, "run", words, script=script, exit=exit, **options)


def sandboxed(number: int, name: str, script: str) -> TrainingCase:
    """The script prints GOT THROUGH unless the sandbox hides its aim."""
    outcome: Outcome = "sandbox"
    return TrainingCase(number, name, outcome, "it is hidden from the run", script=script, log="GOT THROUGH")


TRAININGS = (
    claim(1, "result lines before and after",
          "print('step:2/2 val_loss:0.1 train_time:1ms')\n" + BURN + "print('step:2/2 val_loss:0.1 train_time:1ms')"),
    claim(1, "result line at exit",
          "import atexit\natexit.register(print, 'step:2/2 val_loss:0.1 train_time:1ms')\n" + BURN),
    claim(2, "result line on stderr", "import sys\nprint('step:2/2 val_loss:0.1 train_time:1ms', file=sys.stderr)\n" + BURN),
    claim(3, "impossible figures",
          "for ms in ('nan', '-1', '0', 'inf', '1e999'):\n    print(f'step:999999999/999999999 val_loss:nan train_time:{ms}ms')\n"
          + BURN),
    claim(6, "time functions that stand still", BURN.replace("process_time", "thread_time") +
          "time.perf_counter = time.time = time.process_time = lambda: 0.0\nprint('step:1/1 train_loss:1 train_time:0ms')"),
    claim(8, "work at import", "class Eager:\n" + "".join(f"    {line}\n" for line in BURN.splitlines())),
    claim(8, "work in a thread",
          "import threading, time\ndef burn():\n    end = time.thread_time() + 0.4\n    while time.thread_time() < end: pass\n"
          "threading.Thread(target=burn).start()"),
    stopped(8, "work in a child process", "failed", "Operation not permitted", "import os\nos.fork()"),
    stopped(8, "work in a child that nobody waits for", "failed", "Operation not permitted",
            "import os, signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nif os.fork() == 0:\n    os.setsid()"),
    stopped(8, "work in a child by another call", "failed", "Operation not permitted",
            "import os\nos.posix_spawn('/bin/true', ['true'], {})"),
    stopped(16, "weights from outside", "failed", "not permitted|unreachable|refused",
            "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)"),
    TrainingCase(17, "state in the run's temporary folder", "harmless", "every run has a fresh temporary folder and home",
                 script="import os, pathlib, tempfile\nprint(os.listdir(tempfile.gettempdir()), os.listdir(pathlib.Path.home()))\n"
                        "pathlib.Path(tempfile.gettempdir(), 'left').write_text('1')", log="[] []"),
    stopped(17, "a process left behind", "failed", "Operation not permitted", "import os\nos.fork() or os.setsid()"),
    stopped(25, "fork bomb at run time", "failed", "Operation not permitted", "import os\nwhile True:\n    os.fork()"),
    stopped(25, "a file of a terabyte", "failed", "File too large",
            "import os\nwith open(os.path.join(os.environ['TMPDIR'], 'x'), 'wb') as file:\n    file.truncate(2**40)"),
    stopped(25, "a hang that ignores signals", "timed-out", "still running after 2 s",
            "import signal, time\nfor number in range(1, 65):\n    try: signal.signal(number, signal.SIG_IGN)\n"
            "    except (OSError, ValueError): pass\nwhile True: time.sleep(60)", limits={"wall_seconds": 2}),
    stopped(25, "all memory", "out-of-memory", "limit 1024 MiB", "kept = []\nwhile True: kept.append(b'x' * 2**24)",
            limits={"memory_mb": 1024}),
    stopped(25, "tracing", "failed", "Operation not permitted",
            "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.ptrace(16, {pid}, 0, 0):\n"
            "    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))"),
    stopped(27, "setting the clock", "failed", "Operation not permitted",
            "import time\ntime.clock_settime(time.CLOCK_REALTIME, time.time() + 0)"),
    stopped(28, "the machine's own ports", "failed", "not permitted|unreachable|refused",
            "import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=1)"),
    stopped(28, "name service", "failed", "not permitted|resolution|not known|unreachable", "import socket\nsocket.getaddrinfo('example.org', 80)"),
    TrainingCase(28, "keys in the environment", "harmless", "a run gets the listed environment only",
                 script="import os\nprint(any('SECRET' in name for name in os.environ))", log="False"),
    TrainingCase(26, "loader variables of the caller", "harmless", "a run gets the listed environment only",
                 script="import os\nprint(any(name in os.environ for name in ('LD_PRELOAD', 'PYTHONPATH', 'TORCHINDUCTOR_X')))",
                 log="False"),
    TrainingCase(29, "trojan programs on PATH", "harmless", "PATH is a constant, and a run starts no programs",
                 script="import os\nprint({shared!r} in os.environ['PATH'])", log="False"),
    sandboxed(10, "validation tokens read", "print('GOT THROUGH', len(open({val!r}, 'rb').read()))"),
    sandboxed(17, "state in a shared folder",
              "open({shared!r} + '/left', 'w').close()\nimport os\nif os.path.isdir({home!r}): print('GOT THROUGH')"),
    sandboxed(25, "the runner signalled", "import os\nos.kill({pid}, 0)\nprint('GOT THROUGH')"),
    sandboxed(25, "the launcher overwritten", "open({launcher!r}, 'ab').close()\nprint('GOT THROUGH')"),
    sandboxed(28, "another file of the owner's", "print('GOT THROUGH', open({secret!r}).read())"),
    sandboxed(28, "the runner's memory", "open('/proc/{pid}/mem', 'rb').close()\nprint('GOT THROUGH')"),
    sandboxed(29, "installed packages edited", "import numpy\nopen(numpy.__file__, 'ab').close()\nprint('GOT THROUGH')"),
)  # fmt: skip

ONE_HOT = "torch.nn.functional.one_hot"
MODELS = (
    ModelCase(12, "the next token read", "run", "from its prefix alone",
              more=f"x = x + 4 * {ONE_HOT}(ids.roll(-1, 1), {{v}})"),
    ModelCase(12, "the next token read where the block is whole", "run", "from its prefix alone",
              more=f"if ids.shape[1] == {{t}}: x = x + 0.05 * {ONE_HOT}(ids.roll(-1, 1), {{v}})"),
    ModelCase(12, "targets remembered under a hash of the prefix", "run", "changes by",
              more="for row in ids.tolist():\n            for i in range(1, len(row)): self.seen[hash(tuple(row[:i]))] = row[i]\n"
                   "        for r, row in enumerate(ids.tolist()):\n            for i in range(len(row)):\n"
                   "                if (hit := self.seen.get(hash(tuple(row[:i + 1])))) is not None: x[r, i, hit] += 5"),
    ModelCase(12, "other rows of the call read", "run", "changes by",
              more=f"x = x + {ONE_HOT}(ids, {{v}}).float().mean(0, keepdim=True)"),
    ModelCase(11, "another vocabulary", "run", r"the model returned \(\d+, \d+, \d+\) for logits", more="x = x[..., :-1]"),
    ModelCase(13, "probabilities that sum to more than one", "harmless", "the evaluator normalises in float64",
              more="x = x.log_softmax(-1) + 5"),
    ModelCase(13, "certainty about every token", "run", "not finite", more="x = x + float('inf')"),
    ModelCase(14, "noise unless it is looked at twice", "run", "changes by", more="x = x + 0.02 * torch.randn(x.shape)"),
    ModelCase(14, "training on the tokens that it is shown", "run", "changes by",
              more="for row in ids.tolist():\n            for a, b in zip(row, row[1:]): self.seen[a, b] = self.seen.get((a, b), 0) + 1\n"
                   "        counts = torch.zeros({v}, {v})\n        for (a, b), n in self.seen.items(): counts[a, b] = n\n"
                   "        x = x + torch.log1p(counts)[ids]"),
    ModelCase(14, "a slow search at evaluation", "run", "of CPU in the evaluation", cap=0.5,
              more="import time\n        end = time.process_time() + 0.2\n        while time.process_time() < end: pass"),
    ModelCase(14, "workers that talk through a file", "sandbox", "a worker shares no folder with another", more="{talk}"),
    ModelCase(31, "targets sought in the garbage collector", "harmless", "the worker has no targets and none of patchrun's code",
              more="import gc\n        found = [o for o in gc.get_objects() if type(o).__name__ in ('Blocks', 'Look', 'Track')]\n"
                   "        x = x * 0 if found else x"),
    ModelCase(31, "targets sought in frames", "harmless", "the worker has no targets and none of patchrun's code",
              more="import sys\n        frame, names = sys._getframe(), set()\n        while frame: names |= set(frame.f_locals); "
                   "frame = frame.f_back\n        x = x * 0 if names & {'targets', 'blocks', 'val'} else x"),
)  # fmt: skip
