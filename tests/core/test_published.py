"""A published analysis beside ours: every figure from the data, agreement only inside the range."""

from __future__ import annotations

from msgspec.structs import replace

from patchrun.core.history import tell
from patchrun.core.labels import Published
from patchrun.core.published import Comparison, compare
from tests.core.test_history import story
from tests.core.test_labels import shipped

THEIRS = Published(
    source="somebody", until="2025-12-31", records=4, speedup=16.0, shallow_and_moderate=8.0,
    invented_since="2025-01-01", invented_share=1 / 3, ai_records=1, ai_depth="Shallow",
)  # fmt: skip


def answers(published: Published) -> dict[str, Comparison]:
    return {one.question.split(":")[0]: one for one in compare(story(), published)}


def test_everything_agrees_with_its_own_figures() -> None:
    found = answers(THEIRS)
    whole = {question: one.verdict for question, one in found.items() if "the same" not in question}
    assert set(whole.values()) == {"agrees"}, whole
    assert found["shallow and moderate"].ours == "8.0x times 2.0x (4.0x to 8.0x)"
    assert found["the same as a share of the log speedup"].ours == "75% (50% to 75%)"
    assert found["the same as a share of the speedup curve's rise"].ours == "93% (80% to 93%)"
    assert found["their depths"].ours == "3 Shallow"


def test_each_figure_can_differ() -> None:
    other = replace(
        THEIRS,
        records=5,
        speedup=20.0,
        shallow_and_moderate=2.0,
        invented_share=0.9,
        ai_records=2,
        ai_depth="Deep",
    )
    assert {one.verdict for one in compare(story(), other)} == {"differs"}


def test_close_labels_count_for_agreement() -> None:
    assert answers(replace(THEIRS, shallow_and_moderate=4.1))["shallow and moderate"].verdict == "agrees"
    assert answers(replace(THEIRS, shallow_and_moderate=3.9))["shallow and moderate"].verdict == "differs"


def test_ours_of_the_real_ladder() -> None:
    ladder, book = shipped("nanogpt")
    assert book.published is not None
    found = compare(tell("nanogpt", ladder, book, book.published.until), book.published)
    assert [(one.theirs, one.ours) for one in found[:2]] == [("77", "77"), ("31x", "31.4x")]
    assert found[2].theirs == "21x times 1.5x"
    assert (found[-2].theirs, found[-2].ours, found[-2].verdict) == ("4", "4", "agrees")
    assert {word for word in found[-1].ours.replace(",", "").split() if word.isdigit()} == {
        "32",
        "60",
        "69",
        "72",
    }
