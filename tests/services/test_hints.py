"""Reading hints: what an agent gets, from the source tree or the installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchrun.core.errors import ManifestError, UsageError
from patchrun.core.selection import Span
from patchrun.services import hints

HEAD = '+++\nrecord = {record}\ntier = {tier}\nchanges = ["data"]\nreferences = ["A Paper"]\n+++\n\n'


def write(home: Path, record: int, tier: int, body: str = "Text.\n", track: str = "plain") -> Path:
    path = home / track / str(record) / f"tier-{tier}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD.format(record=record, tier=tier) + body)
    return path


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    found = [tmp_path / "tree", tmp_path / "installed"]
    monkeypatch.setattr(hints, "hint_homes", lambda: found)
    return found


def test_each_record_of_a_span_and_each_tier_is_read(homes: list[Path]) -> None:
    for record in (2, 3):
        for tier in (1, 3):
            write(homes[0], record, tier, f"Body {record} {tier}.\n")
    texts = hints.read("plain", Span(2, 3), (1, 3))
    assert list(texts) == ["2-tier-1.md", "2-tier-3.md", "3-tier-1.md", "3-tier-3.md"]
    assert texts["3-tier-1.md"] == "Record 3, hint of tier 1 (data)\n\nBody 3 1.\n"
    assert hints.read("plain", Span(2, 3), ()) == {}


def test_the_head_stays_out_of_what_an_agent_sees(homes: list[Path]) -> None:
    write(homes[0], 1, 2)
    (text,) = hints.read("plain", Span(1, 1), (2,)).values()
    assert "+++" not in text and "A Paper" not in text and "references" not in text


def test_the_source_tree_comes_before_the_installation(homes: list[Path]) -> None:
    write(homes[1], 1, 1, "Installed.\n")
    assert "Installed." in hints.read("plain", Span(1, 1), (1,))["1-tier-1.md"]
    assert hints.find_home("plain") == homes[1] / "plain"
    write(homes[0], 1, 1, "Source.\n")
    assert "Source." in hints.read("plain", Span(1, 1), (1,))["1-tier-1.md"]
    assert hints.find_home("plain") == homes[0] / "plain"


def test_a_home_that_is_not_there_yet_is_the_source_tree(homes: list[Path]) -> None:
    assert hints.find_home("plain") == homes[0] / "plain"


def test_a_text_of_ones_own_without_a_head_is_taken_as_it_is(homes: list[Path]) -> None:
    write(homes[0], 1, 1).write_text("Just do it.\n")
    assert hints.read("plain", Span(1, 1), (1,)) == {"1-tier-1.md": "Just do it.\n"}


def test_an_absent_hint_is_named(homes: list[Path]) -> None:
    write(homes[0], 1, 1)
    with pytest.raises(UsageError, match="track plain has no tier 1 hint for record 2"):
        hints.read("plain", Span(1, 2), (1,))


def test_a_broken_head_is_named_with_its_file(homes: list[Path]) -> None:
    path = write(homes[0], 1, 1)
    path.write_text(path.read_text().replace("tier = 1", "tier = 7"))
    with pytest.raises(ManifestError, match=r"1/tier-1\.md: tier: "):
        hints.read("plain", Span(1, 1), (1,))


def test_a_file_that_is_not_text_is_named(homes: list[Path]) -> None:
    write(homes[0], 1, 1).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match=r"1/tier-1\.md: cannot be read"):
        hints.read("plain", Span(1, 1), (1,))


def test_what_ships_can_be_read() -> None:
    texts = hints.read("pocket", Span(1, 9), (1, 2, 3))
    assert len(texts) == 27
    assert texts["9-tier-3.md"].startswith("Record 9, hint of tier 3 (architecture)\n")
