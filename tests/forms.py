# ruff: noqa: E501 - diffs stand in one piece
"""Diffs, and what tools and models do to the form of a diff without changing what it means."""

from __future__ import annotations

import difflib
import html
import random
import re
from collections.abc import Callable

HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@.*$", re.MULTILINE)
PATH = "train_gpt.py"
Spoil = Callable[[str, str, random.Random], str]


def unified(old: str, new: str, path: str = PATH, context: int = 3) -> str:
    """A diff as git writes it."""
    lines = difflib.unified_diff(
        old.splitlines(True), new.splitlines(True), f"a/{path}", f"b/{path}", n=context
    )
    text = "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
    return f"diff --git a/{path} b/{path}\n{text}"


def body_lines(diff: str, change: Callable[[str], str]) -> str:
    """``diff`` with each line of its hunks changed."""
    head, lines, inside = [], [], False
    for line in diff.splitlines():
        inside = inside or line.startswith("@@")
        lines.append(change(line) if inside and not line.startswith("@@") else line)
    return "\n".join(head + lines) + "\n"


def headers(diff: str, change: Callable[[re.Match[str]], str]) -> str:
    return HUNK.sub(change, diff)


def counts(diff: str, rng: random.Random) -> str:
    def wrong(match: re.Match[str]) -> str:
        old, new = int(match[2] or 1), int(match[4] or 1)
        return f"@@ -{match[1]},{max(1, old + rng.choice((-3, -2, -1, 1, 2, 5)))} +{match[3]},{max(1, new + rng.choice((-2, -1, 0, 1, 3)))} @@"

    return headers(diff, wrong)


def colour(line: str) -> str:
    codes = {"+": "32", "-": "31", "@": "36"}
    if line.startswith(("diff ", "index ", "--- ", "+++ ")):
        return f"\x1b[1m{line}\x1b[m"
    code = codes.get(line[:1])
    if code == "32":
        return f"\x1b[32m+\x1b[m\x1b[32m{line[1:]}\x1b[m"
    return f"\x1b[{code}m{line}\x1b[m" if code else line


def sections(diff: str) -> str:
    """One section a hunk."""
    head, *hunks = re.split(r"^(?=@@ -)", diff, flags=re.MULTILINE)
    return "".join(head + hunk for hunk in hunks)


def apply_patch(diff: str) -> str:
    """The ``*** Update File`` form of some agents."""
    hunks = re.split(r"^@@ -.*\n", diff, flags=re.MULTILINE)[1:]
    return (
        f"*** Begin Patch\n*** Update File: {PATH}\n"
        + "".join(f"@@\n{hunk}" for hunk in hunks)
        + "*** End Patch\n"
    )


def search_replace(diff: str) -> str:
    """The SEARCH/REPLACE form of some agents, a block a hunk."""
    hunks = re.split(r"^@@ -.*\n", diff, flags=re.MULTILINE)[1:]
    blocks = []
    for hunk in hunks:
        old = "".join(f"{line[1:]}\n" for line in hunk.splitlines() if line[:1] in (" ", "-"))
        new = "".join(f"{line[1:]}\n" for line in hunk.splitlines() if line[:1] in (" ", "+"))
        blocks.append(f"{PATH}\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n")
    return "\n".join(blocks)


def indent(text: str, margin: str) -> str:
    return "".join(f"{margin}{line}\n" if line else f"{margin.rstrip()}\n" for line in text.splitlines())


def rename(diff: str, old: str, new: str) -> str:
    return re.sub(
        r"^(diff --git |--- |\+\+\+ ).*$",
        lambda m: m[0].replace("a/" + PATH, old).replace("b/" + PATH, new),
        diff,
        flags=re.MULTILINE,
    )


