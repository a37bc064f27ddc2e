"""A judge's reading of a patch: hostile text between delimiters, and findings that nothing in it can take away.

What the judge says can only add: findings that ask a person, and notes. It cannot reject, and it never sees or touches
the findings of the rules.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from patchrun.core.codes import make_finding
from patchrun.core.findings import Finding
from patchrun.core.oneline import shorten
from patchrun.core.rubric import Rule

DIFF = "the diff"
SHORTEST_QUOTE = 3
SHOWN_QUOTES = 3
LONGEST_REASON = 200
LONGEST_QUOTE = 80
WEIGHT = {"no": 0, "unsure": 1, "yes": 2}


class Quote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lines that the judge points at, as it copied them."""

    path: str
    lines: str


class Opinion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the judge says of one rule."""

    rule: str
    reason: str
    quotes: tuple[Quote, ...]
    violated: Literal["yes", "no", "unsure"]


class Opinions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The judge's whole answer."""

    opinions: tuple[Opinion, ...]


@dataclass(frozen=True)
class Exhibit:
    """What is shown to the judge: the diff, and path -> text (None: not text) of every file that will run."""

    diff: str
    files: Mapping[str, str | None]
    sizes: Mapping[str, int]


@dataclass(frozen=True)
class Place:
    """Where a quote occurs: a path (None: the diff) and a line from 1."""

    path: str | None
    line: int


def wrap_data(exhibit: Exhibit, token: str) -> str | None:
    """The exhibit between markers that carry ``token``; None where the token occurs in it, names included."""
    parts = [_wrap(DIFF, exhibit.diff, token)]
    for path in sorted(exhibit.files):
        text = exhibit.files[path]
        shown = f"(not text: {exhibit.sizes[path]} bytes)" if text is None else text
        parts.append(_wrap(f"file {json.dumps(path)} after the change", shown, token))
    everything = (exhibit.diff, *exhibit.files, *(text for text in exhibit.files.values() if text))
    return None if any(token in text for text in everything) else "\n".join(parts)


def _wrap(label: str, text: str, token: str) -> str:
    return f"<<<begin {token}: {label}\n{text}\nend {token}>>>"


def read_opinions(
    opinions: Sequence[Opinion], rules: Sequence[Rule], exhibit: Exhibit, who: str
) -> list[Finding]:
    """Findings from an answer: one for each rule that is broken or in doubt, one for all that was not answered.

    Of several opinions on one rule the gravest counts. Opinions on rules that do not exist are ignored and said.
    """
    known, findings = {rule.id for rule in rules}, []
    for rule in rules:
        about = [one for one in opinions if one.rule == rule.id]
        gravest = max(about, key=lambda one: WEIGHT[one.violated], default=None)
        if gravest and gravest.violated != "no":
            findings.append(_make_finding(gravest, exhibit))
    silent = [rule.id for rule in rules if rule.id not in {one.rule for one in opinions}]
    if silent:
        findings.append(make_finding("PR603", f"{who} did not answer on {', '.join(silent)}"))
    if strange := sorted({one.rule for one in opinions} - known):
        findings.append(make_finding("PR603", f"{who} answered on rules that do not exist: {_list(strange)}"))
    return findings


def _make_finding(opinion: Opinion, exhibit: Exhibit) -> Finding:
    places = [find_quote(quote, exhibit) for quote in opinion.quotes]
    found = [(quote, place) for quote, place in zip(opinion.quotes, places, strict=True) if place]
    words = [f"{opinion.rule}: {shorten(opinion.reason, LONGEST_REASON) or 'no reason given'}"]
    words += [f"quoted: {shorten(quote.lines, LONGEST_QUOTE)}" for quote, _ in found[:SHOWN_QUOTES]]
    if dropped := len(places) - len(found):
        words.append(f"{dropped} of {len(places)} quotes dropped: not in the code")
    elif not places:
        words.append("it quotes no line")
    first = found[0][1] if found else Place(None, 0)
    code = "PR601" if opinion.violated == "yes" else "PR602"
    return make_finding(code, "\n".join(words), first.path, first.line or None)


def find_quote(quote: Quote, exhibit: Exhibit) -> Place | None:
    """Where a quote really stands, spaces aside: in the file that it names, in any other, or in the diff.

    None where it occurs nowhere, or is too short to mean anything.
    """
    wanted = _flatten(quote.lines)
    if len(wanted.replace("\n", "")) < SHORTEST_QUOTE:
        return None
    paths = sorted(exhibit.files, key=lambda path: (path != quote.path, path))
    for path, text in [*((path, exhibit.files[path]) for path in paths), (None, exhibit.diff)]:
        flat = _flatten(text or "")
        if (at := flat.find(wanted)) >= 0:
            return Place(path, flat.count("\n", 0, at) + 1)
    return None


def _flatten(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return "\n".join(lines).rstrip("\n")


def _list(names: Iterable[str]) -> str:
    return ", ".join(shorten(name, 40) for name in names)
