"""Parsing, comparing and digesting Python files."""

from __future__ import annotations

import ast

import pytest

from patchrun.core.findings import Finding
from patchrun.core.pyfile import (
    PyFile,
    TreeCode,
    canonical_text,
    changed_statements,
    parse,
    parse_baseline,
    take_new,
)

SOURCE = '''\
"""A script."""
import os

RATE = 1  # per step


@decorate
def load(path):
    """Read it."""
    return open(path).read()


class Net:
    width = 64

    def forward(self, x):
        return x


if __name__ == "__main__":
    load("x")
'''


def read(text: str | bytes, known: PyFile | None = None) -> PyFile:
    file = parse("train.py", text.encode() if isinstance(text, str) else text, known)
    assert isinstance(file, PyFile), file
    return file


def refuse(data: bytes) -> Finding:
    finding = parse("train.py", data)
    assert isinstance(finding, Finding)
    return finding


def spelled(statements: list[ast.stmt]) -> list[str]:
    return [ast.unparse(statement) for statement in statements]


@pytest.mark.parametrize(
    "other",
    [
        SOURCE.replace("  # per step", ""),
        SOURCE.replace("RATE = 1", "RATE=(1)"),
        SOURCE.replace('load("x")', "load('x')"),
        SOURCE.replace('load("x")', "load(u'x')"),
        SOURCE.replace("\n\n\n", "\n\n"),
        SOURCE.replace("open(path).read()", "(open(\n    path\n).read())"),
        SOURCE.replace("\n", "\r\n"),
        "\ufeff" + SOURCE,
        "# -*- coding: utf-8 -*-\n" + SOURCE,
    ],
)
def test_layout_does_not_count(other: str) -> None:
    assert read(other).digest == read(SOURCE).digest


@pytest.mark.parametrize(
    "other",
    [
        SOURCE.replace("RATE = 1", "RATE = 1.0"),
        SOURCE.replace("RATE = 1", "RATE = True"),
        SOURCE.replace('"""Read it."""', '"""Read them."""'),
        SOURCE.replace("@decorate\n", ""),
        SOURCE.replace("width = 64", "width: int = 64"),
        SOURCE.replace('load("x")', 'load(b"x")'),
        SOURCE.replace('load("x")', "load(x)"),
        SOURCE.replace("def load", "async def load"),
    ],
)
def test_code_and_docstrings_count(other: str) -> None:
    assert read(other).digest != read(SOURCE).digest


def test_the_canonical_text_agrees_with_pythons_dump() -> None:
    """Equal and unequal pairs of small trees, judged by ast.dump, which knows contexts and prefixes besides."""
    texts = [
        "a.b", "a[0]", "[a, 0]", "(a, 0)", "{a: 0}", "{**a}", "{a, 0}", "'0'", "0", "0.0", "-0.0", "None",
        "f'{a!r:>3}'", "a if b else c", "[a for a in b]", "(a for a in b)", "lambda a, *, b=0: a", "a < b < c",
        "(a := b)", "a()", "a(*b)",
    ]  # fmt: skip
    trees = [ast.parse(text) for text in texts]
    for left in trees:
        for right in trees:
            assert (canonical_text(left) == canonical_text(right)) == (ast.dump(left) == ast.dump(right))


def test_a_syntax_error_has_its_line() -> None:
    finding = refuse(b"a = 1\nb = (\n")
    assert (finding.code, finding.path, finding.line) == ("PR301", "train.py", 2)


@pytest.mark.parametrize(
    "data", [b"a = 1\0\n", b"a = 0777\n", b"x = 1" + b"0" * 5000 + b"\n", b"print 'x'\n", b"\tx\n"]
)
def test_what_is_not_python_is_a_finding(data: bytes) -> None:
    assert refuse(data).code == "PR301"


