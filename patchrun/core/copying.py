"""Does a text copy? Runs of code tokens and whole sentences that recur, whatever their layout.

Code is compared as Python's own tokenizer reads it, without comments, layout and quotes; prose as lower-case words.
"""

from __future__ import annotations

import difflib
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

RUN = 8  # code tokens
SENTENCE = 8  # words
TOKEN = re.compile(
    r"[^\W\d]\w*|(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
    r"|\*\*=?|//=?|->|:=|<<|>>|[=!<>+\-*/%@&|^]=|[^\w\s`'\"\\]"
)
MARKUP = re.compile(r"^\s*(?:[-*+>]\s+|\d+[.)]\s+|#{1,6}\s+)", re.MULTILINE)
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
END = re.compile(r"[.!?:;]+(?:\s|$)|\n\s*\n|\n(?=\s*(?:[-*+>|#]|\d+[.)])\s)|\|")
WORD = re.compile(r"[^\W_]+(?:['.][^\W_]+)*")
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True)
class Source:
    """What a text may not repeat: runs of code, each a tuple of tokens, and sentences, each a tuple of words."""

    code: tuple[tuple[str, ...], ...] = ()
    sentences: frozenset[tuple[str, ...]] = frozenset()


def read_change(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Source:
    """The lines that a change adds (path -> bytes on both sides), as code, and their comments as sentences."""
    code: list[tuple[str, ...]] = []
    sentences: set[tuple[str, ...]] = set()
    for path, data in after.items():
        if data == before.get(path):
            continue
        old, new = (side.get(path, b"").decode("utf-8", "replace") for side in (before, after))
        pieces, comments = _read_added(new, added_lines(old, new), path.endswith(".py"))
        code += pieces
        sentences |= read_sentences(comments)
    return Source(tuple(code), frozenset(sentences))


def added_lines(before: str, after: str) -> set[int]:
    """The numbers (from 1) of the lines of ``after`` that a line diff adds."""
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    return {
        line + 1
        for tag, _, _, start, end in matcher.get_opcodes()
        if tag != "equal"
        for line in range(start, end)
    }


def _read_added(text: str, added: set[int], python: bool) -> tuple[list[tuple[str, ...]], str]:
    """The runs of tokens on ``added`` lines, and the comments and strings there as one text."""
    if not added:
        return [], ""
    tokens = list(_tokenize(text)) if python else []
    if not tokens:
        lines = text.splitlines()
        tokens = [(number, TOKEN.findall(lines[number - 1]), "") for number in added]
    runs: list[list[str]] = [[]]
    prose: list[str] = []
    for line, words, said in sorted(tokens, key=lambda token: token[0]):
        if line in added:
            runs[-1] += words
            prose.append(said or "\n\n")  # code between two comments: they are no one sentence
        elif words and runs[-1]:
            runs.append([])
    return [tuple(run) for run in runs if len(run) >= RUN], "".join(prose)


def _tokenize(text: str) -> Iterator[tuple[int, list[str], str]]:
    """(line, tokens, words for people) of Python code; nothing where Python cannot read it."""
    try:
        found = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return
    for token in found:
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            yield line, [], token.string.lstrip("#") + "\n"
        elif token.type == tokenize.STRING:
            yield from (
                (line + row, TOKEN.findall(part), part + "\n")
                for row, part in enumerate(token.string.split("\n"))
            )
        elif token.type not in LAYOUT:
            yield line, TOKEN.findall(token.string), ""


def read_sentences(text: str) -> set[tuple[str, ...]]:
    """The sentences of at least ``SENTENCE`` words of a Markdown text, without its code, as lower-case words."""
    plain = LINK.sub(r"\1", FENCE.sub("\n\n", text))
    sentences = (tuple(words_of(part)) for part in END.split(plain))
    return {sentence for sentence in sentences if len(sentence) >= SENTENCE}


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation and markup."""
    return [word.lower() for word in WORD.findall(text)]


def find_code(text: str, runs: Iterable[Sequence[str]]) -> list[str]:
    """The longest runs of at least ``RUN`` code tokens that ``text`` shares with one of ``runs``."""
    known = {tuple(run[at : at + RUN]) for run in runs for at in range(len(run) - RUN + 1)}
    tokens = TOKEN.findall(MARKUP.sub("", text))
    return [" ".join(tokens[start:end]) for start, end in _stretches(tokens, known, RUN)]


def find_sentences(text: str, sentences: Iterable[tuple[str, ...]]) -> list[str]:
    """The sentences that stand in ``text`` from first to last word."""
    words = words_of(LINK.sub(r"\1", text))
    starts: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for sentence in sentences:
        starts.setdefault(sentence[:SENTENCE], []).append(sentence)
    return [
        " ".join(sentence)
        for at in range(len(words) - SENTENCE + 1)
        for sentence in starts.get(tuple(words[at : at + SENTENCE]), ())
        if tuple(words[at : at + len(sentence)]) == sentence
    ]


def _stretches(tokens: Sequence[str], known: set[tuple[str, ...]], size: int) -> Iterator[tuple[int, int]]:
    """The longest stretches of ``tokens`` every window of which is known."""
    start = None
    for at in range(len(tokens) - size + 2):
        if tuple(tokens[at : at + size]) in known:
            start = at if start is None else start
        elif start is not None:
            yield start, at + size - 1
            start = None
