"""Integrity heuristics: what they see, and what honest patches may do unseen."""

from __future__ import annotations

import pytest

from patchrun.core.filepair import FilePair
from patchrun.core.findings import Finding
from patchrun.core.pyfile import PyFile, parse
from patchrun.core.suspicion import check_integrity

SOURCE = """\
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

DATA = os.environ["PATCHRUN_DATA"]


class Net(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x):
        return F.relu(self.layer(x))


def main():
    tokens = np.fromfile(DATA + "/train.bin", dtype=np.uint16)
    model = Net()
    start = time.perf_counter()
    for step in range(10):
        loss = model(torch.randn(2, 64)).square().mean()
        loss.backward()
        print(f"step:{step}/10 train_loss:{loss.item():.4f} train_time:{1000 * (time.perf_counter() - start):.0f}ms")
    torch.save(model.state_dict(), "out.pt")


main()
"""


def read(text: str, known: PyFile | None = None) -> PyFile:
    file = parse("train.py", text.encode(), known)
    assert isinstance(file, PyFile), file
    return file


def check(after: str, before: str | None = SOURCE) -> list[Finding]:
    old = read(before) if before is not None else None
    return check_integrity(FilePair("train.py", old, read(after, old)))


def added(extra: str) -> list[Finding]:
    """What is seen when lines are put before the last statement."""
    return check(SOURCE.replace("\n\nmain()\n", f"\n\n{extra}\nmain()\n"))


def codes(extra: str) -> set[str]:
    return {finding.code for finding in added(extra)}