# name -> what it does to a diff (of the file `text`, in git's own form)
FORMS: dict[str, Spoil] = {
    "the last newline missing": lambda d, t, r: d.rstrip("\n"),
    "no prefixes": lambda d, t, r: rename(d, PATH, PATH),
    "mnemonic prefixes": lambda d, t, r: rename(d, "i/" + PATH, "w/" + PATH),
    "other prefixes": lambda d, t, r: rename(d, "old/" + PATH, "new/" + PATH),
    "absolute paths": lambda d, t, r: rename(d, "/home/ada/work/" + PATH, "/home/ada/work/" + PATH),
    "longer paths": lambda d, t, r: rename(d, "a/repo/src/" + PATH, "b/repo/src/" + PATH),
    "only --- and +++ lines": lambda d, t, r: d.split("\n", 1)[1],
    "wrong counts": lambda d, t, r: counts(d, r),
    "no counts": lambda d, t, r: headers(d, lambda m: "@@"),
    "dots for counts": lambda d, t, r: headers(d, lambda m: "@@ ... @@"),
    "line numbers of the top": lambda d, t, r: headers(d, lambda m: f"@@ -1,{m[2] or 1} +1,{m[4] or 1} @@"),
    "line numbers far off": lambda d, t, r: headers(
        d, lambda m: f"@@ -{int(m[1]) + 57},{m[2] or 1} +{int(m[3]) + 57},{m[4] or 1} @@"),
    "trailing context lost by a strip": lambda d, t, r: d.rstrip(" \n") + "\n",
    "blank context without its space": lambda d, t, r: re.sub(r"^ $", "", d, flags=re.MULTILINE),
    "white space lost at the end of lines": lambda d, t, r: body_lines(d, lambda line: line[:1] + line[1:].rstrip()),
    "CRLF throughout": lambda d, t, r: d.replace("\n", "\r\n"),
    "colour codes": lambda d, t, r: "".join(colour(line) + "\n" for line in d.splitlines()),
    "a byte order mark": lambda d, t, r: "\ufeff" + d,
    "indented": lambda d, t, r: indent(d, "    "),
    "quoted": lambda d, t, r: indent(d, "> "),
    "a fence and prose": lambda d, t, r: f"Here is the change:\n\n```diff\n{d}```\n\nIt trains faster.\n",
    "a section a hunk": lambda d, t, r: sections(d),
    "a fence a hunk": lambda d, t, r: "\n".join(
        f"Then:\n```diff\n--- a/{PATH}\n+++ b/{PATH}\n{hunk}```" for hunk in re.split(r"^(?=@@ -)", d, flags=re.MULTILINE)[1:]),
    "HTML escapes": lambda d, t, r: "".join(
        (line if line.startswith(("diff ", "--- ", "+++ ", "@@")) else html.escape(line, quote=False)) + "\n" for line in d.splitlines()),
    "apply_patch": lambda d, t, r: apply_patch(d),
    "SEARCH/REPLACE": lambda d, t, r: search_replace(d),
}  # fmt: skip

GROUPS = (
    ("", "no prefixes", "mnemonic prefixes", "other prefixes", "absolute paths", "longer paths", "only --- and +++ lines"),
    ("", "wrong counts", "no counts", "dots for counts", "line numbers of the top", "line numbers far off", "a section a hunk"),
    ("", "trailing context lost by a strip", "blank context without its space", "white space lost at the end of lines"),
    ("", "the last newline missing", "CRLF throughout", "colour codes", "a byte order mark", "indented", "quoted",
     "a fence and prose"),
)  # fmt: skip


def spoil(diff: str, text: str, rng: random.Random) -> tuple[str, list[str]]:
    """``diff`` spoiled in up to four ways at once, and which they were."""
    names = [name for name in (rng.choice(group) for group in GROUPS) if name]
    for name in names:
        diff = FORMS[name](diff, text, rng)
    return diff, names


