"""Protected and watched definitions, and forbidden names."""

from __future__ import annotations

import pytest

from patchrun.core.errors import ManifestError
from patchrun.core.filepair import FilePair
from patchrun.core.findings import Finding
from patchrun.core.pyfile import PyFile, parse
from patchrun.core.pyrules import check_track_rules
from patchrun.core.track import Edit

SOURCE = """\
import os
import time

TOKENS = 1024


def load(path):
    # how tokens are read
    return open(path).read()


class Loader:
    size = 8

    def next_batch(self):
        return load("x")

    def other(self):
        return 1


def main():
    start = time.time()
    for batch in range(TOKENS):
        Loader().next_batch()
    print(time.time() - start)


main()
"""
PROTECTED = (
    "train.py:load",
    "train.py:Loader.next_batch",
    "train.py:TOKENS",
    "train.py:Loader.size",
    "lib.py:helper",
)


def read(text: str | None, known: PyFile | None = None) -> PyFile | None:
    if text is None:
        return None
    file = parse("train.py", text.encode(), known)
    assert isinstance(file, PyFile), file
    return file


def check(after: str | None, before: str | None = SOURCE, **rules: tuple[str, ...]) -> list[Finding]:
    edit = Edit(paths=("train.py",), **(rules or {"protected": PROTECTED}))
    old = read(before)
    return check_track_rules(FilePair("train.py", old, read(after, old)), edit)


def told(*args: str | None, **rules: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(one.code, one.severity) for one in check(*args, **rules)]


def test_what_is_not_protected_may_change() -> None:
    after = (
        SOURCE.replace("return 1", "return 2").replace("print(", "print('took', ").replace("import os\n", "")
    )
    assert told(after) == []


@pytest.mark.parametrize(
    "after",
    [
        SOURCE.replace("    # how tokens are read\n", "").replace(
            "open(path).read()", "(open( path ).read())"
        ),
        SOURCE.replace("TOKENS = 1024", "TOKENS = (1024)  # many"),
        SOURCE.replace(
            "    size = 8\n\n    def next_batch(self):", "    size = 8\n\n\n    def next_batch(  self ):"
        ),
        SOURCE.replace("def load", "def helper():\n    pass\n\n\ndef load"),
        SOURCE.replace("TOKENS = 1024\n", "").replace("import time\n", "import time\n\nTOKENS = 1024\n"),
    ],
)
def test_layout_and_place_may_change(after: str) -> None:
    assert told(after) == []


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("open(path)", "open('y')", "load"),
        ("def load(path)", "def load(path, more=1)", "load"),
        ("def load", "@cache\ndef load", "load"),
        ("def load", "async def load", "load"),
        ("TOKENS = 1024", "TOKENS = 512", "TOKENS"),
        ("TOKENS = 1024", "TOKENS: int = 1024", "TOKENS"),
        ("size = 8", "size = 9", "Loader.size"),
        ('load("x")', 'load("y")', "Loader.next_batch"),
    ],
)
def test_a_changed_definition_is_an_error_at_the_line_that_changed(old: str, new: str, name: str) -> None:
    after = SOURCE.replace(old, new)
    (finding,) = check(after)
    assert (finding.code, finding.severity) == ("PR401", "error")
    assert finding.message == f"{name} is protected and was changed"
    line = after.split("\n")[finding.line - 1]
    assert line in new or new in line


def test_a_definition_that_only_lost_lines_is_shown_where_it_begins() -> None:
    before = SOURCE.replace("    return open(path)", "    print(path)\n    return open(path)")
    after = SOURCE
    (finding,) = check(after, before)
    assert after.split("\n")[finding.line - 1] == "def load(path):"


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        ("TOKENS = 1024\n", "", 1),
        ("def load", "def read", 1),
        ("class Loader:", "class Feeder:", 2),
        ("def next_batch", "def _next_batch", 1),
        ("def load(path):\n    # how", "def outer():\n  def load(path):\n    # how", 1),
    ],
)
def test_a_definition_that_is_gone_is_an_error(old: str, new: str, count: int) -> None:
    found = [one for one in told(SOURCE.replace(old, new)) if one[0] == "PR402"]
    assert found == [("PR402", "error")] * count


def test_every_protected_definition_of_a_removed_file_is_gone() -> None:
    assert told(None) == [("PR402", "error")] * 4


