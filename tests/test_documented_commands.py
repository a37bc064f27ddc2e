"""Every command line in the documents, and every one that messages name, exists with its options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from patchrun.faces import cli

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path for pattern in ("*.md", "docs/*.md", "examples/*.md", "baselines/*/*.md", "hint_tiers/*.md")
    for path in ROOT.glob(pattern)
)  # fmt: skip
MODULES = sorted((ROOT / "patchrun").rglob("*.py"))
QUOTED = re.compile(r"`patchrun ([^`{]+)`")
TYPED = re.compile(r"^ *(?:\$ )?patchrun ((?:-C|[a-z]+) ?[^|>&#\n]*)", re.MULTILINE)
BLOCK = re.compile(r"^```\w*\n(.*?)^```|((?:^ {4,}.*\n)+)", re.MULTILINE | re.DOTALL)
OF_WORKSPACES = {"try"}  # the program `patchrun` that lies in an agent's workspace


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def list_lines(text: str) -> Iterator[str]:
    yield from QUOTED.findall(text)
    for block in BLOCK.finditer(text):
        yield from TYPED.findall(block[1] or block[2])


def split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an apostrophe, or a quotation that goes on
        return line.split()


def find_trouble(line: str) -> str:
    """What of a command line (without ``patchrun``) does not exist; empty where all does."""
    command: click.Command = cli.cli
    words = iter(split(line))
    for word in words:
        word = word.split("=")[0]
        known = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        if word.startswith("-") and len(word) > 1 and not word[1].isdigit():
            if word not in known | {"--help", "-h", "--version"}:
                return f"{command.name} has no {word}"
            if word == "-C":
                next(words)
        elif isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return f"no command {word}" if command is cli.cli and word not in OF_WORKSPACES else ""
            command = found
    return ""


@pytest.mark.parametrize(
    ("line", "trouble"),
    [
        ("submit a.diff --record 5 --agent me", ""),
        ("-C arena leaderboard --pick best", ""),
        ("final reveal --by me", ""),
        ("keys allow node1 node1.pub", ""),
        ("try 30", ""),
        ("leaderbord", "no command leaderbord"),
        ("submit a.diff --recrod 5", "submit has no --recrod"),
        ("-C arena final check --tokens x", "check has no --tokens"),
        ("show -x", "show has no -x"),
    ],
)
def test_a_line_that_does_not_exist_is_found(line: str, trouble: str) -> None:
    assert find_trouble(line) == trouble


def test_lines_are_found_in_prose_and_in_blocks() -> None:
    text = "Say `patchrun gc`:\n\n    patchrun -C a show ID | less\n\n```sh\n$ patchrun status\npatchrun is\n```\n"
    assert [line.strip() for line in list_lines(text)] == ["gc", "-C a show ID", "status", "is"]


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_documents_name_commands_and_options_that_exist(path: Path) -> None:
    for line in list_lines(path.read_text(encoding="utf-8")):
        assert find_trouble(line) == "", line


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_messages_and_docstrings_name_commands_and_options_that_exist(path: Path) -> None:
    for line in QUOTED.findall(path.read_text(encoding="utf-8")):
        assert find_trouble(line) == "", line


def test_the_documents_do_name_commands() -> None:
    said = [line for path in PAGES for line in list_lines(path.read_text(encoding="utf-8"))]
    assert len(said) > 100 and {"init", "submit", "leaderboard"} <= {line.split()[0] for line in said}
