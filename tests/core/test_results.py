"""Stored values: what goes in comes out, and what is not one is refused."""

from __future__ import annotations

import json

import pytest

from patchrun.core import results
from patchrun.core.errors import ArenaError
from patchrun.core.findings import Finding, accepted
from patchrun.core.results import Attempt, Run, Slot, content_id
from tests.core.test_plan import run, study


def test_values_survive_storage() -> None:
    one = run("s1", "aa", "submission", 3, seed=5)
    data = results.encode(one)
    assert results.decode(data, Run) == one
    assert data.endswith(b"}\n") and list(json.loads(data)) == sorted(json.loads(data))
    assert results.decode(results.encode(study()), type(study())) == study()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"version": 1}', b"null"])
def test_what_is_no_run_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(ArenaError, match="refs/x: not a run"):
        results.decode(data, Run, "refs/x")


def test_another_version_is_refused() -> None:
    data = results.encode(run("s", "a", "submission", 0)).replace(b'"version": 1', b'"version": 2')
    with pytest.raises(ArenaError, match="version 2, this patchrun reads 1"):
        results.decode(data, Run)


def test_a_slot_has_a_name() -> None:
    assert Slot(0, 2, 1337).name == "b0p2s1337"
    assert run("s", "a", "submission", 4, seed=9).slot == Slot(4, 0, 9)


def test_ids_depend_on_every_part_and_on_where_it_ends() -> None:
    assert content_id("ab", "c") != content_id("a", "bc") != content_id("abc")
    assert content_id(1, (2,)) == content_id("1", "(2,)")
    assert len(content_id("x")) == 20


def test_only_errors_reject() -> None:
    findings = [Finding(code="PR1", severity=s, message="m") for s in ("review", "warning", "info")]
    assert accepted(findings)
    assert not accepted([*findings, Finding(code="PR2", severity="error", message="m")])


def test_an_attempt_knows_its_span() -> None:
    attempt = Attempt(id="a", track="t", track_digest="d", record="3..5", agent="me", accepted=True,
                      baseline_commit="c", created="now", sequence=1)  # fmt: skip
    assert (attempt.span.first, attempt.span.last) == (3, 5)
