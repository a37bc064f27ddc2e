"""The manifest of a ladder: what it may say, and that every problem is named."""

from __future__ import annotations

import pytest

from patchrun.core.errors import ManifestError, UsageError
from patchrun.core.ladder import load_ladder

SHA = "a" * 64
OID = "b" * 40
HEAD = f"""\
version = 1

[upstream]
name = "somewhere/upstream"
root = "{OID}"
commit = "{OID}"
logs = "records"

[hazard]
no-log = "no log of it exists"

[[era]]
first = 1
last = 2
processes = [1, 8]
attention = "plain"
packages = ["torch==2.4.1"]
"""


def record(number: int, places: str, more: str = "") -> str:
    return (
        f'\n[[record]]\nnumber = {number}\ndate = "2026-01-0{number}"\nby = "Ada"\nsummary = "s"\n'
        f"published_seconds = 10.0\n{more}\n{places}\n"
    )


NOWHERE = '[record.baseline]\nkind = "none"\nreason = "no code"\n'
TREE = f'[record.solution]\nkind = "tree"\ncommit = "{OID}"\n[record.solution.files]\n"a.py" = "{SHA}"\n'
LAST = '[record.baseline]\nkind = "record"\nrecord = 1\n'


def problem(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        load_ladder(text)
    return caught.value.message


def test_a_ladder_with_an_upstream_is_read() -> None:
    ladder = load_ladder(HEAD + record(1, NOWHERE + TREE) + record(2, LAST + TREE, 'hazards = ["no-log"]'))
    assert str(ladder.upstream) == "somewhere/upstream"
    assert ladder.get(2).baseline.record == 1  # type: ignore[union-attr]
    assert ladder.era_of(2).processes == (1, 8)  # type: ignore[union-attr]
    assert ladder.era_of(3) is None


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ('kind = "tree"\n', "kind tree needs commit, files"),
        ('kind = "log"\ncommit = "c"\n', "kind log needs log, script, files"),
        ('kind = "none"\n', "kind none needs reason"),
        ('kind = "record"\n', "kind record needs record"),
        (
            f'kind = "tree"\ncommit = "c"\nfiles = {{ a = "{SHA}" }}\nbeside = {{ b = "c:b" }}\n',
            "beside names b",
        ),
        ('kind = "tree"\ncommit = "c"\nfiles = { a = "xyz" }\n', "files.a"),
        ('kind = "attic"\n', "kind"),
    ],
)
def test_a_place_that_says_too_little_is_named(place: str, what: str) -> None:
    text = problem(HEAD + record(1, f"[record.solution]\n{place}"))
    assert what in text
    assert "record.0.solution" in text


def test_hazards_must_be_explained() -> None:
    assert "no-lag not explained" in problem(HEAD + record(1, NOWHERE, 'hazards = ["no-lag"]'))


def test_a_baseline_builds_on_an_earlier_record_that_has_code() -> None:
    assert "record 1 has no solution" in problem(HEAD + record(1, NOWHERE) + record(2, LAST))
    own = LAST.replace("record = 1", "record = 2")
    assert "record 2 has no solution" in problem(HEAD + record(1, NOWHERE + TREE) + record(2, own + TREE))


def test_all_problems_come_at_once_with_the_nearest_key() -> None:
    text = problem(HEAD.replace("attention", "atention") + record(1, NOWHERE, "publised_seconds = 3"))
    assert "era.0.atention: unknown key; did you mean attention?" in text
    assert "did you mean published_seconds?" in text


def test_records_are_numbered_from_one() -> None:
    assert "numbered 1..1" in problem(HEAD + record(2, NOWHERE))
    with pytest.raises(UsageError, match="no record 9"):
        load_ladder(HEAD + record(1, NOWHERE)).get(9)