@pytest.mark.parametrize(
    "extra",
    [
        "def load(path):\n    return 1\n",
        "load = print\n",
        "load: object = print\n",
        "TOKENS += 1\n",
        "del load\n",
        "(load, other) = 1, 2\n",
        "for load in [print]:\n    pass\n",
        "from os import open as load\n",
        "import os as TOKENS\n",
        "if (TOKENS := 5):\n    pass\n",
        "def patch():\n    global load\n    load = print\n",
        "with open('x') as TOKENS:\n    pass\n",
        "Loader.next_batch = print\n",
        "Loader.size = 1\n",
        "del Loader.next_batch\n",
        "setattr(Loader, 'next_batch', print)\n",
        "load.__code__ = print\n",
        "load.__defaults__ = (1,)\n",
        "globals()['load'] = print\n",
        "import sys\nsys.modules[__name__].load = print\n",
        "import sys\nsys.modules['train'].load = print\n",
        "import train\ntrain.load = print\n",
        "import __main__ as m\nm.load = print\n",
        "class load:\n    pass\n",
        "try:\n    pass\nexcept Exception as load:\n    pass\n",
        "match 1:\n    case load:\n        pass\n",
        "_ = lambda x=(load := print): x\n",
        "_ = lambda: setattr(Loader, 'next_batch', print)\n",
        "[0 for Loader.size in (9,)]\n",
        "[0 for globals()['load'] in (print,)]\n",
        "f'{(load := print)}'\n",
        "class A:\n    global load\n    load = print\n",
        "def patch():\n    global load\n    import os as load\n",
        "globals().update(load=print)\n",
        "globals().update([('load', print)])\n",
        "g = globals()\ng |= {'load': print}\n",
        "import operator\noperator.setitem(globals(), 'load', print)\n",
        "load.__globals__['load'] = print\n",
        "globals()['lo' + 'ad'] = print\n",
        "exec('load = print')\n",
        "exec(f'load = {1}')\n",
        "from functools import partial\npartial(setattr, Loader, 'size')(9)\n",
        "vars(Loader).update(size=9)\n",
        "with open('x') as Loader.size:\n    pass\n",
    ],
)
def test_binding_a_protected_name_again_is_an_error_where_it_happens(extra: str) -> None:
    after = SOURCE.replace("\n\nmain()\n", f"\n\n{extra}\n\nmain()\n")
    found = check(after)
    assert [(one.code, one.severity) for one in found] == [("PR403", "error")]
    assert found[0].line > 20


def test_the_class_of_a_protected_method_may_not_be_bound_anew() -> None:
    found = told(SOURCE.replace("\n\nmain()\n", "\n\nLoader = print\n\n\nmain()\n"))
    assert found == [("PR403", "error")] * 2  # the method and the field


def test_a_second_definition_is_seen_where_the_first_one_changed_too() -> None:
    after = SOURCE.replace("open(path)", "open('y')") + "\n\ndef load(path):\n    return 1\n"
    (finding,) = check(after)
    assert (finding.code, finding.line) == ("PR403", 32)


@pytest.mark.parametrize(
    "extra",
    [
        "def f(load):\n    return load\n",
        "def f():\n    load = print\n    load()\n",
        "self.next_batch = print\n",
        "Loader().next_batch = print\n",
        "import other\nother.load = print\n",
        "from other import *\n",
        "f = lambda: (load := print)\n",
        "def f():\n    for load in (print,):\n        load()\n",
    ],
)
def test_what_may_hide_a_protected_name_asks_a_person(extra: str) -> None:
    after = SOURCE.replace("\n\nmain()\n", f"\n\n{extra}\n\nmain()\n")
    assert set(told(after)) == {("PR403", "review")}


@pytest.mark.parametrize(
    "extra",
    [
        "self.load = 1\n",
        "print(load)\n",
        "loader = 1\n",
        "x = [load for load in range(3)]\n",
        "f = lambda load: load\n",
        "x = {}\nx.update(load=1)\nx |= {'TOKENS': 2}\n",
        "print(dict(load=1), [TOKENS for TOKENS in (1,)])\n",
        "vars(Other).update(x=1)\n",
        "match 1:\n    case other:\n        pass\n",
        "if (late := TOKENS > 5):\n    pass\n",
        "exec('x = load')\n",
        "setattr(Other, 'other', 1)\n",
        "def f(x): return x.load\n",
        "Loader.other = 1\n",
        "Loader2.sizes = 1\n",
    ],
)
def test_what_only_looks_alike_is_fine(extra: str) -> None:
    assert told(SOURCE.replace("\n\nmain()\n", f"\n\n{extra}\n\nmain()\n")) == []


def test_what_the_baseline_does_itself_is_not_the_patchs_fault() -> None:
    before = SOURCE + "\nload = print\n\n\ndef f(TOKENS):\n    return 1\n"
    assert told(before.replace("return 1", "return 2"), before) == []


def test_a_protected_name_that_the_baseline_lacks_may_come() -> None:
    assert told(SOURCE + "\n\ndef later():\n    pass\n", protected=("train.py:later",)) == []
    assert told(SOURCE, None, protected=PROTECTED) == []


