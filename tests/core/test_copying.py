"""Copies of code and sentences, with literals: what counts as one, whatever its layout, and what does not."""

from __future__ import annotations

import pytest

from patchrun.core.copying import (
    Source,
    added_lines,
    find_code,
    find_sentences,
    read_change,
    read_pages,
    read_sentences,
)

BEFORE = """\
import torch


def forward(x):
    return x
"""
AFTER = """\
import torch


def forward(x, gate):
    # The gate opens slowly, so that the early layers are trained first of all.
    # It is never closed again.
    mixed = x + gate.sigmoid() * torch.roll(x, 1, dims=0)
    return mixed  # a comment of few words


SIZES = (1, 3, 4, 7, 8, 10, 12, 15)
NAME = load("a-package/of-kernels/with-version", 3)
MODE = pick("mean", "sum", x=1)
"""
CHANGE = read_change({"train.py": BEFORE.encode()}, {"train.py": AFTER.encode()})
LINE = "mixed = x + gate.sigmoid() * torch.roll(x, 1, dims=0)"


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        f"Write `{LINE}` there.",
        f"- `{LINE}`",
        f"```python\n        {LINE}\n```",
        "mixed=x+gate.sigmoid()*torch.roll( x , 1 , dims = 0 )",
        "mixed = x + gate.sigmoid() \\\n    * torch.roll(x, 1, dims=0)",
        "> mixed = x + **gate**.sigmoid() * torch.roll(x, 1, dims=0)",
        "then gate . sigmoid ( ) * torch . roll",
    ],
)
def test_a_line_of_the_change_is_found_in_any_layout(text: str) -> None:
    assert find_code(text, CHANGE)


def test_the_longest_run_is_said_once() -> None:
    assert find_code(f"so {LINE} it is", CHANGE) == [
        "mixed = x + gate . sigmoid ( ) * torch . roll ( x , 1 , dims = 0 )"
    ]
    twice = find_code(f"{LINE}\n\nand\n\n{LINE}", CHANGE)
    assert len(twice) == 2


@pytest.mark.parametrize(
    "text",
    [
        "gate.sigmoid() * torch",
        "out <- x + sigmoid(g) * (x one position earlier)",
        "def forward(x):\n    return x",
        "mixed = x - gate.tanh() * torch.flip(y, 2, dims=1)",
        "",
        "mixed",
    ],
)
def test_less_than_eight_tokens_or_others_are_no_copy(text: str) -> None:
    assert find_code(text, CHANGE) == []


def test_eight_tokens_are_a_copy_and_seven_are_not() -> None:
    assert find_code("gate.sigmoid() * torch.", CHANGE) == ["gate . sigmoid ( ) * torch ."]
    assert find_code("gate.sigmoid() * torch", CHANGE) == []


def test_a_run_goes_on_over_added_lines_and_their_comments() -> None:
    assert find_code("dims=0)\n    return mixed\n\nSIZES = (1", CHANGE)


def test_a_list_of_numbers_is_a_fact() -> None:
    assert find_code("layers 1, 3, 4, 7, 8, 10, 12, 15", CHANGE) == []
    assert find_code("SIZES = (1, 3, 4, 7, 8, 10, 12, 15)", CHANGE) == [], "one name and figures"
    assert find_code("return mixed SIZES = (1, 3, 4)", CHANGE), "three names"


def test_words_in_quotes_are_no_code_and_a_single_one_is_a_token() -> None:
    assert find_code("a-package/of-kernels/with-version, 3", CHANGE) == []
    assert find_code("MODE = pick('mean', 'sum', x=1)", CHANGE)
    assert find_code("pick(mean, sum, x=1)", CHANGE)


def test_a_line_that_stays_between_two_added_ones_parts_them() -> None:
    before = b"import os\nkept = 1\n"
    after = b"import os\nfirst = one + two\nkept = 1\nsecond = three + four\n"
    change = read_change({"a.py": before}, {"a.py": after})
    assert find_code("first = one + two\nsecond = three + four", change) == []
    joined = read_change({"a.py": before}, {"a.py": after.replace(b"kept = 1\n", b"")})
    assert find_code("first = one + two\nsecond = three + four", joined)