SEEN = [
    ("PR501", "time.perf_counter = lambda: 0"),
    ("PR501", "torch.cuda.synchronize = print"),
    ("PR501", "torch.cuda.Event.elapsed_time = print"),
    ("PR501", "import time as t\nt.time = print"),
    ("PR501", "setattr(time, 'time', print)"),
    ("PR502", "time.sleep(1)"),
    ("PR502", "from datetime import datetime"),
    ("PR503", "import subprocess"),
    ("PR503", "os.fork()"),
    ("PR503", "os.execv('x', [])"),
    ("PR503", "from torch import multiprocessing as mp"),
    ("PR503", "os.kill(1, 9)"),
    ("PR504", "import threading"),
    ("PR504", "from concurrent.futures import ThreadPoolExecutor"),
    ("PR504", "import _thread"),
    ("PR505", "import socket"),
    ("PR505", "from urllib.request import urlopen"),
    ("PR505", "torch.hub.load('x', 'y')"),
    ("PR506", "import ctypes"),
    ("PR506", "from torch.utils.cpp_extension import load"),
    ("PR506", "torch.ops.load_library('x.so')"),
    ("PR507", "exec('x')"),
    ("PR507", "eval('x')"),
    ("PR507", "e = eval"),
    ("PR507", "compile('x', 'y', 'exec')"),
    ("PR507", "__import__('json')"),
    ("PR507", "import importlib"),
    ("PR507", "import builtins"),
    ("PR507", "__builtins__.print"),
    ("PR507", "globals()['x']"),
    ("PR507", "import pickle"),
    ("PR507", "torch.load('x')"),
    ("PR507", "getattr(torch, 'cu' + 'da')"),
    ("PR507", "setattr(F, name, print)"),
    ("PR507", "g = getattr"),
    ("PR507", "f(os)"),
    ("PR507", "o, = os,"),
    ("PR507", "[torch]"),
    ("PR508", "os.environ['X'] = 'y'"),
    ("PR508", "del os.environ['X']"),
    ("PR508", "os.environ.update(X='y')"),
    ("PR508", "os.environ.setdefault('X', 'y')"),
    ("PR508", "os.putenv('X', 'y')"),
    ("PR508", "os.chdir('/')"),
    ("PR508", "from os import environ as e\ne['X'] = 'y'"),
    ("PR510", "torch.backends.cudnn.benchmark = True"),
    ("PR510", "torch._inductor.config.max_autotune = True"),
    ("PR510", "torch._dynamo.config.cache_size_limit = 9"),
    ("PR510", "torch.set_float32_matmul_precision('high')"),
    ("PR517", "torch.manual_seed(3)"),
    ("PR518", "m\u0430in = 1"),
    ("PR518", "def r\u0435ad(): ..."),
    ("PR518", "x.b\u0430ckward()"),
    ("PR518", "def f(\u0441\u043e\u0440\u0443): ..."),
    ("PR518", "import os as \u043es"),
    ("PR507", "import cProfile"),
    ("PR507", "from timeit import timeit"),
    ("PR507", "import pdb\npdb.run('x')"),
    ("PR507", "class X:\n    def __reduce__(self): ..."),
    ("PR507", "from functools import singledispatch"),
    ("PR511", "open('/etc/passwd')"),
    ("PR511", "import pathlib"),
    ("PR511", "np.load('x.npy')"),
    ("PR511", "x.read_text()"),
    ("PR511", "os.listdir('..')"),
    ("PR511", "import shutil"),
    ("PR512", "import gc"),
    ("PR512", "import sys\nsys._getframe(1)"),
    ("PR512", "import sys\nsys.settrace(print)"),
    ("PR512", "import sys\nsys.modules['time'] = x"),
    ("PR512", "import inspect"),
    ("PR512", "import atexit"),
    ("PR512", "import signal"),
    ("PR512", "().__class__.__base__.__subclasses__()"),
    ("PR512", "main.__globals__"),
    ("PR512", "frame.f_back"),
    ("PR512", "os._exit(0)"),
    ("PR513", "F.cross_entropy = print"),
    ("PR513", "torch.Tensor.backward = print"),
    ("PR513", "setattr(torch, 'randn', print)"),
    ("PR513", "nn.Linear.forward = print"),
    ("PR514", "print('step:10/10 val_loss:3.2 train_time:1ms')"),
    ("PR514", "log = f'val_loss:{x}'"),
    ("PR515", "import base64"),
    ("PR515", "from zlib import decompress"),
    ("PR515", "bytes.fromhex('00')"),
    ("PR515", "torch.frombuffer(x)"),
    ("PR507", "vars(time).update(time=print)"),
    ("PR507", "import ast\nast.literal_eval(x)"),
    ("PR511", "os.path.exists('x')"),
    ("PR512", "print.__self__"),
    ("PR512", "f.__code__.co_names"),
    ("PR512", "dir(x)"),
    ("PR507", "torch.serialization.load('x')"),
    ("PR508", "os.environ.__setitem__('X', 'y')"),
    ("PR517", "torch.default_generator.set_state(x)"),
    ("PR513", "from unittest import mock"),
    ("PR513", "torch.library.Library('aten', 'IMPL')"),
    ("PR516", "torch.bincount(x)"),
    ("PR516", "from collections import Counter\nCounter(x)"),
    ("PR516", "table.index_put_((a, b), c, True)"),
    ("PR516", "np.add.at(table, a, 1)"),
    ("PR516", "torch.linalg.lstsq(a, b)"),
]


@pytest.mark.parametrize(("code", "extra"), SEEN)
def test_it_is_seen_and_never_rejects(code: str, extra: str) -> None:
    found = added(extra)
    assert code in {finding.code for finding in found}
    assert all(finding.severity != "error" for finding in found)
    assert all(
        finding.line > SOURCE.index("\n\nmain()") // 100 and finding.path == "train.py" for finding in found
    )


