"""The table of codes, and its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patchrun.core.codes import CODES, GROUPS, LONGEST_MESSAGE, make_finding, to_markdown

ROOT = Path(__file__).parents[2]


def test_the_page_is_made_from_the_table() -> None:
    assert (ROOT / "docs" / "findings.md").read_text(encoding="utf-8") == to_markdown(), (
        'python -c "from patchrun.core.codes import to_markdown as m; print(m(), end=str())" > docs/findings.md'
    )


def test_every_code_is_unique_in_number_and_name_and_says_what_to_do() -> None:
    assert len({code.name for code in CODES.values()}) == len(CODES)
    for code in CODES.values():
        assert re.fullmatch(r"PR[1-6]\d\d", code.id)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code.name)
        assert code.meaning.endswith(".") and code.advice.endswith(".")
        assert code.group == GROUPS[code.id[:3]]


def test_every_code_in_the_package_is_in_the_table_and_every_one_of_the_table_is_used() -> None:
    files = [path for path in (ROOT / "patchrun").rglob("*.py") if path.name != "codes.py"]
    used = {code for path in files for code in re.findall(r'"(PR\d{3})"', path.read_text(encoding="utf-8"))}
    assert used == set(CODES)


def test_integrity_heuristics_never_reject() -> None:
    assert {code.severity for code in CODES.values() if code.id.startswith("PR5")} == {
        "review",
        "warning",
        "info",
    }


def test_a_finding_takes_severity_and_hint_from_its_code_unless_told() -> None:
    finding = make_finding("PR301", "broken", "x.py", 3)
    assert (finding.severity, finding.hint) == ("error", CODES["PR301"].advice)
    assert make_finding("PR403", "hides", severity="review", hint="").severity == "review"
    with pytest.raises(KeyError):
        make_finding("PR999", "no such code")


def test_a_hostile_text_cannot_steer_a_terminal_or_break_an_encoder() -> None:
    finding = make_finding("PR201", "bad \x1b[2J\u202e\udcff", "na\x07me\n.py")
    assert finding.message == "bad \\x1b[2J\\u202e\\udcff"
    assert finding.path == "na\\x07me\\n.py"
    finding.message.encode("utf-8")


def test_a_message_keeps_its_lines_and_is_cut_when_long() -> None:
    assert make_finding("PR108", "one\ntwo").message == "one\ntwo"
    assert len(make_finding("PR108", "x" * 10_000).message) == LONGEST_MESSAGE