def change(text: str, rng: random.Random) -> str:
    """``text`` with one to four edits of a kind that engineers make: a line changed, added or taken away."""
    lines = text.splitlines(True)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines))
        edit = rng.choice(("change", "change", "add", "remove"))
        if edit == "change":
            lines[at] = (
                lines[at].rstrip("\n")
                + rng.choice(("  # tuned", " ", "  # 1 < 2")).rstrip()
                + f"  # {rng.random():.3f}\n"
            )
        elif edit == "add":
            lines[at:at] = [f"# added {rng.random():.3f}\n" for _ in range(rng.randint(1, 3))]
        else:
            del lines[at]
    return "".join(lines)


def ambiguous(text: str, rng: random.Random) -> tuple[str, str]:
    """(a diff that can be meant in several ways or in none, words of the reason it must get)."""
    lines = text.splitlines(True)
    kind = rng.choice(("twice", "overlap", "insertion", "unlike", "unsigned", "elsewhere"))
    head = f"--- a/{PATH}\n+++ b/{PATH}\n"
    at = rng.choice(
        [i for i in range(5, len(lines) - 5) if len(lines[i].strip()) > 20 and lines.count(lines[i]) == 1]
    )
    line = lines[at].rstrip("\n")
    if kind == "twice":
        often = rng.choice(sorted({each for each in lines if lines.count(each) > 1 and each.strip()})).rstrip(
            "\n"
        )
        header = rng.choice(("@@", "@@ ... @@", "@@ -1,1 +1,2 @@", "@@ -99999,1 +99999,2 @@"))
        return f"{head}{header}\n-{often}\n+{often}  # tuned\n+x = 1\n", "places of"
    if kind == "overlap":
        hunk = f"@@ -{at + 1},1 +{at + 1},1 @@\n-{line}\n+{line}"
        return f"{head}{hunk}  # one\n{hunk}  # two\n", "overlap"
    if kind == "insertion":
        return f"{head}@@ -{at},0 +{at + 1},2 @@\n+x = 1\n+y = 2\n", "only adds lines"
    if kind == "unlike":
        return (
            f"{head}@@ -{at + 1},2 +{at + 1},2 @@\n-{line} + 1\n+{line} + 2\n {lines[at + 1]}",
            "of the diff says",
        )
    if kind == "unsigned":
        return (
            f"{head}@@ -{at + 1},1 +{at + 1},1 @@\n-{line}\n{line.strip()}  # tuned\n+x = 1\n",
            "without a sign",
        )
    other = rng.choice(("model.py", "src/train.py", "b/other.py"))
    return (
        f"--- a/{other}\n+++ b/{other}\n@@ -{at + 1},1 +{at + 1},1 @@\n-{line}\n+{line}  # tuned\n",
        "baseline",
    )


def good_changes(text: str) -> dict[str, str]:
    """Five honest edits of the pocket script's ``text``: name -> the edited text."""

    def edit(*pairs: tuple[str, str]) -> str:
        new = text
        for old, other in pairs:
            assert new.count(old) == 1, old
            new = new.replace(old, other)
        return new

    square = "        return self.down(F.relu(self.up(x)).square())\n"
    first, *middle, last = text.splitlines(True)
    return {
        "two hunks": edit(
            ("MOMENTUM = 0.85", "MOMENTUM = 0.86"),
            (square, "        hidden = F.relu(self.up(x))\n        return self.down(hidden * hidden)\n"),
        ),
        "an insertion": edit(
            (
                "    def forward(self, tokens):\n",
                "    def count(self):\n        return 3\n\n    def forward(self, tokens):\n",
            )
        ),
        "a deletion": edit(("        self.down = nn.Linear(4 * WIDTH, WIDTH)\n", "")),
        "top and end": "".join([first.replace("Train", "Teach"), *middle, "    main()  # at the end\n"]),
        "four places": edit(
            ("HEAD_RATE = 0.02\n", "HEAD_RATE = 0.03\n"),
            ("WARMUP = 5", "WARMUP = 6"),
            ("LAYERS = 2\n", "LAYERS = 1\n"),
            ("    loader = batches", "    # from here on\n    loader = batches"),
        ),
    }