@pytest.mark.parametrize(
    "extra",
    [
        "x = torch.zeros(3)",
        "model.eval()",
        "def f(code, gc, signal, array, queue):\n    return code + gc.x + signal[0] + array.y + queue.get()",
        "y = getattr(model, 'layer')",
        "self.compile(x)",
        "np.mean(tokens)",
        "opt = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95))",
        "class Muon(torch.optim.Optimizer):\n    def step(self):\n        self.state['x'] = 1",
        "W = [1, 2, 3] * 100",
        "print('done after', 3, 'steps')",
        "names = ['open', 'exec', 'subprocess']",
        "@torch.no_grad()\ndef f(): ...",
        "model = torch.compile(model)",
        "time_of_step = 1",
        "x = table.index_select(0, order).gather(1, y).scatter_(0, order, 1.0)",
        "a_name_that_says_at_some_length_what_the_variable_is_for = 1",
        "model.signal = torch.signal.windows.hann(8)",
        "\u03b7 = \u03b2 = 0.95\n\u03c3_max = \u0394x = 1",
        "\u0441\u043a\u043e\u0440\u043e\u0441\u0442\u044c = 1",
        "profile = trace = timeit = code = pdb = 1",
        "x = matrix.trace()\nprofile(x)",
        "from typing import NamedTuple\nfrom dataclasses import dataclass\nfrom collections import namedtuple",
        "import logging\nlogging.getLogger('x').info('y')",
        "from functools import lru_cache, partial, cached_property",
        "prof = torch.profiler.profile()",
        "q, r = torch.linalg.qr(x)",
        "F.dropout(x, 0.1, self.training)",
    ],
)
def test_ordinary_code_is_not_seen(extra: str) -> None:
    assert added(extra) == []


def test_what_the_baseline_does_is_not_reported_when_its_place_is_edited() -> None:
    after = SOURCE.replace("    model = Net()\n", "    model = Net(128)\n    model.train()\n").replace(
        "range(10)", "range(9)"
    )
    assert check(after) == []


def test_another_argument_of_a_call_that_reads_files_is_reported() -> None:
    (finding,) = check(SOURCE.replace('DATA + "/train.bin"', '"/root/val.bin"'))
    assert (finding.code, finding.message) == ("PR511", "numpy.fromfile is newly used")
    assert "fromfile" in SOURCE.splitlines()[finding.line - 1]


def test_a_changed_log_line_is_reported_where_it_stands() -> None:
    after = SOURCE.replace("train_loss:{loss.item():.4f}", "train_loss:3.2")
    lines = {after.splitlines()[finding.line - 1].strip()[:5] for finding in check(after)}
    assert lines == {"print"}
    assert {finding.code for finding in check(after)} == {"PR514"}


def test_a_use_is_reported_at_the_changed_line_not_at_the_old_one() -> None:
    after = SOURCE.replace("    model = Net()\n", "    time.sleep(2)\n    model = Net()\n    time.sleep(2)\n")
    found = check(after)
    assert [(one.code, one.message) for one in found] == [("PR502", "time.sleep is newly used")], (
        "once for one name"
    )
    assert "time.sleep" in after.splitlines()[found[0].line - 1]


def test_a_new_file_is_new_as_a_whole() -> None:
    assert {one.code for one in check("import socket\n", None)} == {"PR505"}


def test_a_huge_number_as_an_argument_does_not_stop_the_check() -> None:
    assert codes(f"open(0x{'f' * 9000})") == {"PR511"}


def test_a_removed_file_brings_nothing_in() -> None:
    assert check_integrity(FilePair("train.py", read(SOURCE), None)) == []


def test_an_obfuscated_call_leaves_a_trace_whatever_it_spells() -> None:
    for text in (
        "getattr(__import__('o' + 's'), 'sys' + 'tem')('x')",
        "getattr(os, ''.join(['s', 'ystem']))('x')",
        "vars(os)[name]('x')",
        "os.__dict__[name]('x')",
        "(lambda m: m)(os)",
        "for m in (os,): m.system('x')",
        "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen']",
        "exec(bytes.fromhex('00').decode())",
        "type(os).__getattribute__(os, 'system')",
        "import operator\noperator.attrgetter('system')(os)",
    ):
        assert codes(text) & {"PR507", "PR512"}, text
