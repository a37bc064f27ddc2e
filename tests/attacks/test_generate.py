"""Attacks that nobody wrote are seen; PATCHRUN_ATTACK_SEED and PATCHRUN_ATTACK_BUDGET try others and more."""

from __future__ import annotations

import os

import pytest

from tests.attacks.generate import KINDS, Kind, passes_unseen, spell
from tests.attacks.ground import GROUNDS, replace

SEED = int(os.environ.get("PATCHRUN_ATTACK_SEED", "1"))
BUDGET = int(os.environ.get("PATCHRUN_ATTACK_BUDGET", "90"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_no_spelling_of_a_kind_passes_unseen(kind: Kind) -> None:
    numbers = [number for number in range(BUDGET) if KINDS[number % len(KINDS)] is kind]
    unseen = [f"{SEED}/{number}" for number in numbers if passes_unseen(*spell(SEED, number))]
    assert numbers
    assert not unseen, (
        f"seed {SEED}, budget {BUDGET}: python -m tests.attacks generate --seed {SEED} --budget {BUDGET}"
    )


def test_a_seed_gives_the_same_attacks() -> None:
    for number, kind in enumerate(KINDS):
        text = GROUNDS[kind.on]().text
        assert spell(SEED, number)[1](text) == spell(SEED, number)[1](text)
        assert spell(SEED, number)[1](text) != spell(SEED + 1, number)[1](text)


def test_what_changes_nothing_is_unseen() -> None:
    assert passes_unseen(KINDS[0], replace(("HEAD_RATE = 0.02\n", "HEAD_RATE = 0.03\n")))
