"""Does a text copy? Runs of code tokens and whole sentences that recur, whatever their layout.

Code is compared as Python's own tokenizer reads it, without comments, layout and quotes; prose as lower-case words.
"""

from __future__ import annotations

import difflib
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

RUN = 8  # code tokens
NAMES = 2  # in a run, else it is a list of numbers: facts, which a hint has to give
SENTENCE = 8  # words; a shorter sentence is no one's
PASSAGE = 12  # words of a longer sentence that count as much as the whole of it
BREAK = "\0"  # stands for a string of several words: text, where a run of code ends
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
    """What a text may not repeat: stretches of ``RUN`` code tokens; sentences, long ones in passages of ``PASSAGE``."""

    code: frozenset[tuple[str, ...]] = frozenset()
    words: frozenset[tuple[str, ...]] = frozenset()


def read_change(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Source:
    """The lines that a change adds (path -> bytes on both sides), as code, and their comments and strings as words."""
    code: set[tuple[str, ...]] = set()
    words: set[tuple[str, ...]] = set()
    for path, data in after.items():
        if data == before.get(path):
            continue
        old, new = (side.get(path, b"").decode("utf-8", "replace") for side in (before, after))
        runs, prose = _read_added(new, added_lines(old, new), path.endswith(".py"))
        code |= {window for run in runs for window in _windows(run, RUN)}
        words |= _word_windows(prose)
    return Source(frozenset(code), frozenset(words))


def read_runs(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[list[str]]:
    """The runs of code tokens on the lines that a change adds (path -> bytes on both sides)."""
    found: list[list[str]] = []
    for path, data in after.items():
        if data != before.get(path):
            old, new = (side.get(path, b"").decode("utf-8", "replace") for side in (before, after))
            found += _read_added(new, added_lines(old, new), path.endswith(".py"))[0]
    return found


def read_pages(texts: Iterable[str]) -> Source:
    """The sentences of Markdown pages."""
    return Source(words=frozenset(window for text in texts for window in _word_windows(text)))


def _word_windows(text: str) -> set[tuple[str, ...]]:
    sentences = read_sentences(text)
    return {window for one in sentences for window in _windows(one, min(len(one), PASSAGE))}


def _windows(items: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(items[at : at + size]) for at in range(len(items) - size + 1))


def added_lines(before: str, after: str) -> set[int]:
    """The numbers (from 1) of the lines of ``after`` that a line diff adds."""
    matcher = difflib.SequenceMatcher(None, before.split("\n"), after.split("\n"), autojunk=False)
    blocks = [(start, end) for tag, _, _, start, end in matcher.get_opcodes() if tag != "equal"]
    return {line + 1 for start, end in blocks for line in range(start, end)}


def _read_added(text: str, added: set[int], python: bool) -> tuple[list[list[str]], str]:
    """The runs of tokens on ``added`` lines, and the comments and strings there as one text."""
    pieces = list(_read_python(text)) if python else []
    pieces = pieces or [(number, line, "") for number, line in enumerate(text.split("\n"), 1)]
    runs: list[list[str]] = [[]]
    prose: list[str] = []
    for number, code, said in sorted(pieces, key=lambda piece: piece[0]):
        if number in added:
            runs[-1] += TOKEN.findall(code)
            prose.append(said or "\n\n")  # code between two comments: they are no one sentence
        elif code and runs[-1]:
            runs.append([])
    return runs, "".join(prose)


def _read_python(text: str) -> Iterator[tuple[int, str, str]]:
    """(line, code, words for people) of each token of Python code; nothing where Python cannot read it."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return
    for token in tokens:
        first = token.start[0]
        if token.type == tokenize.COMMENT:
            yield first, "", token.string.lstrip("#") + "\n"
        elif token.type == tokenize.STRING and "\n" not in token.string:
            words = TOKEN.findall(token.string.lstrip("bfruBFRU"))
            yield first, words[0] if len(words) == 1 else BREAK, token.string + "\n"
        elif token.type == tokenize.STRING:
            lines = enumerate(token.string.split("\n"), first)
            yield from ((number, line, line + "\n") for number, line in lines)
        elif token.type not in LAYOUT:
            yield first, token.string, ""


def read_sentences(text: str) -> set[tuple[str, ...]]:
    """The sentences of at least ``SENTENCE`` words of a Markdown text, without its code, as lower-case words."""
    plain = LINK.sub(r"\1", FENCE.sub("\n\n", text))
    sentences = (tuple(words_of(part)) for part in END.split(plain))
    return {sentence for sentence in sentences if len(sentence) >= SENTENCE}


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation and markup."""
    return [word.lower() for word in WORD.findall(text)]


def find_code(text: str, source: Source) -> list[str]:
    """The longest runs of at least ``RUN`` code tokens, ``NAMES`` among them, that ``text`` shares with the source."""
    runs = _stretches(TOKEN.findall(MARKUP.sub("", text)), source.code, RUN)
    return [" ".join(run) for run in runs if sum(token.isidentifier() for token in run) >= NAMES]


def find_sentences(text: str, source: Source) -> list[str]:
    """The sentences of the source, or passages of at least ``PASSAGE`` words of one, that stand in ``text``."""
    said = words_of(LINK.sub(r"\1", text))
    sizes = range(SENTENCE, PASSAGE + 1)
    return [" ".join(words) for size in sizes for words in _stretches(said, source.words, size)]


def _stretches(tokens: Sequence[str], known: Set[tuple[str, ...]], size: int) -> Iterator[Sequence[str]]:
    """The longest stretches of ``tokens`` every window of which is known."""
    start = None
    for at in range(len(tokens) - size + 2):
        if tuple(tokens[at : at + size]) in known:
            start = at if start is None else start
        elif start is not None:
            yield tokens[start : at + size - 1]
            start = None
