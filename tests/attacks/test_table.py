"""The page is current, whole, and agrees with what SECURITY.md admits."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.case import GROUPS, TITLES, group_of
from tests.attacks.table import CASES, named, to_markdown

ROOT = Path(__file__).parents[2]


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8")
    assert page == to_markdown(), "python -m tests.attacks"


def test_every_attack_has_a_case() -> None:
    assert set(TITLES) == set(range(1, 33)) == {case.number for case in CASES}
    assert {group_of(number) for number in TITLES} == set(GROUPS)


def test_no_spelling_has_two_names() -> None:
    ids = [case.id for case in CASES]
    assert sorted(ids) == sorted(set(ids))


def test_what_is_not_caught_or_only_flagged_is_admitted() -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for case in named("not caught"):
        assert f"**{case.name}**" in page
    for code in {case.evidence for case in named("review")}:
        assert code in page, f"{code} asks a person: say so"


def test_what_is_admitted_is_in_the_suite() -> None:
    page = (
        (ROOT / "SECURITY.md").read_text(encoding="utf-8").split("## What is not caught")[1].split("\n## ")[0]
    )
    admitted = [line.split("**")[1] for line in page.splitlines() if line.startswith("- **")]
    assert sorted(admitted) == sorted(case.name for case in named("not caught"))
