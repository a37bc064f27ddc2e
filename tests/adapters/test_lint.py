"""ruff, really run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from patchrun.adapters import lint as module
from patchrun.adapters.lint import find_ruff, lint
from patchrun.core.errors import SetupError
from patchrun.core.lintrules import FATAL


def codes(source: str, name: str = "train.py") -> list[str]:
    return [problem.code for problem in lint(name, source.encode())]


def test_a_clean_file_has_no_problems() -> None:
    assert lint("train.py", b"import os\n\nprint(os.name)\n") == ()


def test_a_problem_has_code_message_line_and_column() -> None:
    (problem,) = lint("train.py", b"import os\n\nprint(os.name, undefined)\n")
    assert (problem.code, problem.line, problem.column) == ("F821", 3, 16)
    assert "`undefined`" in problem.message


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("print(x)\n", "F821"),
        ("return 1\n", "F706"),
        ("break\n", "F701"),
        ("continue\n", "F702"),
        ("yield 1\n", "F704"),
        ("x = 0\n\n\ndef f():\n    print(x)\n    x = 1\n", "F823"),
        ("def f():\n    nonlocal x\n", "PLE0117"),
        ("def f():\n    print(x)\n    global x\n", "PLE0118"),
        ("x = 1\nfrom __future__ import annotations\n", "F404"),
        ("def f():\n    await g()\n\n\nasync def g(): ...\n", "PLE1142"),
        ("print('%d %d' % (1,))\n", "F507"),
        ("print('{} {1}'.format(1, 2))\n", "F525"),
        ("class A:\n    def __init__(self):\n        return 1\n", "PLE0101"),
        ("f = (\n", "invalid-syntax"),
        ("print(*[], b=1, b=2)\n", "invalid-syntax"),
    ],
)
def test_errors_that_end_a_run_are_seen_and_fatal(source: str, code: str) -> None:
    assert code in codes(source)
    assert code in FATAL


def test_every_error_of_the_compiler_is_a_fatal_problem() -> None:
    """What `ast.parse` lets pass and `compile` refuses."""
    for source in ("return\n", "def f(a, a): ...\n", "x: int\nglobal x\n", "def f():\n    global x\n    nonlocal x\n",
                   "[*a] = *b\n", "lambda: (yield)\nyield\n", "class A:\n    return\n", "None = 1\n",
                   "def f(x):\n    global x\n", "async def f():\n    yield from g\n", "*a\n", "del f()\n"):  # fmt: skip
        with pytest.raises(SyntaxError):
            compile(source, "x", "exec")
        assert set(codes(source)) & FATAL, source


def test_newer_grammar_is_left_to_the_parser() -> None:
    assert codes("type Pair[T] = tuple[T, T]\nprint(f'{'nested'}', Pair)\n") == []


@pytest.mark.parametrize("comment", ["# noqa", "# noqa: F821", "# type: ignore"])
def test_a_comment_in_the_patch_cannot_silence_it(comment: str) -> None:
    assert codes(f"# ruff: noqa\n# flake8: noqa\nprint(x)  {comment}\n") == ["F821"]


def test_settings_of_the_folder_and_of_the_user_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ruff.toml").write_text('[lint]\nignore = ["F"]\nselect = ["D"]\n')
    (tmp_path / "train.py").write_text("print(other_name)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUFF_OUTPUT_FORMAT", "concise")
    monkeypatch.setenv("RUFF_OUTPUT_FILE", str(tmp_path / "out.txt"))
    assert codes("print(x)\n") == ["F821"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ruff.toml", "train.py"], "nothing is written"


@pytest.mark.parametrize(
    "name", ["-x.py", "a b.py", "build/x.py", ".venv/x.py", "../x.py", "na\nme.py", "x.txt", "é.py"]
)
def test_any_name_is_checked(name: str) -> None:
    assert codes("print(x)\n", name) == ["F821"]


def test_a_file_that_ruff_cannot_read_is_an_error_with_its_words() -> None:
    with pytest.raises(SetupError, match="UTF-8"):
        lint("train.py", b"x = '\xff'\n")


def test_a_ruff_that_is_none_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "ruff"
    other.write_text("#!/bin/sh\necho hello\n")
    other.chmod(0o755)
    monkeypatch.setattr(module, "find_ruff", lambda: str(other))
    with pytest.raises(SetupError, match="cannot be read"):
        lint("train.py", b"x = 1\n")


def test_ruff_is_found_beside_patchrun() -> None:
    assert os.access(find_ruff(), os.X_OK)