@pytest.mark.parametrize(
    "data",
    [b"# coding: latin-1\na = '\xe4'\n", b"# -*- coding: utf-7 -*-\n", b"# coding: no-such\n", b"a = '\xe4'\n",
     b"\xef\xbb\xbf# coding: latin-1\n", b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\n"],
)  # fmt: skip
def test_another_encoding_is_a_finding(data: bytes) -> None:
    assert refuse(data).code == "PR305"


@pytest.mark.parametrize(
    "data",
    [
        b"x = " + b"(" * 150 + b"1" + b")" * 150,
        b"x = " + b"-" * 5000 + b"1",
        b"x = 1" + b" + 1" * 5000,
        b"x = " + b"[" * 100_000,
        b"".join(b" " * depth + b"if x:\n" for depth in range(90)) + b" " * 90 + b"x" + b".a" * 300,
    ],
)
def test_deep_nesting_is_a_finding_never_a_crash(data: bytes) -> None:
    finding = parse("train.py", data)
    assert isinstance(finding, PyFile) or finding.code in ("PR301", "PR302")
    if isinstance(finding, PyFile):
        assert finding.digest


def test_nesting_beyond_the_limit_is_refused_and_below_it_is_not() -> None:
    assert refuse(b"x = 1" + b" + 1" * 210).code == "PR302"
    assert isinstance(parse("train.py", b"x = 1" + b" + 1" * 150), PyFile)


def test_a_baseline_is_not_refused_for_its_depth_and_still_has_a_digest() -> None:
    file = parse_baseline("train.py", b"x = 1" + b" + 1" * 210)
    assert isinstance(file, PyFile)
    assert len(file.digest) == 64


def test_a_huge_integer_in_hexadecimal_has_a_digest() -> None:
    assert read("x = 0x" + "f" * 20_000).digest != read("x = 0x" + "e" * 20_000).digest


def test_a_baseline_is_parsed_once() -> None:
    assert parse_baseline("train.py", SOURCE.encode()) is parse_baseline("train.py", SOURCE.encode())


def test_a_patched_file_shares_the_statements_that_stand_unchanged() -> None:
    before = read(SOURCE)
    after = read(SOURCE.replace("RATE = 1", "RATE = 2"), before)
    shared = [one.node for one in after.statements if one in before.statements]
    assert len(shared) == len(before.statements) - 1
    assert after.digest == read("\n".join(after.lines)).digest


EDITS = [
    ("RATE = 1", "RATE = 2"),
    ("import os\n", "import os\nimport sys\n"),
    ("import os\n", ""),
    ("@decorate\n", ""),
    ("@decorate\n", "@decorate\n@again\n"),
    ("    return x\n", "    return x + 1\n"),
    ('if __name__ == "__main__":\n', "if True:\n"),
    ('    load("x")\n', '    load("x")\nelse:\n    pass\n'),
    ("RATE = 1  # per step\n", "RATE = 1; STEPS = 2\n"),
    ("RATE = 1  # per step\n", 'TEXT = """\n'),
    ("RATE = 1  # per step\n", "RATE = (\n"),
    ("RATE = 1  # per step\n", "RATE = 1 + \\\n"),
    ("RATE = 1  # per step\n", "if RATE:\n"),
    ("RATE = 1  # per step\n", 'T = """\nimport os\n"""\n'),
    ('"""A script."""\n', ""),
    ("class Net:\n", "class Other:\n    pass\n\n\nclass Net:\n"),
]


@pytest.mark.parametrize(("old", "new"), EDITS)
def test_sharing_gives_the_same_file_or_error_as_reading_it_alone(old: str, new: str) -> None:
    text = SOURCE.replace(old, new)
    alone, beside = parse("t.py", text.encode()), parse("t.py", text.encode(), read(SOURCE))
    if isinstance(alone, Finding):
        assert beside == alone
    else:
        assert isinstance(beside, PyFile)
        assert [one.canonical for one in beside.statements] == [one.canonical for one in alone.statements]
        assert beside.digest == alone.digest


@pytest.mark.parametrize(("old", "new"), EDITS)
def test_sharing_goes_both_ways(old: str, new: str) -> None:
    known = parse("t.py", SOURCE.replace(old, new).encode())
    if isinstance(known, PyFile):
        assert read(SOURCE, known).digest == read(SOURCE).digest


def test_text_that_was_inside_a_string_is_read_as_code_once_the_string_is_gone() -> None:
    before = read('T = """\nimport os\n"""\nx = 1\n')
    after = read("import os\nx = 1\n", before)
    assert spelled(changed_statements(before, after)[1]) == ["import os"]


def test_new_statements_have_the_line_numbers_of_the_patched_file() -> None:
    before = read(SOURCE)
    text = SOURCE.replace("class Net:\n", "X = 1\n\n\nclass Net:\n").replace("width = 64", "width = 32")
    changed = changed_statements(before, read(text, before))[1]
    lines = text.split("\n")
    assert [lines[node.lineno - 1] for node in changed] == ["X = 1", "class Net:"]


def test_changed_statements_are_those_that_one_side_lacks() -> None:
    before, after = read("a = 1\nb = 2\nc = 3\n"), read("b = 2\nc = 4\na = 1\n")
    assert [spelled(side) for side in changed_statements(before, after)] == [["c = 3"], ["c = 4"]]


def test_a_statement_that_is_repeated_is_new_the_second_time() -> None:
    before, text = read("a = 1\nb = 2\n"), "a = 1\nb = 2\na = 1\n"
    (again,) = changed_statements(before, read(text, before))[1]
    assert again.lineno == 3


def test_a_missing_side_has_no_statements() -> None:
    file = read("a = 1\n")
    assert [spelled(side) for side in changed_statements(None, file)] == [[], ["a = 1"]]
    assert [spelled(side) for side in changed_statements(file, None)] == [["a = 1"], []]


def test_statements_on_one_line_belong_together() -> None:
    before = read("a = 1; b = 2\nc = 3\n")
    after = read("a = 1; b = 4\nc = 3\n", before)
    assert spelled(changed_statements(before, after)[1]) == ["a = 1", "b = 4"]


def test_take_new_counts_each_key_and_reports_changed_places_first() -> None:
    fresh = take_new(
        ["x", "y"], ["x1", "x2", "y1"], key=lambda item: item[0], is_kept=lambda item: item == "x2"
    )
    assert fresh == ["x1"]


def test_a_tree_digest_goes_by_code_for_python_and_by_blob_for_the_rest() -> None:
    oids = {"train.py": "1" * 40, "notes.txt": "2" * 40}
    code = {"train.py": read(SOURCE)}
    same = TreeCode({**oids, "train.py": "3" * 40}, {"train.py": read(SOURCE.replace("  # per step", ""))})
    assert TreeCode(oids, code).digest == same.digest
    assert TreeCode({**oids, "notes.txt": "4" * 40}, code).digest != same.digest
    assert (
        TreeCode({"other.py": "1" * 40, "notes.txt": "2" * 40}, {"other.py": read(SOURCE)}).digest
        != same.digest
    )
    assert TreeCode(oids, {}).digest != same.digest
