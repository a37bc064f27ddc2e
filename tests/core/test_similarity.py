"""How much of one patch stands in another: copies, renamed copies, independent work, single values."""

from __future__ import annotations

import pytest

from patchrun.core.similarity import FEW, HIGH, compare

BASE = """\
import torch


def rate(step):
    return 0.1


class Model(torch.nn.Module):
    def forward(self, x):
        return self.head(self.mix(x))
"""
HUMAN = BASE.replace(
    "    return 0.1\n",
    "    warm = min(1.0, (step + 1) / 50)\n    fall = 1 - max(0, step - 400) / 200\n    return 0.3 * warm * fall\n",
)
OTHER = BASE.replace(
    "    return 0.1\n",
    "    if step < 64:\n        return 0.002 * step\n    return 0.128 * math.cos(step / 700)\n",
)


def files(text: str) -> dict[str, bytes]:
    return {"train.py": text.encode()}


def similarity(one: str, other: str = HUMAN, base: str = BASE):
    return compare(files(base), files(one), files(other))


def test_a_copy_is_one_whatever_its_layout_and_comments() -> None:
    assert similarity(HUMAN).value == 1 and similarity(HUMAN).high
    dressed = HUMAN.replace("warm = min(", "# a ramp\n    warm = min(").replace(
        "* warm * fall", "*warm*fall  # down"
    )
    assert similarity(dressed).value == pytest.approx(1)


def test_independent_work_on_the_same_lines_shares_little() -> None:
    found = similarity(OTHER)
    assert found.value is not None and found.value < 0.1 and not found.high


def test_it_is_the_same_both_ways() -> None:
    assert similarity(OTHER, HUMAN) == similarity(HUMAN, OTHER)


def test_part_of_a_copy_lies_between() -> None:
    half = BASE.replace("    return 0.1\n", "    warm = min(1.0, (step + 1) / 50)\n    return 0.3 * warm\n")
    found = similarity(half)
    assert found.value is not None and 0.3 < found.value < 1


def test_one_value_is_too_little_to_tell() -> None:
    scaled = BASE.replace("self.mix(x)", "self.mix(2 * x)")
    found = similarity(scaled, scaled)
    assert found.value == 1 and 0 < found.windows < FEW and not found.high
    assert similarity(BASE.replace("0.1", "0.2"), BASE.replace("0.1", "0.2")).value is None, "shorter than a run"


def test_what_brings_in_no_code_has_no_similarity() -> None:
    for one in (
        BASE,
        BASE.replace("import torch\n", "import torch  # fast\n"),
        BASE.replace("    return 0.1\n", ""),
    ):
        assert similarity(one).value is None and not similarity(one).high


def test_code_of_the_baseline_moved_about_is_not_new() -> None:
    moved = BASE + "\n\ndef rate(step):\n    return 0.1\n"
    assert similarity(moved, moved).windows < FEW


def test_new_files_and_other_files_count() -> None:
    text = HUMAN.split("def rate")[1]
    one = compare({}, {"a.py": text.encode()}, {"b.py": text.encode()})
    assert one.value == 1
    cuda = compare(
        {}, {"k.cu": b"__global__ void f(int n) { x[n] = 1; }"}, {"k.cu": b"__global__ void f(int n) { }"}
    )
    assert cuda.value is not None and HIGH < cuda.value < 1