def test_a_watched_definition_asks_a_person_once() -> None:
    after = SOURCE.replace("open(path)", "open('y')") + "\nload = print\nload = print\n"
    (finding,) = check(after, review=("train.py:load",))
    assert (finding.code, finding.severity) == ("PR404", "review")
    assert "watched" in finding.message


def test_a_rule_that_names_no_definition_is_the_tracks_fault() -> None:
    with pytest.raises(ManifestError, match="'train.py' is not a definition"):
        check(SOURCE, protected=("train.py",))


FORBIDDEN = {"forbidden_calls": ("os.system", "subprocess", "eval")}


@pytest.mark.parametrize(
    "extra",
    [
        "os.system('x')\n",
        "import os as o\no.system('x')\n",
        "from os import system\n",
        "from os import *\n",
        "from subprocess import Popen as p\n",
        "import subprocess.x\n",
        "eval('1')\n",
        "f = eval\n",
        "getattr(os, 'system')('x')\n",
        "__import__('subprocess')\n",
        "__import__('os').system('x')\n",
        "def f():\n    return os.system\n",
        "os.system = None\n",
    ],
)
def test_a_forbidden_name_is_an_error_where_it_is_newly_used(extra: str) -> None:
    found = check(SOURCE + extra, **FORBIDDEN)
    assert {(one.code, one.severity) for one in found} == {("PR405", "error")}
    assert all(one.line >= 30 for one in found)


@pytest.mark.parametrize(
    "extra", ["os.getcwd()\n", "model.eval()\n", "system = 1\n", "# os.system('x')\n", "'os.system'\n"]
)
def test_other_names_are_not_forbidden(extra: str) -> None:
    assert told(SOURCE + extra, **FORBIDDEN) == []


def test_a_use_that_the_baseline_has_stays_allowed_and_one_more_does_not() -> None:
    before = SOURCE + "os.system('x')\n"
    assert told(before.replace("'x'", "'y'"), before, **FORBIDDEN) == []
    assert told("import this\n" + before.replace("1024", "1"), before, **FORBIDDEN) == []
    (finding,) = check(before + "os.system('z')\n", before, **FORBIDDEN)
    assert finding.line == len(before.splitlines()) + 1


def test_an_import_that_gives_old_code_a_new_meaning_is_seen_itself() -> None:
    before = "from tools import run\n\nrun('x')\n"
    (finding,) = check("from os import system as run\n\nrun('x')\n", before, **FORBIDDEN)
    assert finding.line == 1


READER = """\
import os
import numpy as np
import torch
import torch.nn.functional as F
from pathlib import Path


def load(path):
    folder = os.environ["X"]
    return np.fromfile(Path(folder) / path)[: max(1, len(path))]


def draw():
    return torch.randint(3, (1,))
"""
READS = Edit(paths=("train.py",), protected=("train.py:load",))


def on_reader(extra: str, source: str = READER) -> list[tuple[str, str]]:
    before = read(source)
    assert before
    found = check_track_rules(FilePair("train.py", before, read(source + extra, before)), READS)
    return [(one.code, one.severity) for one in found]


@pytest.mark.parametrize(
    "extra",
    [
        "np = torch", "from x import Path", "import pathlib as os", "def len(x): ...", "class max: ...",
        "np.fromfile = f", "torch.Tensor.fromfile = f",
        "setattr(np, 'fromfile', f)", "np.__dict__['fromfile'] = f", "import builtins\nbuiltins.len = f",
        "for np in []: ...", "with f as Path: ...", "def g():\n    global os\n    os = 1", "del np", "os.environ = {}",
        "try: ...\nexcept E as os: ...", "np: object = f", "(np := f)", "import numpy\nnumpy.fromfile = f",
    ],
)  # fmt: skip
def test_what_a_protected_definition_reads_may_not_be_replaced(extra: str) -> None:
    assert ("PR403", "error") in on_reader(f"\n\n{extra}\n")


@pytest.mark.parametrize(
    "extra",
    [
        "import numpy as np", "import os.path", "from pathlib import Path, PurePath", "F = torch", "torch.randint = f",
        "def g(len):\n    np = len\n    return np", "class A:\n    max = 1", "os.environ['Y'] = '1'", "x = np.fromfile",
        "np.random.seed(1)", "np.savetxt = f", "min = f", "torch.Tensor.tolist = f", "torch.config.fromfile = f",
    ],
)  # fmt: skip
def test_what_it_does_not_read_and_the_same_import_are_free(extra: str) -> None:
    assert on_reader(f"\n\n{extra}\n") == []


def test_the_finding_says_who_reads_what() -> None:
    before = read(READER)
    assert before
    after = read(READER + "\n\nnp = torch\n", before)
    (finding,) = check_track_rules(FilePair("train.py", before, after), READS)
    assert finding.message == "load is protected and reads np, which is bound anew"
    assert finding.line == 17
