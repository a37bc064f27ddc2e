"""Which attempt comes next, decided from values alone."""

from __future__ import annotations

import pytest

from patchrun.core.search import DEBUGS, Node, Step, choose_next, find_best, share


def node(
    number: int, *, good: bool = True, value: float | None = None, task: str = "draft", has_diff: bool = True
) -> Node:
    return Node(number, task, None, has_diff, good, value)


def test_flat_drafts_always_start_from_the_baseline() -> None:
    assert choose_next("flat", []) == Step("draft")
    assert choose_next("flat", [node(1, value=0.9), node(2, good=False)]) == Step("draft")


def test_a_tree_improves_the_best() -> None:
    assert choose_next("tree", []) == Step("draft")
    assert choose_next("tree", [node(1, value=0.4), node(2, value=0.9), node(3, value=0.1)]) == Step(
        "improve", 2
    )
    assert choose_next("tree", [node(1), node(2)]) == Step("improve", 2), (
        "without measurements the last good one"
    )
    assert choose_next("tree", [node(1, value=-0.5)]) == Step("improve", 1), "valid, though slower"


def test_a_tree_mends_what_failed_and_gives_up_in_time() -> None:
    failed = [node(1, value=0.5), node(2, good=False, task="improve")]
    assert choose_next("tree", failed) == Step("debug", 2)
    for k in range(DEBUGS):
        assert choose_next("tree", failed) == Step("debug", 2 + k)
        failed.append(node(3 + k, good=False, task="debug"))
    assert choose_next("tree", failed) == Step("improve", 1)
    nothing_good = [node(1, good=False)] + [node(2 + k, good=False, task="debug") for k in range(DEBUGS)]
    assert choose_next("tree", nothing_good) == Step("draft")


def test_what_left_no_code_cannot_be_mended() -> None:
    assert choose_next("tree", [node(1, good=False, has_diff=False)]) == Step("draft")
    assert choose_next("tree", [node(1, value=0.2), node(2, good=False, has_diff=False)]) == Step(
        "improve", 1
    )


def test_the_best() -> None:
    assert find_best([]) is None and find_best([node(1, good=False, value=0.9)]) is None
    found = find_best([node(1, value=0.3), node(2, value=0.3), node(3, value=0.2)])
    assert found and found.number == 2


def test_even_shares() -> None:
    assert share(None, 3) is None
    assert share(6.0, 3) == 2 and share(-1.0, 3) == 0 and share(5.0, 0) == 5
    left, shares = 10.0, []
    for todo in range(4, 0, -1):
        shares.append(share(left, todo))
        left -= shares[-1] / 2
    assert shares == pytest.approx(sorted(shares)), "what one leaves goes to those after it"
