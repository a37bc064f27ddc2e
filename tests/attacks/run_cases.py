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
    """``more`` stands in the forward pass, with ``ids`` and the logits ``x`` at hand, and two buffers: ``self.text``,
    90 stored tokens, and ``self.calls``, a number.
    """

    more: str = field(default="pass", kw_only=True)


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
    stopped(25, "1,500 folders inside each other", "failed", "too many folders",
            "import os\nos.chdir(os.environ['PATCHRUN_OUT'])\nfor _ in range(1500):\n    os.mkdir('d')\n    os.chdir('d')\nos.chdir('/')"),
    stopped(25, "locks on a library that all runs share", "failed", "Operation not permitted",
            "import fcntl, numpy\nfcntl.lockf(open(numpy.__file__), fcntl.LOCK_SH)"),
    stopped(25, "the page cache asked what others have read", "failed", "Operation not permitted",
            "import numpy, os\nos.preadv(os.open(numpy.__file__, os.O_RDONLY), [bytearray(1)], 0, os.RWF_NOWAIT)"),
    stopped(25, "the page cache emptied", "failed", "Operation not permitted",
            "import numpy, os\nos.posix_fadvise(os.open(numpy.__file__, os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)"),
    stopped(25, "a pipe for the grader to wait at", "failed", "Operation not permitted",
            "import os\nos.mkfifo(os.environ['PATCHRUN_OUT'] + '/model.safetensors')"),
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

AHEAD = "torch.cat([ids[:, 1:], ids[:, :1] * 0], 1)"
IS = "(%s[..., None] == torch.arange({v})).float()"
SEEN = "what follows and the other rows are replaced"
DEPENDS = "cannot be exported"
STATE = "changes nothing"


def looking(name: str, more: str) -> ModelCase:
    return ModelCase(12, name, "run", SEEN, more=more)


def counting(name: str, words: str, more: str) -> ModelCase:
    return ModelCase(16, f"stored text counted by {name}", "run", words, more=more)


LOOKS = (
    looking("the next token read", f"x = x + 4 * {IS % AHEAD}"),
    looking("the next token read at every seventh position", f"x = x + 4 * {IS % AHEAD} * (torch.arange({{t}}) % 7 == 0)[:, None]"),
    looking("the next token read after one token only", f"x = x + 4 * {IS % AHEAD} * (ids == 3)[..., None]"),
    looking("the next token read in some rows of a batch", f"x = x + 4 * {IS % AHEAD} * (torch.arange(8) < 2)[:, None, None]"),
    looking("the next token read in small numbers", f"x = x + 0.001 * {IS % AHEAD}"),
    looking("the next token read in half precision", f"x = x + ({IS % AHEAD} + 64).bfloat16().float()"),
    looking("later positions summed", "x = x + 0.1 * x.flip(1).cumsum(1).flip(1)"),
    looking("later positions seen by a convolution", "x = x + F.conv1d(x.mT, torch.ones({v}, 1, 3), padding=1, groups={v}).mT"),
    looking("later positions seen by attention without a mask", "x = x + F.scaled_dot_product_attention(x, x, x)"),
    looking("later positions seen by a softmax over time", "x = x + x.softmax(1)"),
    looking("later positions picked by the largest", "x = x + x.gather(1, x.argmax(1, keepdim=True))"),
    looking("the last position seen at every other", "x = x + x[:, -1:]"),
    looking("other rows of the call read", f"x = x + {IS % 'ids'}.mean(0, keepdim=True)"),
    looking("the row before read", "x = x + x.roll(1, 0)"),
    looking("other rows summed up to one's own", "x = x + 0.01 * x.cumsum(0)"),
    looking("other rows seen by attention across the batch",
            "q = x.transpose(0, 1)\n        x = x + F.scaled_dot_product_attention(q, q, q).transpose(0, 1)"),
    looking("other rows seen by a product across the batch", "x = x + torch.einsum('btv,ctv->btc', x, x).sum(-1, keepdim=True) * x"),
    looking("other rows seen by their largest logit", "x = x * (x - x.amax(0))"),
    looking("rows counted by comparison and product",
            f"a = {IS % 'ids'}\n        x = x + torch.einsum('btu,btv->uv', a[:, :-1], a[:, 1:])[ids].log1p()"),
)  # fmt: skip

COUNTS = (
    counting("one-hot vectors", "one_hot", "x = x + F.one_hot(self.text, {v}).sum(0)"),
    counting("scattering", "scatter_add|cannot be exported", "x = x + torch.zeros({v}).scatter_add(0, self.text, torch.ones(90))"),
    counting("putting with accumulation", "put", "x = x + torch.zeros({v}).put(self.text, torch.ones(90), True)"),
    counting("indexed assignment", "index_put|table of counts",
             "c = torch.zeros({v})\n        c.index_put_((self.text,), torch.ones(90), accumulate=True)\n        x = x + c"),
    counting("index_add", "index_add", "x = x + torch.zeros({v}).index_add(0, self.text, torch.ones(90))"),
    counting("bincount", "bincount|cannot be exported", "x = x + torch.bincount(self.text, minlength={v})"),
    counting("a histogram", "histc", "x = x + torch.histc(self.text.float(), {v}, 0, {v})"),
    counting("sorting", "sort", "x = x + torch.sort(self.text).values[:{v}]"),
    counting("searching", "searchsorted", "x = x + torch.searchsorted(self.text, torch.arange({v}))"),
    counting("the gradient of an embedding", "embedding|operator|cannot be exported",
             "x = x + torch.ops.aten.embedding_dense_backward(torch.ones(90, {v}), self.text, {v}, -1, False)"),
    counting("unique", "unique|cannot be exported", "x = x + torch.unique(self.text, return_counts=True)[1].sum()"),
)  # fmt: skip