def test_a_new_file_and_a_file_that_is_not_python_count() -> None:
    shell = {"run.sh": b"torchrun --standalone --nproc_per_node=8 train.py --rate 0.5\n"}
    assert find_code("torchrun --standalone --nproc_per_node=8 train.py", read_change({}, shell))
    assert read_change(shell, shell) == Source()


def test_python_that_cannot_be_read_is_compared_as_text() -> None:
    broken = {"a.py": b"x = (first + second * third - fourth\n"}
    assert find_code("x = (first + second * third", read_change({}, broken))


def test_embedded_sources_and_docstrings_are_compared_too() -> None:
    after = 'KERNEL = """\nfloat value = left[i] * right[j] + bias;\n"""\n'
    change = read_change({}, {"a.py": after.encode()})
    assert find_code("float value = left[i] * right[j]", change)


def test_bytes_that_are_not_utf8_do_no_harm() -> None:
    change = read_change({}, {"a.bin": b"\xff\xfe a b c d e f g h"})
    assert find_code("a b c d e f g h", change)


def test_added_lines_are_numbered_in_the_file_after() -> None:
    assert added_lines("a\nb\nc\n", "a\nx\nc\ny\n") == {2, 4}
    assert added_lines("", "a\nb") == {1, 2}
    assert added_lines("a\nb\n", "a\n") == set()
    assert added_lines("a\f1\nb\n", "a\f1\nc\n") == {2}, "a form feed ends no line"


def test_a_comment_that_recurs_is_found_across_its_lines() -> None:
    said = "The gate opens slowly, so that the early layers are trained first of all."
    found = "the gate opens slowly so that the early layers are trained first of all"
    assert find_sentences(f"Remember: {said.upper()}", CHANGE) == [found]
    assert find_sentences(said.replace("so that", "so\nthat"), CHANGE) == [found]
    assert find_sentences("Which is a comment of few words.", CHANGE) == []


def test_two_comments_with_code_between_are_no_sentence() -> None:
    after = b"# one two three four\nx = 1\n# five six seven eight\n"
    assert find_sentences("one two three four five six seven eight", read_change({}, {"a.py": after})) == []
    joined = after.replace(b"x = 1\n", b"")
    assert find_sentences("one two three four five six seven eight", read_change({}, {"a.py": joined}))


PAGE = """\
# A heading that has more than eight words in it, really

Short one. We found that **the** [window](https://example.org/x) should grow in steps of one block; nothing else did
help. This sentence is a rather long one which goes on and on and on until it has far more words than twelve.

- an item of a list that stands alone here
- another item of the same list that also stands alone

| a cell of a table with eight whole words | short |

```python
code = that + is + not + prose + at + all + here
```
"""


def test_sentences_are_parted_by_marks_items_cells_and_headings() -> None:
    sentences = {" ".join(words) for words in read_sentences(PAGE)}
    assert sentences == {
        "a heading that has more than eight words in it really",
        "we found that the window should grow in steps of one block",
        "this sentence is a rather long one which goes on and on and on until it has far more words than twelve",
        "an item of a list that stands alone here",
        "another item of the same list that also stands alone",
        "a cell of a table with eight whole words",
    }


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("An item of a list that stands\nalone here!", 1),
        ("an item of a list that stands alone", 0),
        ("We found that the *window* should grow in steps of one block", 1),
        ("we see that the window should grow in steps of one block", 0),
        ("one which goes on and on and on until it has far", 1),
        ("one which goes on and on and on until it has", 0),
        ("It is a rather long one, and it stops here.", 0),
        ("short one", 0),
    ],
)
def test_a_whole_sentence_or_twelve_words_of_one_recur(text: str, count: int) -> None:
    assert len(find_sentences(text, read_pages([PAGE]))) == count


def test_a_figure_keeps_its_point() -> None:
    (sentence,) = read_sentences("The rate of 0.95 isn't used by any of us.")
    assert sentence == ("the", "rate", "of", "0.95", "isn't", "used", "by", "any", "of", "us")
