"""What a patch newly uses and binds in a file."""

from __future__ import annotations

from patchrun.core.filepair import FilePair
from patchrun.core.pyfile import PyFile, parse

BEFORE = "import os\nimport time\n\n\ndef f():\n    return time.time()\n\n\nX = os.sep\n"


def pair(after: str, before: str = BEFORE) -> FilePair:
    old = parse("t.py", before.encode())
    assert isinstance(old, PyFile)
    new = parse("t.py", after.encode(), old)
    assert isinstance(new, PyFile)
    return FilePair("t.py", old, new)


def test_only_changed_statements_are_looked_at() -> None:
    both = pair(BEFORE.replace("X = os.sep", "X = os.name"))
    assert [use.name for use in both.uses[0]] == ["os.sep"]
    assert [use.name for use in both.uses[1]] == ["os.name"]


def test_imports_of_unchanged_statements_are_known_to_changed_ones() -> None:
    before = BEFORE.replace("import os", "import os as o").replace("os.sep", "o.sep")
    both = pair(before.replace("o.sep", "o.name"), before)
    assert [use.name for use in both.new_uses] == ["os.name"]


def test_an_import_that_goes_still_counts() -> None:
    both = pair(BEFORE.replace("import os\n", "").replace("X = os.sep", "X = os.name"))
    assert [use.name for use in both.new_uses] == ["os.name"]


def test_a_new_import_counts_over_an_old_one_of_that_name() -> None:
    both = pair(BEFORE.replace("import time", "import random as time").replace("time.time()", "time.seed()"))
    assert "random.seed" in [use.name for use in both.new_uses]


def test_a_use_that_moves_is_not_new() -> None:
    both = pair(BEFORE.replace("X = os.sep\n", "def g():\n    return os.sep\n"))
    assert both.new_uses == []
    assert [binding.qualified for binding in both.new_bindings] == ["g"]


def test_the_new_one_of_two_uses_is_the_one_on_the_new_line() -> None:
    after = BEFORE.replace("    return time.time()", "    print(time.time())\n    return time.time()")
    (use,) = (use for use in pair(after).new_uses if use.name == "time.time")
    assert after.splitlines()[use.line - 1] == "    print(time.time())"


def test_modules_of_both_versions_are_known() -> None:
    assert pair(BEFORE.replace("import os\n", "import math\n")).modules == {"os", "time", "math"}


def test_what_the_baseline_defines() -> None:
    both = pair(BEFORE + "Y = 1\n")
    assert both.defined_before("f") and both.defined_before("X")
    assert not both.defined_before("Y")


def test_the_first_new_line_of_a_node() -> None:
    after = BEFORE.replace("    return time.time()", "    y = 1\n    return y")
    both = pair(after)
    (function,) = both.sides[1]
    assert after.splitlines()[both.first_new_line(function) - 1] == "    y = 1"


def test_files_that_come_and_go_have_one_side() -> None:
    old = parse("t.py", BEFORE.encode())
    assert isinstance(old, PyFile)
    come, go = FilePair("t.py", None, old), FilePair("t.py", old, None)
    assert {use.name for use in come.new_uses} == {"os", "time", "time.time", "os.sep"}
    assert not come.defined_before("f")
    assert go.new_uses == go.new_bindings == []
    assert go.modules == {"os", "time"}