HIDDEN = (
    ModelCase(14, "a buffer that counts calls", "run", STATE, more="self.calls.add_(1)\n        x = x + self.calls"),
    ModelCase(14, "a buffer that is set to the tokens", "run", STATE, more="self.calls.copy_(ids.sum())\n        x = x + self.calls"),
    ModelCase(14, "weights that learn when they are asked", "run", f"{STATE}|{DEPENDS}",
              more="with torch.no_grad(): self.table.weight.add_(0.01 * x.mean((0, 1)))"),
    ModelCase(14, "a list that remembers", "harmless", "what is kept during the export is not in the graph",
              more="self.seen[len(self.seen)] = 1\n        x = x + 0 * len(self.seen)"),
    ModelCase(14, "noise unless it is looked at twice", "run", "random numbers", more="x = x + 0.02 * torch.randn(x.shape)"),
    ModelCase(14, "noise by dropout that is always on", "run", "random numbers|training mode|dropout", more="x = F.dropout(x, 0.1, True)"),
    ModelCase(14, "memory that nobody wrote", "harmless", "it reads as zero", more="x = x + torch.empty(x.shape) * 0"),
    ModelCase(14, "training in eval()", "harmless", "eval() runs where there is no data and no weights",
              more="self.train = lambda mode: [self.table.weight.data.fill_(1) for _ in range(9)]"),
    ModelCase(14, "gradient steps in the forward pass", "run", f"{DEPENDS}|operator|{STATE}",
              more="with torch.enable_grad():\n            g = torch.autograd.grad(F.cross_entropy(self.table(ids).flatten(0, 1), "
                   "ids.flatten()), self.table.weight)[0]\n        x = x - g[ids]"),
    ModelCase(14, "targets remembered under a hash of the prefix", "run", DEPENDS,
              more="for row in ids.tolist():\n            for i in range(1, len(row)): self.seen[hash(tuple(row[:i]))] = row[i]"),
    ModelCase(14, "training on the tokens that it is shown", "run", DEPENDS,
              more="for row in ids.tolist():\n            for a, b in zip(row, row[1:]): self.seen[a, b] = self.seen.get((a, b), 0) + 1"),
    ModelCase(14, "a slow search at evaluation", "harmless", "it runs once, in the export, where there is nothing to search",
              more="import time\n        end = time.process_time() + 0.2\n        while time.process_time() < end: pass"),
    ModelCase(14, "a branch on what is shown", "run", DEPENDS, more="if ids[0, 0] == 3: x = x * 2"),
    ModelCase(14, "workers that talk through a file", "run", DEPENDS,
              more="import json\n        json.dump(ids.tolist(), open('/tmp/talk.json', 'w'))"),
    ModelCase(14, "workers that talk by locks on a file", "run", DEPENDS,
              more="import fcntl, torch as t\n        [fcntl.lockf(open(t.__file__), fcntl.LOCK_SH, 1, int(i)) for i in ids[0]]"),
)  # fmt: skip

MODELS = (
    *LOOKS, *COUNTS, *HIDDEN,
    ModelCase(11, "another vocabulary", "run", "not floating-point logits", more="x = x[..., :-1]"),
    ModelCase(11, "logits as integers", "run", "not floating-point logits", more="x = x.long()"),
    ModelCase(11, "complex logits", "run", "not of its form|complex|cannot be exported", more="x = torch.complex(x, x)"),
    ModelCase(13, "probabilities that sum to more than one", "harmless", "the evaluator normalises in float64",
              more="x = x.log_softmax(-1) + 5"),
    ModelCase(13, "certainty about every token", "run", "not finite", more="x = x + float('inf')"),
    ModelCase(16, "a table in the graph's constants", "run", "constants and buffers outside",
              more="x = x + torch.tensor([[float(i * j % 97) for i in range(200)] for j in range(200)])[ids].sum(-1, keepdim=True)"),
    ModelCase(25, "a model of a terabyte", "run", "bytes, shape|cannot be exported", more="x = x + torch.ones(10**6, 10**6).sum()"),
    ModelCase(31, "targets sought in the garbage collector", "harmless", "the code runs where there are no targets and none of patchrun's",
              more="import gc\n        found = [o for o in gc.get_objects() if type(o).__name__ in ('Blocks', 'Look', 'Track')]\n"
                   "        x = x * (len(found) * 0 + 1)"),
)  # fmt: skip
